package authority_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/keyfile"
	"github.com/cobound/prova/internal/store"
	"github.com/cobound/prova/receipt"
)

// machine is a server on real files that a test starts again.
type machine struct {
	*house
	dir keyfile.Dir
	db  authority.Store
	// ring and store stand in for dir and db, to break off.
	ring  authority.KeyRing
	store authority.Store
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	db, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "prova.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	m := &machine{
		house: &house{t: t, ctx: t.Context(), clock: &clock{at: time.Date(2026, 5, 15, 18, 42, 0, 0, time.UTC)}, out: &receiver{answer: authority.Sent{StatusCode: 204}}},
		dir:   keyfile.Dir{Path: t.TempDir()}, db: db,
	}
	m.start()
	return m
}

// beside is another server on the same database.
func (m *machine) beside() *machine {
	return &machine{house: &house{t: m.t, ctx: m.ctx, clock: m.clock, out: m.out, owner: m.owner}, dir: keyfile.Dir{Path: m.t.TempDir()}, db: m.db}
}

// start starts the server, again.
func (m *machine) start() {
	m.t.Helper()
	if err := m.tryStart(); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) tryStart() error {
	m.t.Helper()
	keys, err := m.dir.Load()
	if err != nil {
		m.t.Fatal(err)
	}
	signer, err := receipt.NewSigner(keys.Receipt)
	if err != nil {
		m.t.Fatal(err)
	}
	c := authority.Config{
		Store: m.db, Deliverer: m.out, Signer: signer, KeyRing: m.dir, CheckpointKey: keys.Checkpoint, Origin: "test",
		Now: m.clock.now, Random: func(p []byte) { _, _ = rand.Read(p) }, Log: slog.New(slog.DiscardHandler),
	}
	if m.ring != nil {
		c.KeyRing = m.ring
	}
	if m.store != nil {
		c.Store = m.store
	}
	if m.Authority, err = authority.New(c); err != nil {
		m.t.Fatal(err)
	}
	owner := ""
	if m.owner.KeyID == "" {
		owner = m.ProposeKey()
	}
	if _, err = m.Bootstrap(m.ctx, owner); err == nil && owner != "" {
		m.owner, err = m.Authenticate(m.ctx, owner)
	}
	return err
}

// signedBy records a run and says which key signed it.
func (m *machine) signedBy() string {
	m.t.Helper()
	r, err := receipt.Parse(m.record(event("v1", true))[0].Receipt)
	if err != nil {
		m.t.Fatal(err)
	}
	return r.KeyID
}

// firstKey is what an auditor pins on the first day: no key that came later.
func (m *machine) firstKey() receipt.Trust {
	m.t.Helper()
	keys, err := m.dir.Load()
	if err != nil {
		m.t.Fatal(err)
	}
	set, err := receipt.NewKeySet(keys.Receipt.Public().(ed25519.PublicKey))
	if err != nil {
		m.t.Fatal(err)
	}
	return receipt.Trust{Receipt: set, CheckpointKeys: []ed25519.PublicKey{keys.Checkpoint.Public().(ed25519.PublicKey)}}
}

// audit verifies the whole log of an org, and a bundle of it.
func (m *machine) audit(trust receipt.Trust, p authority.Principal, want string) {
	m.t.Helper()
	var export, tar bytes.Buffer
	if err := m.Export(m.ctx, p, 0, 0, &export); err != nil {
		m.t.Fatal(err)
	}
	from := int64(0)
	if err := m.Bundle(m.ctx, p, receipt.Scope{From: &from}, 0, &tar); err != nil {
		m.t.Fatal(err)
	}
	for _, r := range []receipt.Report{
		receipt.VerifyExport(&export, trust, nil),
		receipt.OpenBundleTar(bytes.NewReader(tar.Bytes()), int64(tar.Len())).Verify(trust, nil),
	} {
		if r.Result != want {
			m.t.Errorf("%s, want %s: %+v", r.Result, want, r.Checks)
		}
	}
}

func TestRotateKey(t *testing.T) {
	m := newMachine(t)
	other, err := m.CreateOrg(m.ctx, m.owner, api.CreateOrg{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := m.Authenticate(m.ctx, other.OwnerKey)
	if err != nil {
		t.Fatal(err)
	}
	first, pinned := m.signedBy(), m.firstKey()
	for range 3 {
		before := m.signedBy()
		change, err := m.RotateKey(m.ctx, m.owner, "yearly rotation")
		if err != nil || change.Ended != before || change.Key.KeyID == before {
			t.Fatalf("%+v, %v", change, err)
		}
		if now := m.signedBy(); now != change.Key.KeyID {
			t.Errorf("signed by %s, want %s", now, change.Key.KeyID)
		}
		m.start()
		if now := m.signedBy(); now != change.Key.KeyID {
			t.Errorf("after a start signed by %s, want %s", now, change.Key.KeyID)
		}
	}
	m.audit(pinned, m.owner, receipt.Verified)
	m.audit(pinned, tenant, receipt.Verified)
	if k, err := m.SigningKey(m.ctx, first); err != nil || k.KeyID != first {
		t.Errorf("the first key is not served any more: %v", err)
	}
	list, err := m.Receipts(m.ctx, tenant, authority.EntryFilter{Kind: api.KindKeyEvent}, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list.Items {
		if strings.Contains(string(i.Receipt), m.owner.KeyID) {
			t.Error("another org's log names the operator's API key")
		}
	}
	for name, c := range map[string]struct {
		p      authority.Principal
		reason string
		code   authority.Code
	}{"another org": {tenant, "because", authority.CodeForbidden}, "no reason": {m.owner, " ", authority.CodeInvalid}} {
		if _, err := m.RotateKey(m.ctx, c.p, c.reason); authority.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var errBroken = errors.New("the machine broke down")

// breaking does so many writes, and then none.
type breaking struct {
	authority.Store
	left int
}

func (b *breaking) step() error {
	if b.left--; b.left < 0 {
		return errBroken
	}
	return nil
}

func (b *breaking) Update(ctx context.Context, org string, fn func(authority.Tx) error) error {
	if err := b.step(); err != nil {
		return err
	}
	return b.Store.Update(ctx, org, fn)
}

func (b *breaking) SaveSigningKey(ctx context.Context, k api.SigningKey) error {
	if err := b.step(); err != nil {
		return err
	}
	return b.Store.SaveSigningKey(ctx, k)
}

// A rotation that breaks off between any two steps leaves a server that starts
// and signs, and a log that verifies; the next rotation goes through.
func TestRotationBreaksOff(t *testing.T) {
	for left := range 7 {
		m := newMachine(t)
		pinned := m.firstKey()
		if _, err := m.CreateOrg(m.ctx, m.owner, api.CreateOrg{Name: "other"}); err != nil {
			t.Fatal(err)
		}
		b := &breaking{Store: m.db, left: 1 << 30}
		m.store = b
		m.start()
		b.left = left
		_, err := m.RotateKey(m.ctx, m.owner, "broken off")
		if (err == nil) != (left >= 5) { // the key, two additions, two retirements
			t.Errorf("after %d steps: %v", left, err)
		}
		m.store = nil
		m.start()
		rotated := m.signedBy() != keyIDOf(pinned)
		if rotated != (left >= 2) { // from when the default org's log has the new key
			t.Errorf("after %d steps: rotated %t", left, rotated)
		}
		for _, org := range []string{"default", "other"} { // the start did what was left
			if got := m.ended(org); got != rotated {
				t.Errorf("after %d steps: the old key ended in the log of %s: %t", left, org, got)
			}
		}
		m.audit(pinned, m.owner, receipt.Verified)
		m.audit(pinned, authority.System("other"), receipt.Verified)
		files, err := filepath.Glob(filepath.Join(m.dir.Path, "receipt*.key"))
		if err != nil || len(files) != 2 {
			t.Errorf("%v, %v", files, err)
		}
		if _, err := m.RotateKey(m.ctx, m.owner, "again"); err != nil {
			t.Fatal(err)
		}
		m.signedBy()
		m.audit(pinned, m.owner, receipt.Verified)
		m.audit(pinned, authority.System("other"), receipt.Verified)
		if files, _ = filepath.Glob(filepath.Join(m.dir.Path, "receipt*.key")); len(files) != 2 && left == 0 || len(files) > 3 {
			t.Errorf("an unused key was not taken: %v", files)
		}
	}
}

func keyIDOf(trust receipt.Trust) string {
	for id := range trust.Receipt {
		return id
	}
	return ""
}

// ended reports whether the log of an org ends a key.
func (m *machine) ended(org string) bool {
	m.t.Helper()
	list, err := m.Receipts(m.ctx, authority.System(org), authority.EntryFilter{Kind: api.KindKeyEvent}, "", 100)
	if err != nil {
		m.t.Fatal(err)
	}
	return slices.ContainsFunc(list.Items, func(i api.ReceiptItem) bool { return strings.Contains(string(i.Receipt), `"event":"retire"`) })
}

// Two servers: each signs with a key of its own. The second one's is added
// before its first start, so that who pinned the first one's follows both.
func TestKeysOfTwoServers(t *testing.T) {
	m := newMachine(t)
	pinned := m.firstKey()
	n := m.beside()
	keys, err := n.dir.Load()
	if err != nil {
		t.Fatal(err)
	}
	public := receipt.NewReceiptPublicKey(keys.Receipt.Public().(ed25519.PublicKey))
	if _, err := m.AddKey(m.ctx, m.owner, api.AddKey{PublicKey: "nonsense", Reason: "a second server"}); authority.CodeOf(err) != authority.CodeInvalid {
		t.Errorf("no key: %v", err)
	}
	if _, err := m.AddKey(m.ctx, m.owner, api.AddKey{PublicKey: public.PublicKey, Reason: "a second server"}); err != nil {
		t.Fatal(err)
	}
	n.start()
	if m.signedBy() == n.signedBy() {
		t.Fatal("one key for two servers")
	}
	trust := pinned
	trust.CheckpointKeys = append(trust.CheckpointKeys, n.firstKey().CheckpointKeys...)
	m.audit(trust, m.owner, receipt.Verified)

	// The present key of a server is rotated, not ended, by itself.
	for _, err := range []error{
		second(m.RetireKey(m.ctx, m.owner, m.signedBy(), "because")),
		second(m.RevokeKey(m.ctx, m.owner, m.signedBy(), api.RevokeKey{Reason: "because"})),
	} {
		if authority.CodeOf(err) != authority.CodeConflict {
			t.Errorf("its own key: %v", err)
		}
	}
	if _, err := m.RetireKey(m.ctx, m.owner, "nobody", "because"); authority.CodeOf(err) != authority.CodeNotFound {
		t.Errorf("an unknown key: %v", err)
	}
	ended := n.signedBy()
	change, err := m.RetireKey(m.ctx, m.owner, ended, "taken down")
	if err != nil || change.FromIndex == nil {
		t.Fatalf("%+v, %v", change, err)
	}
	if again, err := m.RetireKey(m.ctx, m.owner, ended, "taken down"); err != nil || again.FromIndex != nil {
		t.Errorf("retired again: %+v, %v", again, err)
	}
	if _, err := n.Record(n.ctx, n.owner, []authority.Submission{submission(t, event("v1", true))}); authority.CodeOf(err) != authority.CodeUnavailable {
		t.Errorf("a server whose key has ended signs: %v", err)
	}
	if err := n.tryStart(); err == nil || !strings.Contains(err.Error(), "prova keys new") {
		t.Errorf("it starts with an ended key: %v", err)
	}
	m.signedBy()
	m.audit(trust, m.owner, receipt.Verified)
}

func second[T any](_ T, err error) error { return err }

// A revocation reaches back to when the key may have been stolen.
func TestRevokeKey(t *testing.T) {
	m := newMachine(t)
	pinned := m.firstKey()
	n := m.beside()
	keys, err := n.dir.Load()
	if err != nil {
		t.Fatal(err)
	}
	public := receipt.NewReceiptPublicKey(keys.Receipt.Public().(ed25519.PublicKey))
	if _, err := m.AddKey(m.ctx, m.owner, api.AddKey{PublicKey: public.PublicKey, Reason: "a second server"}); err != nil {
		t.Fatal(err)
	}
	n.start()
	trust := pinned
	trust.CheckpointKeys = append(trust.CheckpointKeys, n.firstKey().CheckpointKeys...)
	m.signedBy()
	m.clock.pass(time.Hour)
	stolen := m.clock.now()
	old := m.signedBy()
	m.clock.pass(time.Hour)
	if _, err := m.RotateKey(m.ctx, m.owner, "yearly rotation"); err != nil {
		t.Fatal(err)
	}
	// The new key was added with the stolen one, so this server cannot say so.
	if _, err := m.RevokeKey(m.ctx, m.owner, old, api.RevokeKey{Reason: "stolen", Since: &stolen}); authority.CodeOf(err) != authority.CodeConflict {
		t.Errorf("it takes the ground from under itself: %v", err)
	}
	late := m.clock.now().Add(time.Minute)
	if _, err := n.RevokeKey(n.ctx, n.owner, old, api.RevokeKey{Reason: "stolen", Since: &late}); authority.CodeOf(err) != authority.CodeInvalid {
		t.Errorf("in the future: %v", err)
	}
	m.audit(trust, m.owner, receipt.Verified)
	change, err := n.RevokeKey(n.ctx, n.owner, old, api.RevokeKey{Reason: "stolen", Since: &stolen})
	if err != nil || change.FromIndex == nil {
		t.Fatalf("%+v, %v", change, err)
	}
	n.audit(trust, n.owner, receipt.Failed) // what it signed since is bad, and named
	var tar bytes.Buffer
	from, to := int64(0), *change.FromIndex
	if err := n.Bundle(n.ctx, n.owner, receipt.Scope{From: &from, To: &to}, 0, &tar); err != nil {
		t.Fatal(err)
	}
	if r := receipt.OpenBundleTar(bytes.NewReader(tar.Bytes()), int64(tar.Len())).Verify(trust, nil); r.Result != receipt.Verified {
		t.Errorf("what it signed before: %+v", r)
	}
}
