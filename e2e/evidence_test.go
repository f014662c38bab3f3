package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/prova"
	"github.com/cobound/prova/receipt"
)

// vault is an export of the whole log, verified offline by prova-verify with
// the keys that the server publishes.
type vault struct {
	s        *testServer
	file     string
	receipts []sealed
}

// sealed is a receipt at its place in the log.
type sealed struct {
	index int64
	raw   json.RawMessage
	receipt.Receipt
	body decisionReceipt
}

// decisionReceipt is what these tests read of the body of a rollout's receipt.
type decisionReceipt struct {
	Subject struct {
		RolloutID string `json:"rollout_id"`
	} `json:"subject"`
	Decision    api.Action   `json:"decision"`
	Reason      api.Reason   `json:"reason"`
	StepBefore  int          `json:"step_before"`
	Step        int          `json:"step"`
	Weight      int          `json:"weight"`
	Attempt     int          `json:"attempt"`
	SpentBefore float64      `json:"spent_before"`
	Advisory    bool         `json:"advisory"`
	Continues   string       `json:"continues"`
	Verdict     *api.Verdict `json:"verdict"`
	Policy      api.Policy   `json:"policy"`
	FirstEpoch  int64        `json:"first_epoch"`
	Evidence    struct {
		LogSize int64 `json:"log_size"`
		Blocks  []struct {
			Number     int64  `json:"number"`
			Stratum    int64  `json:"stratum"`
			FirstIndex int64  `json:"first_index"`
			LastIndex  int64  `json:"last_index"`
			RunsDigest string `json:"runs_digest"`
		} `json:"blocks"`
		Looks        []api.Look `json:"looks"`
		LedgerDigest string     `json:"ledger_digest"`
	} `json:"evidence"`
	Stream struct {
		Seq int64 `json:"seq"`
	} `json:"stream"`
}

// keysFile saves the server's public keys as an auditor would.
func (s *testServer) keysFile() string {
	s.Helper()
	status, keys := s.request("GET", "/api/v1/keys", "")
	if status != 200 {
		s.Fatalf("the keys: %d %s", status, keys)
	}
	path := filepath.Join(s.TempDir(), "keys.json")
	s.ok(os.WriteFile(path, keys, 0o600))
	return path
}

// exportFile writes the log to a file.
func (s *testServer) exportFile() string {
	s.Helper()
	path := filepath.Join(s.TempDir(), "log.ndjson")
	s.run("prova", "receipts", "export", "--out", path).exits(0)
	return path
}

// export takes the log and verifies it offline.
func (s *testServer) export() vault {
	s.Helper()
	v := vault{s: s, file: s.exportFile()}
	run(s.TB, "prova-verify", "--key", s.keysFile(), v.file).exits(0).says("verified")
	data, err := os.ReadFile(v.file)
	s.ok(err)
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var line struct {
			LogIndex *int64          `json:"log_index"`
			Receipt  json.RawMessage `json:"receipt"`
		}
		s.ok(json.Unmarshal(lines.Bytes(), &line))
		if line.LogIndex == nil {
			continue // the head and the checkpoint
		}
		if *line.LogIndex != int64(len(v.receipts)) {
			s.Fatalf("index %d follows %d receipts", *line.LogIndex, len(v.receipts))
		}
		r, err := receipt.Parse(line.Receipt)
		s.ok(err)
		one := sealed{index: *line.LogIndex, raw: bytes.Clone(line.Receipt), Receipt: r}
		if r.Kind == api.KindRolloutDecision || r.Kind == api.KindRolloutCreated {
			s.ok(json.Unmarshal(r.Body, &one.body))
		}
		v.receipts = append(v.receipts, one)
	}
	s.ok(lines.Err())
	return v
}

// byKey finds the receipts with an idempotency key.
func (v vault) byKey() map[string][]sealed {
	found := map[string][]sealed{}
	for _, r := range v.receipts {
		if r.IdempotencyKey != "" {
			found[r.IdempotencyKey] = append(found[r.IdempotencyKey], r)
		}
	}
	return found
}

// of finds the receipts of a kind of one rollout.
func (v vault) of(rollout, kind string) []sealed {
	var found []sealed
	for _, r := range v.receipts {
		if r.Kind == kind && r.body.Subject.RolloutID == rollout {
			found = append(found, r)
		}
	}
	return found
}

// decisions is the whole time line of a rollout.
func (s *testServer) decisions(id string) []api.Decision {
	s.Helper()
	return all(s.TB, func(p prova.Page) (api.List[api.Decision], error) { return s.api().Decisions(s.Context(), id, p) })
}

// timeline checks the time line of a rollout against the log: each decision has
// its receipt and each receipt its decision, the sequence rises by one, and
// each step is left once. It returns the transitions.
func (v vault) timeline(id string) []api.Decision {
	v.s.Helper()
	decisions, receipts := v.s.decisions(id), v.of(id, api.KindRolloutDecision)
	if len(decisions) != len(receipts) {
		v.s.Errorf("%s has %d decisions and %d receipts", id, len(decisions), len(receipts))
	}
	var transitions []api.Decision
	step := 1
	for i, d := range decisions {
		if d.Sequence != int64(i+1) {
			v.s.Errorf("decision %d of %s has sequence %d", i+1, id, d.Sequence)
		}
		if d.Reason.Text == "" || d.Reason.Code == "" {
			v.s.Errorf("decision %d of %s has no reason", d.Sequence, id)
		}
		if d.StepBefore != step {
			v.s.Errorf("decision %d of %s begins at step %d, the one before left it at %d", d.Sequence, id, d.StepBefore, step)
		}
		step = d.Step
		if i < len(receipts) {
			v.same(d, receipts[i])
		}
		if d.Transition() {
			transitions = append(transitions, d)
		}
	}
	for i, d := range transitions {
		if last := i == len(transitions)-1; d.Terminal && !last {
			v.s.Errorf("%s goes on after its end: %+v", id, transitions[i+1])
		}
		if d.Decision == api.Promote && d.Step != d.StepBefore+1 {
			v.s.Errorf("decision %d of %s goes from step %d to %d", d.Sequence, id, d.StepBefore, d.Step)
		}
	}
	return transitions
}

// same wants a receipt to say what its decision says.
func (v vault) same(d api.Decision, r sealed) {
	v.s.Helper()
	b := r.body
	if r.EventID != d.EventID || r.index != d.LogIndex || b.Stream.Seq != d.Sequence || b.Decision != d.Decision ||
		b.Step != d.Step || b.StepBefore != d.StepBefore || b.Weight != d.Weight || b.Reason.Text != d.Reason.Text {
		v.s.Errorf("decision %d is\n%+v\nand its receipt, at %d, says\n%+v", d.Sequence, d, r.index, b)
	}
}

// delivered wants one webhook for each transition, in order and with what it
// decided, in the list of deliveries and at the receiver.
func (r *receiver) delivered(s *testServer, id string, transitions []api.Decision) {
	r.Helper()
	var queued []api.Delivery
	for _, d := range all(r.TB, func(p prova.Page) (api.List[api.Delivery], error) {
		return s.api().Deliveries(s.Context(), r.hook.ID, p)
	}) {
		if d.RolloutID == id {
			queued = append(queued, d)
		}
	}
	var got []arrival
	for _, a := range r.accepted() {
		if a.event.Data.RolloutID == id {
			got = append(got, a)
		}
	}
	if len(queued) != len(transitions) || len(got) != len(transitions) {
		r.Fatalf("%s: %d transitions, %d deliveries, %d webhooks accepted", id, len(transitions), len(queued), len(got))
	}
	listed := map[string]bool{}
	for _, q := range queued {
		listed[q.EventID] = q.Status == api.DeliveryDelivered
	}
	events := map[api.Action]string{api.Promote: api.EventPromote, api.Rollback: api.EventRollback}
	arrived := map[string]api.WebhookEvent{}
	for _, a := range got {
		arrived[a.id] = a.event
	}
	for _, d := range transitions {
		e := arrived[d.EventID]
		if e.Event != events[d.Decision] || e.Data.Weight != d.Weight || e.Data.Terminal != d.Terminal || e.Data.Sequence != d.Sequence || e.Data.Reason != d.Reason.Text {
			r.Errorf("for the decision %+v the webhook was %+v", d, e)
		}
		if !listed[d.EventID] {
			r.Errorf("the delivery of %s is not listed as delivered", d.EventID)
		}
	}
}
