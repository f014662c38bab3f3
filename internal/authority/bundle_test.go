package authority_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

func ptr[T any](v T) *T { return &v }

// trust is what the server's key endpoint says.
func (h *house) trust() receipt.Trust {
	h.t.Helper()
	keys, err := h.SigningKeys(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	list, err := json.Marshal(api.List[api.SigningKey]{Items: keys})
	if err != nil {
		h.t.Fatal(err)
	}
	trust, err := receipt.ParsePublicKeys(list)
	if err != nil {
		h.t.Fatal(err)
	}
	return trust
}

// bundle makes a bundle and verifies it.
func (h *house) bundle(scope receipt.Scope) (*receipt.Bundle, receipt.Report) {
	h.t.Helper()
	var b bytes.Buffer
	if err := h.Bundle(h.ctx, h.owner, scope, 0, &b); err != nil {
		h.t.Fatal(err)
	}
	in := receipt.OpenBundleTar(bytes.NewReader(b.Bytes()), int64(b.Len()))
	report := in.Verify(h.trust(), nil)
	if report.Result != receipt.Verified || !report.KeysPinned {
		h.t.Errorf("%s of %v: %+v", report.Result, scope, report.Checks)
	}
	return in, report
}

// complete finds what a report says about completeness.
func complete(r receipt.Report) string {
	for _, c := range r.Checks {
		if c.Check == receipt.CheckCompleteness {
			return c.Detail
		}
	}
	return ""
}

// kindsOf counts the receipts of a bundle that carry a source of the app by kind.
func kindsOf(t *testing.T, b *receipt.Bundle) (kinds map[string]int, indexes []int64) {
	t.Helper()
	kinds = map[string]int{}
	err := b.Receipts(func(index int64, r receipt.Receipt) error {
		kinds[r.Kind]++
		indexes = append(indexes, index)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return kinds, indexes
}

// A rollout's bundle holds what its decisions rest on, and no more.
func TestBundleOfARollout(t *testing.T) {
	h := newHouse(t)
	h.record(event("v0", true), event("v1", true)) // one before its evidence, and the baseline's history
	ro := h.create(canary("v1", "v2"))
	other := event("v2", true)
	other.Source.AppID = "other"
	h.record(other)
	h.traffic("v1", "v2", 40, 3, 0, 0)
	h.tick(ro.ID)
	if _, err := h.Pause(h.ctx, h.owner, ro.ID, "wait"); err != nil {
		t.Fatal(err)
	}
	_, report := h.bundle(receipt.Scope{Rollout: ro.ID})
	if got := complete(report); !strings.Contains(got, "it was open then") {
		t.Error(got)
	}
	if _, err := h.Abort(h.ctx, h.owner, ro.ID, "enough"); err != nil {
		t.Fatal(err)
	}
	h.traffic("v1", "v2", 5, 3, 0, 0) // after its end
	b, report := h.bundle(receipt.Scope{Rollout: ro.ID})
	if got := complete(report); !strings.Contains(got, "the last one ended it") {
		t.Error(got)
	}
	kinds, _ := kindsOf(t, b)
	if kinds[api.KindAgentRun] != 161 || kinds[api.KindRolloutCreated] != 1 || kinds[api.KindRolloutAction] != 1 || kinds[api.KindRolloutDecision] < 2 ||
		kinds[api.KindKeyEvent] != 2 || len(kinds) != 5 {
		t.Errorf("%v", kinds)
	}
	m, err := b.Manifest()
	if err != nil || m.Completeness.Ended == nil || !*m.Completeness.Ended {
		t.Errorf("%+v, %v", m, err)
	}
	h.verifies() // with the export receipts in the log
}

// A rollout that continues an aborted one brings that one's evidence along.
func TestBundleOfAnAttempt(t *testing.T) {
	h := newHouse(t)
	first := h.create(canary("v1", "v2"))
	h.traffic("v1", "v2", 10, 3, 0, 0)
	if _, err := h.Abort(h.ctx, h.owner, first.ID, "wrong day"); err != nil {
		t.Fatal(err)
	}
	second := h.create(canary("v1", "v2"))
	h.traffic("v1", "v2", 10, 3, 0, 0)
	h.tick(second.ID)
	b, _ := h.bundle(receipt.Scope{Rollout: second.ID})
	if kinds, _ := kindsOf(t, b); kinds[api.KindRolloutCreated] != 2 || kinds[api.KindAgentRun] != 80 {
		t.Errorf("%v", kinds)
	}
}

func TestBundleOfAReceiptAndARange(t *testing.T) {
	h := newHouse(t)
	h.traffic("v1", "v2", 200, 3, 0, 0)
	list, err := h.Receipts(h.ctx, h.owner, authority.EntryFilter{}, "", 700)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range []api.ReceiptItem{list.Items[0], list.Items[len(list.Items)-1], list.Items[300]} {
		r, err := receipt.Parse(item.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		b, report := h.bundle(receipt.Scope{Receipt: r.EventID})
		if _, indexes := kindsOf(t, b); !slices.Contains(indexes, item.LogIndex) || !strings.Contains(complete(report), "one receipt") {
			t.Errorf("%v %s", indexes, complete(report))
		}
	}
	for _, scope := range []receipt.Scope{
		{From: ptr(int64(0))}, {From: ptr(int64(0)), To: ptr(int64(300))}, {From: ptr(int64(257)), To: ptr(int64(258))}, {From: ptr(int64(700))},
	} {
		_, report := h.bundle(scope)
		if !strings.Contains(complete(report), "the whole index range") {
			t.Errorf("%v: %s", scope, complete(report))
		}
	}
}

// Handing evidence out is an event: the export receipt stands in the log
// behind what the bundle speaks of, byte for byte the manifest.
func TestBundleIsLogged(t *testing.T) {
	h := newHouse(t)
	h.traffic("v1", "v2", 5, 3, 0, 0)
	b, report := h.bundle(receipt.Scope{From: ptr(int64(0))})
	f, err := b.Open(receipt.FileManifest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	list, err := h.Receipts(h.ctx, h.owner, authority.EntryFilter{Kind: receipt.KindExport}, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 || list.Items[0].LogIndex != report.Size || !bytes.Equal(list.Items[0].Receipt, manifest) {
		t.Errorf("%+v", list.Items)
	}
	if r, err := receipt.Parse(manifest); err != nil || r.Actor != h.owner.KeyID {
		t.Errorf("%+v %v", r.Header, err)
	}
	if h.record(api.Event{Kind: receipt.KindExport, Source: api.EventSource{AppID: "a"}})[0].Status != api.IngestRefused {
		t.Error("a client can write export receipts")
	}
}

func TestBundleIsRefused(t *testing.T) {
	h := newHouse(t)
	ro := h.create(canary("v1", "v2"))
	run := h.record(event("v1", true))[0]
	r, err := receipt.Parse(run.Receipt)
	if err != nil {
		t.Fatal(err)
	}
	nobody := h.owner
	nobody.Permissions = []api.Permission{api.ReleaseRead}
	production, staging := h.owner, h.owner
	production.Environment, staging.Environment = "production", "staging"
	rollout, one, all := receipt.Scope{Rollout: ro.ID}, receipt.Scope{Receipt: r.EventID}, receipt.Scope{From: ptr(int64(0))}
	size := func() int64 {
		c, err := h.Checkpoint(h.ctx, h.owner)
		if err != nil {
			t.Fatal(err)
		}
		return c.Size
	}
	before := size()
	for _, c := range []struct {
		who   authority.Principal
		scope receipt.Scope
		want  authority.Code
	}{
		{nobody, one, authority.CodeForbidden},
		{nobody, all, authority.CodeForbidden},
		{production, all, authority.CodeForbidden},
		{staging, one, authority.CodeNotFound},
		{staging, rollout, authority.CodeNotFound},
		{h.owner, receipt.Scope{Receipt: "evt_nobody"}, authority.CodeNotFound},
		{h.owner, receipt.Scope{Rollout: "rol_nobody"}, authority.CodeNotFound},
		{h.owner, receipt.Scope{}, authority.CodeInvalid},
		{h.owner, receipt.Scope{Receipt: "x"}, authority.CodeInvalid},
		{h.owner, receipt.Scope{Rollout: ro.ID, Receipt: r.EventID}, authority.CodeInvalid},
		{h.owner, receipt.Scope{From: ptr(int64(0)), To: ptr(int64(1e6))}, authority.CodeInvalid},
		{h.owner, receipt.Scope{From: ptr(int64(1e6))}, authority.CodeInvalid},
		{h.owner, receipt.Scope{From: ptr(int64(-1))}, authority.CodeInvalid},
	} {
		var b bytes.Buffer
		code(t, h.Bundle(h.ctx, c.who, c.scope, 0, &b), c.want)
		if b.Len() > 0 {
			t.Errorf("%v: %d bytes before the error", c.scope, b.Len())
		}
	}
	if now := size(); now != before {
		t.Errorf("%d receipts of bundles that nobody got", now-before)
	}
	for _, scope := range []receipt.Scope{one, rollout} {
		if err := h.Bundle(h.ctx, production, scope, 0, io.Discard); err != nil {
			t.Errorf("%v: %v", scope, err)
		}
	}
}

// broken is a client that goes away.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestBundleThatBreaks(t *testing.T) {
	h := newHouse(t)
	h.traffic("v1", "v2", 5, 3, 0, 0)
	if h.Bundle(h.ctx, h.owner, receipt.Scope{From: ptr(int64(0))}, 0, broken{}) == nil {
		t.Error("no error")
	}
}
