package authority_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// TestSigningKeyStates: a key signs from its addition to its end, and each org's own log says so.
func TestSigningKeyStates(t *testing.T) {
	m := newMachine(t)
	first := m.signedBy()
	change, err := m.RotateKey(m.ctx, m.owner, "yearly rotation")
	if err != nil {
		t.Fatal(err)
	}
	rotated := m.size()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	neighbour, err := m.AddKey(m.ctx, m.owner, api.AddKey{PublicKey: base64.StdEncoding.EncodeToString(public), Reason: "a second server"})
	if err != nil {
		t.Fatal(err)
	}
	added := m.size()
	revoked, err := m.RevokeKey(m.ctx, m.owner, neighbour.Key.KeyID, api.RevokeKey{Reason: "it was copied"})
	if err != nil || revoked.FromIndex == nil {
		t.Fatalf("%+v, %v", revoked, err)
	}
	states := map[string]authority.SigningKeyState{}
	list, err := m.SigningKeyStates(m.ctx, authority.Principal{Org: m.owner.Org}) // public: no permission is needed
	if err != nil {
		t.Fatal(err)
	}
	current := 0
	for _, s := range list {
		states[s.KeyID] = s
		if s.Current {
			current++
		}
		if s.Purpose == receipt.PurposeCheckpoint && (!s.Current || s.End != "" || s.From == nil) {
			t.Errorf("the checkpoint key is %+v", s)
		}
	}
	if len(list) != 4 || current != 2 {
		t.Errorf("%d keys, %d of them sign", len(list), current)
	}
	if s := states[change.Key.KeyID]; !s.Current || s.From == nil || s.Until != nil || s.End != "" {
		t.Errorf("the new key is %+v", s)
	}
	for id, want := range map[string]struct {
		end         string
		from, until *int64
	}{
		first:               {"retire", ptr(int64(0)), ptr(int64(rotated - 1))}, // its retirement, which the new key signs
		neighbour.Key.KeyID: {"revoke", ptr(int64(added - 1)), revoked.FromIndex},
	} {
		s := states[id]
		if s.Current || s.End != want.end || s.From == nil || *s.From != *want.from || s.Until == nil || *s.Until != *want.until {
			t.Errorf("%s: %s at %d to %d, want %s at %d to %d", id, s.End, *s.From, *s.Until, want.end, *want.from, *want.until)
		}
	}
	other, err := m.CreateOrg(m.ctx, m.owner, api.CreateOrg{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := m.Authenticate(m.ctx, other.OwnerKey)
	if err != nil {
		t.Fatal(err)
	}
	if list, err = m.SigningKeyStates(m.ctx, tenant); err != nil {
		t.Fatal(err)
	}
	for _, s := range list { // a key that ended before the org was made never signed in its log
		if known := s.From != nil; known != (s.KeyID != first && s.KeyID != neighbour.Key.KeyID) {
			t.Errorf("another org's log: %+v", s)
		}
	}
}

// TestLogOrigin is what the org's checkpoints say, for who may not read them too.
func TestLogOrigin(t *testing.T) {
	h := newHouse(t)
	c, err := h.Checkpoint(h.ctx, h.owner)
	if err != nil {
		t.Fatal(err)
	}
	origin, err := h.LogOrigin(h.ctx, authority.Principal{Org: h.owner.Org})
	if err != nil || origin != c.Origin || origin == "" {
		t.Errorf("%q, %v; the checkpoint is of %q", origin, err, c.Origin)
	}
	if _, err := h.LogOrigin(h.ctx, authority.Principal{Org: "nobody"}); authority.CodeOf(err) != authority.CodeNotFound {
		t.Errorf("an org that is not there: %v", err)
	}
}

// silent is a judge that judges nothing.
type silent struct{}

func (silent) Judge() api.Judge { return theJudge() }

func (silent) Run(context.Context, authority.JudgeSource, api.StartJudging, func(api.JudgeJob)) error {
	return nil
}

// TestLastJudgeJob: the newest job of a rollout, for those who may judge in its environment and org.
func TestLastJudgeJob(t *testing.T) {
	h := newHouse(t)
	if _, ok := h.ServerJudge(); ok {
		t.Error("a judge where there is none")
	}
	h.Judger = silent{}
	if judge, ok := h.ServerJudge(); !ok || judge != theJudge() {
		t.Errorf("%+v, %v", judge, ok)
	}
	id := h.create(pairwise(10)).ID
	if job, err := h.LastJudgeJob(h.ctx, h.owner, id); job != nil || err != nil {
		t.Fatalf("before the first: %+v, %v", job, err)
	}
	first, err := h.StartJudging(h.ctx, h.owner, id, api.StartJudging{})
	if err != nil {
		t.Fatal(err)
	}
	if same, err := h.StartJudging(h.ctx, h.owner, id, api.StartJudging{}); err != nil || same.ID != first.ID {
		t.Errorf("beside the one that runs: %+v, %v", same, err)
	}
	h.clock.pass(3 * time.Minute) // the first one counts as interrupted
	if job, err := h.LastJudgeJob(h.ctx, h.owner, id); err != nil || job.ID != first.ID || job.State != api.JobInterrupted {
		t.Errorf("%+v, %v", job, err)
	}
	second, err := h.StartJudging(h.ctx, h.owner, id, api.StartJudging{})
	if err != nil || second.ID == first.ID {
		t.Fatalf("%+v, %v", second, err)
	}
	if job, err := h.LastJudgeJob(h.ctx, h.owner, id); err != nil || job.ID != second.ID || job.State != api.JobRunning {
		t.Errorf("%+v, %v", job, err)
	}
	for name, c := range map[string]struct {
		change func(*authority.Principal)
		want   authority.Code
	}{
		"another org":         {func(p *authority.Principal) { p.Org = "other" }, authority.CodeNotFound},
		"another environment": {func(p *authority.Principal) { p.Environment = "staging" }, authority.CodeNotFound},
		"no permission":       {func(p *authority.Principal) { p.Permissions = []api.Permission{api.ReleaseRead} }, authority.CodeForbidden},
	} {
		p := h.owner
		c.change(&p)
		if job, err := h.LastJudgeJob(h.ctx, p, id); authority.CodeOf(err) != c.want || job != nil {
			t.Errorf("%s: %+v, %v", name, job, err)
		}
	}
}

// TestOutputs: what runs answered, to those who may judge them, and nothing of other receipts.
func TestOutputs(t *testing.T) {
	h := newHouse(t)
	run := event("v36", true)
	run.Payload = map[string]json.RawMessage{"output": json.RawMessage(`"an answer"`), "input": json.RawMessage(`"a question"`)}
	var ids []string
	for _, r := range h.record(run, event("v36", true)) {
		parsed, err := receipt.Parse(r.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, parsed.EventID)
	}
	asked := append(ids, "evt_nobody")
	got, err := h.Outputs(h.ctx, h.owner, asked)
	if err != nil || len(got) != 1 || string(got[ids[0]]) != `"an answer"` {
		t.Errorf("%s, %v", got, err)
	}
	staging, reader, foreign := h.owner, h.owner, h.owner
	staging.Environment, foreign.Org = "staging", "other"
	reader.Permissions = []api.Permission{api.ReleaseRead, api.AuditRead}
	if got, err := h.Outputs(h.ctx, staging, asked); err != nil || len(got) != 0 {
		t.Errorf("another environment: %s, %v", got, err)
	}
	if got, _ := h.Outputs(h.ctx, foreign, asked); len(got) != 0 {
		t.Errorf("another org: %s", got)
	}
	if _, err := h.Outputs(h.ctx, reader, asked); authority.CodeOf(err) != authority.CodeForbidden {
		t.Errorf("without judge.write: %v", err)
	}
	if _, err := h.Erase(h.ctx, h.owner, ids[0], api.Erase{Ground: "asked for"}); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Outputs(h.ctx, h.owner, asked); err != nil || len(got) != 0 {
		t.Errorf("erased: %s, %v", got, err)
	}
}
