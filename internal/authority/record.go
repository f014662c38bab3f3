package authority

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/receipt"
)

// Submission is one event of an ingest request.
type Submission struct {
	Event api.Event
	// Canonical are the RFC 8785 bytes of the event as it was sent; their digest, and the payload beside it, decide what counts as the same body.
	Canonical []byte
	// Release stands in for a source.release that the event does not carry.
	Release string
	// Refused is set if the event could not be read; it is reported and the others go on.
	Refused *api.Problem
}

// reserved are the kinds that only the server writes.
func reserved(kind string) bool {
	switch kind {
	case api.KindRolloutCreated, api.KindRolloutDecision, api.KindRolloutAction, api.KindKeyEvent, api.KindOperatorAction,
		api.KindJudgment, api.KindCalibration, kindErasure, "export":
		return true
	}
	return false
}

// pending is an event on its way into the log.
type pending struct {
	result *api.IngestResult
	event  api.Event
	entry  Entry
}

// Record signs events and appends them to the org's log. The results are in
// the order of the batch. A bad event is refused alone; the error is for the
// batch as a whole, and then nothing was recorded.
//
// A crash before the commit leaves nothing behind; after it the receipts are
// there, and a client that got no answer sends the same idempotency keys again.
func (a *Authority) Record(ctx context.Context, p Principal, batch []Submission) ([]api.IngestResult, error) {
	if err := p.need(api.AuditIngest); err != nil {
		return nil, err
	}
	results, err := a.recordOnce(ctx, p, batch)
	if errors.Is(err, errKeyEnded) { // the key was rotated under way: the new one signs
		results, err = a.recordOnce(ctx, p, batch)
	}
	return results, err
}

func (a *Authority) recordOnce(ctx context.Context, p Principal, batch []Submission) ([]api.IngestResult, error) {
	now := a.now()
	results := make([]api.IngestResult, len(batch))
	work := make([]*pending, len(batch))
	a.each(len(batch), func(i int) {
		results[i].Index = i
		if batch[i].Refused != nil {
			results[i].Status, results[i].Problem = api.IngestRefused, batch[i].Refused
			return
		}
		entry, event, err := a.prepare(p, batch[i], now)
		if err != nil {
			refuse(&results[i], err)
			return
		}
		work[i] = &pending{result: &results[i], event: event, entry: entry}
	})
	work = slices.DeleteFunc(work, func(w *pending) bool { return w == nil })
	if len(work) == 0 {
		return results, nil
	}
	err := a.recording.do(ctx, p.Org, work, func(ctx context.Context, work []*pending) error {
		return a.Store.Update(ctx, p.Org, func(tx Tx) error { return a.record(tx, work) })
	})
	if err != nil {
		return nil, storeError("log", err)
	}
	return results, nil
}

// each runs fn for 0 … n-1 on all cores: signing is what a large batch costs.
func (a *Authority) each(n int, fn func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), (n+31)/32)
	if workers <= 1 {
		for i := range n {
			fn(i)
		}
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				fn(i)
			}
		})
	}
	wg.Wait()
}

func refuse(r *api.IngestResult, err error) {
	r.Status, r.Receipt, r.LogIndex, r.Problem = api.IngestRefused, nil, nil, ProblemOf(err)
}

// record assigns indexes and folds metrics in, under the head's lock. It may
// be run again, so it starts from the prepared entries each time.
func (a *Authority) record(tx Tx, work []*pending) error {
	head, err := tx.LockHead()
	if err != nil {
		return err
	}
	fold := newFold(tx)
	seen := map[[3]string]*pending{}
	var entries []Entry
	for _, w := range work {
		*w.result = api.IngestResult{Index: w.result.Index}
		if done, err := a.duplicate(tx, w, seen); done || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		index := head.Tree.Size() + int64(len(entries))
		w.entry.Index = index
		if err := add(fold, w); err != nil {
			if _, refused := errors.AsType[*Error](err); refused {
				refuse(w.result, err)
				continue
			}
			return err
		}
		if w.entry.IdempotencyKey != "" {
			seen[idempotencyScope(w.entry)] = w
		}
		w.result.Status, w.result.LogIndex, w.result.Receipt = api.IngestCreated, &index, w.entry.Raw
		entries = append(entries, w.entry)
	}
	if len(entries) == 0 {
		return nil
	}
	if _, err := appendEntries(tx, head, entries); err != nil {
		return err
	}
	return saveChanges(tx, fold.Changes())
}

// add folds an event in and notes what its sender should know. An *Error
// refuses it; any other ends the transaction.
func add(fold *evidence.Fold, w *pending) error {
	e := evidence.Event{
		Index: w.entry.Index, EventID: w.entry.EventID, Kind: w.entry.Kind, AppID: w.entry.AppID, Environment: w.entry.Environment,
		Release: w.entry.Release, RunID: w.entry.RunID, ProbeID: w.entry.ProbeID, UnitID: w.event.UnitID,
		Model: evidence.ModelName(w.event.Model), RecordedAt: w.entry.RecordedAt, Metrics: w.event.Metrics,
	}
	note, err := fold.Add(&e)
	if known, ok := errors.AsType[*evidence.KnownMetric](err); ok {
		return &Error{
			Code: CodeConflict, Detail: fmt.Sprintf("the run %q has the metric %s already (receipt %s); an outcome only adds", known.RunID, known.Metric, known.EventID),
			Fields: []api.FieldError{{Pointer: "/metrics/" + known.Metric, Detail: "the run has this metric already"}},
		}
	}
	if err != nil {
		return err
	}
	w.entry.Epoch, w.entry.Release = e.Epoch, e.Release
	switch note {
	case evidence.NoRelease:
		w.result.Note = "the run carries no release: it is kept and not counted; set source.release or the header " + api.ReleaseHeader
	case evidence.UnknownRun:
		w.result.Note = "no run with this run_id has been seen: the outcome is kept and not counted"
	case evidence.Counted:
	}
	return nil
}

func idempotencyScope(e Entry) [3]string {
	return [3]string{e.Environment, e.AppID, e.IdempotencyKey}
}

// duplicate answers an event whose idempotency key was used before.
func (a *Authority) duplicate(tx Tx, w *pending, seen map[[3]string]*pending) (bool, error) {
	if w.entry.IdempotencyKey == "" {
		return false, nil
	}
	first, found := Entry{}, false
	if same, ok := seen[idempotencyScope(w.entry)]; ok {
		first, found = same.entry, true
	} else {
		e, err := tx.EntryByKey(w.entry.AppID, w.entry.Environment, w.entry.IdempotencyKey)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return false, err
		}
		first, found = e, err == nil
	}
	if !found {
		return false, nil
	}
	same := first.RequestHash == w.entry.RequestHash || first.RequestHash == [32]byte{} // of an earlier version, whose digest was taken away
	if same {
		var err error
		if same, err = samePayload(tx, first, w.entry); err != nil {
			return false, err
		}
	}
	if !same {
		refuse(w.result, &Error{
			Code: CodeConflict, Fields: []api.FieldError{{Pointer: "/idempotency_key", Detail: "used before with another body"}},
			Detail: fmt.Sprintf("the idempotency_key %q was used before for another body (receipt %s); send a new key, or the same body", w.entry.IdempotencyKey, first.EventID),
		})
		return true, nil
	}
	w.result.Status, w.result.LogIndex, w.result.Receipt = api.IngestDuplicate, &first.Index, first.Raw
	return true, nil
}

// runBody is the body of an event's receipt.
type runBody struct {
	common
	Model      *api.EventModel            `json:"model,omitempty"`
	RunID      string                     `json:"run_id,omitempty"`
	ProbeID    string                     `json:"probe_id,omitempty"`
	UnitID     string                     `json:"unit_id,omitempty"`
	Metrics    map[string]api.Metric      `json:"metrics,omitempty"`
	Attributes map[string]json.RawMessage `json:"attributes,omitempty"`
	// Commitments hold one salted digest for each payload field; the payload itself is erasable and not in the receipt.
	Commitments map[string]string `json:"payload_commitments,omitempty"`
}

// prepare checks an event, fills in what it leaves out and signs it.
func (a *Authority) prepare(p Principal, s Submission, now time.Time) (Entry, api.Event, error) {
	e := s.Event
	sent := s.Canonical
	if len(e.Payload) > 0 {
		var err error
		if sent, err = withoutPayload(sent); err != nil {
			return Entry{}, e, invalid("", "the event cannot be written as JSON: %v", err)
		}
	}
	hash := sha256.New()
	hash.Write(sent)
	if e.Source.Release == "" && s.Release != "" {
		e.Source.Release = s.Release
		hash.Write([]byte{0})
		hash.Write([]byte(s.Release))
	}
	if e.Source.Environment == "" {
		e.Source.Environment = api.DefaultEnvironment
	}
	body := runBody{common: a.common(p, e.Kind, now), Model: e.Model, RunID: e.RunID, ProbeID: e.ProbeID, UnitID: e.UnitID, Metrics: e.Metrics, Attributes: e.Attributes}
	err := checkEvent(p, e, now, &body.common)
	if err != nil {
		return Entry{}, e, err
	}
	if e.IdempotencyKey == "" {
		body.IdempotencyKey = body.EventID
	} else {
		body.IdempotencyKey = e.IdempotencyKey
	}
	body.Source = &e.Source
	var payloads []Payload
	if body.Commitments, payloads, err = a.commit(e.Payload); err != nil {
		return Entry{}, e, err
	}
	data, err := json.Marshal(body)
	if err != nil {
		return Entry{}, e, invalid("", "the event cannot be written as JSON: %v", err)
	}
	signer, ok := a.signing.Load().find(body.KeyID)
	if !ok {
		return Entry{}, e, fail(CodeInternal, "the receipt names a key that is not at hand")
	}
	sealed, err := signer.Seal(data)
	if err != nil {
		return Entry{}, e, sealError(err)
	}
	entry := Entry{
		EventID: sealed.EventID, Kind: sealed.Kind, KeyID: signer.KeyID(), Raw: sealed.Raw, Leaf: sealed.LeafHash, RecordedAt: now,
		AppID: e.Source.AppID, Environment: e.Source.Environment, Release: e.Source.Release, RunID: e.RunID, ProbeID: e.ProbeID,
		IdempotencyKey: e.IdempotencyKey, RequestHash: [32]byte(hash.Sum(nil)), Metrics: slices.Sorted(maps.Keys(e.Metrics)), Payloads: payloads,
	}
	return entry, e, nil
}

func sealError(err error) error {
	if errors.Is(err, receipt.ErrNotSigned) {
		return &Error{Code: CodeInternal, Detail: "the receipt could not be signed", Cause: err}
	}
	if c, ok := errors.AsType[*receipt.CanonicalError](err); ok {
		return invalid(c.Pointer, "%s", c.Reason)
	}
	return &Error{Code: CodeInvalid, Detail: "the event cannot be signed: " + err.Error()}
}

// commit makes salted commitments to payload fields, which stand in the receipt in their place.
func (a *Authority) commit(fields map[string]json.RawMessage) (map[string]string, []Payload, error) {
	if len(fields) == 0 {
		return nil, nil, nil
	}
	commitments := make(map[string]string, len(fields))
	payloads := make([]Payload, 0, len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value, err := receipt.Canonical(fields[name])
		if err != nil {
			return nil, nil, sealError(err)
		}
		pl := Payload{Field: name, Value: value}
		a.Random(pl.Salt[:])
		commitments[name] = receipt.Commit(pl.Salt, value)
		payloads = append(payloads, pl)
	}
	return commitments, payloads, nil
}

// checkEvent refuses what cannot be recorded and settles occurred_at.
func checkEvent(p Principal, e api.Event, now time.Time, body *common) error {
	switch {
	case e.Kind == "":
		return invalid("/kind", "kind is missing; a run has the kind agent_run")
	case reserved(e.Kind):
		return invalid("/kind", "the kind %s is written by the server alone", e.Kind)
	case e.Source.AppID == "":
		return invalid("/source/app_id", "source.app_id is missing: it names the agent")
	case e.Kind == api.KindAgentRun && e.Metrics == nil:
		return invalid("/metrics", "an agent_run needs metrics, such as {\"success\": true}")
	case e.Kind == api.KindOutcome && (e.RunID == "" || len(e.Metrics) == 0):
		return invalid("/run_id", "an outcome needs the run_id of its run and at least one metric")
	case len(e.Metrics) > api.MaxMetrics:
		return invalid("/metrics", "%d metrics, the most is %d", len(e.Metrics), api.MaxMetrics)
	case !p.sees(e.Source.Environment):
		return fail(CodeForbidden, "this key is limited to the environment %q and the event is of %q", p.Environment, e.Source.Environment)
	}
	for _, n := range []struct{ pointer, what, value string }{
		{"/kind", "kind", e.Kind},
		{"/source/app_id", "app_id", e.Source.AppID},
		{"/source/environment", "environment", e.Source.Environment},
		{"/source/release", "release", e.Source.Release},
		{"/run_id", "run_id", e.RunID},
		{"/probe_id", "probe_id", e.ProbeID},
		{"/unit_id", "unit_id", e.UnitID},
		{"/idempotency_key", "idempotency_key", e.IdempotencyKey},
	} {
		if n.value == "" {
			continue
		}
		if err := api.CheckName(n.what, n.value); err != nil {
			return invalid(n.pointer, "%v", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Metrics)) {
		if err := api.CheckName("metric", name); err != nil {
			return invalid("/metrics", "%v", err)
		}
		if v := e.Metrics[name].Value; math.IsNaN(v) || math.Abs(v) > api.MaxMagnitude {
			return invalid("/metrics/"+name, "%v", api.ErrMetric)
		}
	}
	return occurred(e.OccurredAt, now, body)
}

// occurred settles when something happened: when it was recorded, unless it says otherwise.
func occurred(text string, now time.Time, body *common) error {
	if text == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return invalid("/occurred_at", "occurred_at %q is not a time such as 2026-05-15T18:42:00Z", text)
	}
	if at.After(now.Add(receipt.ClockSkew)) {
		return invalid("/occurred_at", "occurred_at %s is more than %s after the server's clock (%s); set the sender's clock", text, receipt.ClockSkew, stamp(now))
	}
	if at.Year() < 0 || at.Year() > 9999 {
		return invalid("/occurred_at", "occurred_at %q is outside the years 0 to 9999", text)
	}
	body.OccurredAt = at.UTC().Format(time.RFC3339Nano)
	return nil
}
