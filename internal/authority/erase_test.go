package authority_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

func withPayload(key string, payload map[string]string) api.Event {
	e := event("v1", true)
	e.IdempotencyKey, e.Payload = key, map[string]json.RawMessage{}
	for name, value := range payload {
		e.Payload[name] = json.RawMessage(value)
	}
	return e
}

func eventIDOf(t *testing.T, raw []byte) string {
	t.Helper()
	r, err := receipt.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return r.EventID
}

func TestErase(t *testing.T) {
	h := newHouse(t)
	first := withPayload("one", map[string]string{"input": `"a secret question"`, "output": `"an answer"`})
	recorded := h.record(first)[0]
	id := eventIDOf(t, recorded.Receipt)

	for name, r := range map[string]api.Erase{
		"no ground":        {Fields: []string{"input"}, Ground: " "},
		"no such field":    {Fields: []string{"prompt"}, Ground: "because"},
		"a field too many": {Fields: []string{"input", "prompt"}, Ground: "because"},
	} {
		if _, err := h.Erase(h.ctx, h.owner, id, r); authority.CodeOf(err) != authority.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h.Erase(h.ctx, h.owner, "evt_nobody", api.Erase{Ground: "because"}); authority.CodeOf(err) != authority.CodeNotFound {
		t.Errorf("an unknown receipt: %v", err)
	}
	staging := h.owner
	staging.Environment = "staging"
	if _, err := h.Erase(h.ctx, staging, id, api.Erase{Ground: "because"}); authority.CodeOf(err) != authority.CodeNotFound {
		t.Errorf("of another environment: %v", err)
	}
	plain := eventIDOf(t, h.record(event("v1", true))[0].Receipt)
	if _, err := h.Erase(h.ctx, h.owner, plain, api.Erase{Ground: "because"}); authority.CodeOf(err) != authority.CodeConflict {
		t.Errorf("without a payload: %v", err)
	}

	done, err := h.Erase(h.ctx, h.owner, id, api.Erase{Fields: []string{"input"}, Ground: "asked by the person"})
	if err != nil || !slices.Equal(done.Fields, []string{"input"}) || done.AlreadyErased != nil || done.Receipt == nil {
		t.Fatalf("%+v, %v", done, err)
	}
	r, err := receipt.Parse(done.Receipt.Receipt)
	if err != nil || r.Kind != "erasure" || !bytes.Contains(r.Body, []byte(`"ground":"asked by the person"`)) || !bytes.Contains(r.Body, []byte(id)) || bytes.Contains(r.Body, []byte("secret")) {
		t.Errorf("%s, %v", r.Body, err)
	}
	again, err := h.Erase(h.ctx, h.owner, id, api.Erase{Ground: "again"})
	if err != nil || !slices.Equal(again.Fields, []string{"output"}) || !slices.Equal(again.AlreadyErased, []string{"input"}) {
		t.Errorf("%+v, %v", again, err)
	}
	none, err := h.Erase(h.ctx, h.owner, id, api.Erase{Ground: "again"})
	if err != nil || len(none.Fields) != 0 || none.Receipt != nil {
		t.Errorf("%+v, %v", none, err)
	}
	same, err := h.Receipt(h.ctx, h.owner, id)
	if err != nil || !bytes.Equal(same.Receipt, recorded.Receipt) {
		t.Errorf("the receipt has changed: %v", err)
	}

	// A bundle says what is redacted, and verifies.
	var tar bytes.Buffer
	if err := h.Bundle(h.ctx, h.owner, receipt.Scope{Receipt: id}, 0, &tar); err != nil {
		t.Fatal(err)
	}
	report := receipt.OpenBundleTar(bytes.NewReader(tar.Bytes()), int64(tar.Len())).Verify(receipt.Trust{}, nil)
	i := slices.IndexFunc(report.Checks, func(c receipt.Check) bool { return c.Check == receipt.CheckRedactions })
	if report.Result != receipt.Verified || i < 0 || !strings.Contains(report.Checks[i].Detail, "2 payload fields are redacted: value erased, commitment intact") {
		t.Errorf("%+v", report)
	}
}

// An honest retry is answered before and after an erasure, and another body is
// refused; nothing that is kept confirms a guess of what was erased.
func TestRetryOfAnErasedEvent(t *testing.T) {
	h := newHouse(t)
	payload := map[string]string{"input": `"yes"`, "output": `1`}
	id := eventIDOf(t, h.record(withPayload("k", payload))[0].Receipt)
	status := func(e api.Event) api.IngestStatus { return h.record(e)[0].Status }
	guess := map[string]string{"input": `"no"`, "output": `1`}
	if got := status(withPayload("k", payload)); got != api.IngestDuplicate {
		t.Errorf("a retry: %s", got)
	}
	for name, other := range map[string]map[string]string{"another value": guess, "a field less": {"input": `"yes"`}, "a field more": {"input": `"yes"`, "output": `1`, "z": `1`}, "another name": {"input": `"yes"`, "outpu": `1`}, "none": nil} {
		if got := status(withPayload("k", other)); got != api.IngestRefused {
			t.Errorf("%s: %s", name, got)
		}
	}
	if _, err := h.Erase(h.ctx, h.owner, id, api.Erase{Fields: []string{"input"}, Ground: "because"}); err != nil {
		t.Fatal(err)
	}
	if got := status(withPayload("k", payload)); got != api.IngestDuplicate {
		t.Errorf("a retry after the erasure: %s", got)
	}
	if got := status(withPayload("k", guess)); got != api.IngestDuplicate {
		t.Errorf("a guess is answered in another way than the truth: %s", got)
	}
	if got := status(withPayload("k", map[string]string{"input": `"yes"`, "output": `2`})); got != api.IngestRefused {
		t.Errorf("another value of what was not erased: %s", got)
	}
	// Within one batch, too.
	batch := h.record(withPayload("m", payload), withPayload("m", payload), withPayload("m", guess))
	for i, want := range []api.IngestStatus{api.IngestCreated, api.IngestDuplicate, api.IngestRefused} {
		if batch[i].Status != want {
			t.Errorf("%d: %s, want %s", i, batch[i].Status, want)
		}
	}
}
