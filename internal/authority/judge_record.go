package authority

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/receipt"
)

// JudgmentSubmission is one judgment of a request.
type JudgmentSubmission struct {
	Judgment api.Judgment
	// Refused is set if the judgment could not be read; it is reported and the others go on.
	Refused *api.Problem
}

// judgmentBody is the body of a judgment's receipt.
type judgmentBody struct {
	common
	evidence.Judged
	// Commitments hold one salted digest for each text of the judge, which can be erased.
	Commitments map[string]string `json:"payload_commitments,omitempty"`
}

// pendingJudgment is a judgment on its way into the log.
type pendingJudgment struct {
	pending
	record JudgmentRecord
}

// RecordJudgments signs judgments and appends them to the org's log. The
// results are in the order of the batch; a bad judgment is refused alone. No
// decision is made here: a tick reads what was recorded.
//
// A crash before the commit leaves nothing behind; after it the receipts are
// there, and a client that got no answer sends the same idempotency keys again.
func (a *Authority) RecordJudgments(ctx context.Context, p Principal, batch []JudgmentSubmission) ([]api.IngestResult, error) {
	if err := p.need(api.JudgeWrite); err != nil {
		return nil, err
	}
	results, err := a.recordJudgments(ctx, p, batch)
	if errors.Is(err, errKeyEnded) { // the key was rotated under way: the new one signs
		results, err = a.recordJudgments(ctx, p, batch)
	}
	return results, storeError("log", err)
}

func (a *Authority) recordJudgments(ctx context.Context, p Principal, batch []JudgmentSubmission) ([]api.IngestResult, error) {
	now := a.now()
	results := make([]api.IngestResult, len(batch))
	var work []*pendingJudgment
	err := a.Store.View(ctx, p.Org, func(s Snapshot) error {
		work = work[:0]
		for i := range batch {
			results[i] = api.IngestResult{Index: i}
			if batch[i].Refused != nil {
				results[i].Status, results[i].Problem = api.IngestRefused, batch[i].Refused
				continue
			}
			w, err := a.prepareJudgment(s, p, batch[i].Judgment, now)
			if refused, ok := errors.AsType[*Error](err); ok && refused.Code != CodeInternal {
				refuse(&results[i], err)
				continue
			}
			if err != nil {
				return err
			}
			w.result = &results[i]
			work = append(work, w)
		}
		return nil
	})
	if err != nil || len(work) == 0 {
		return results, err
	}
	err = a.Store.Update(ctx, p.Org, func(tx Tx) error { return a.appendJudgments(tx, work) })
	if err == nil {
		a.changed.notify()
	}
	return results, err
}

// appendJudgments gives judgments their places in the log. It may be run again.
func (a *Authority) appendJudgments(tx Tx, work []*pendingJudgment) error {
	head, err := tx.LockHead()
	if err != nil {
		return err
	}
	seen := map[[3]string]*pending{}
	var entries []Entry
	var records []JudgmentRecord
	for _, w := range work {
		*w.result = api.IngestResult{Index: w.result.Index}
		if done, err := a.duplicate(tx, &w.pending, seen); done || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		index := head.Tree.Size() + int64(len(entries))
		w.entry.Index, w.record.Index = index, index
		if w.entry.IdempotencyKey != "" {
			seen[idempotencyScope(w.entry)] = &w.pending
		}
		w.result.Status, w.result.LogIndex, w.result.Receipt = api.IngestCreated, &index, w.entry.Raw
		entries, records = append(entries, w.entry), append(records, w.record)
	}
	if len(entries) == 0 {
		return nil
	}
	if _, err := appendEntries(tx, head, entries); err != nil {
		return err
	}
	return tx.AddJudgments(records)
}

// prepareJudgment checks a judgment and signs it.
func (a *Authority) prepareJudgment(s Snapshot, p Principal, j api.Judgment, now time.Time) (*pendingJudgment, error) {
	if j.Environment == "" {
		j.Environment = api.DefaultEnvironment
	}
	body := judgmentBody{common: a.common(p, api.KindJudgment, now)}
	if err := checkJudgment(p, &j, now, &body.common); err != nil {
		return nil, err
	}
	runs, err := judgedRuns(s, p, j)
	if err != nil {
		return nil, err
	}
	texts := map[string]json.RawMessage{}
	j.Answers = slices.Clone(j.Answers) // they are the caller's
	for i := range j.Answers {
		if reason := j.Answers[i].Reason; reason != "" {
			texts[answerField(i)], _ = json.Marshal(reason) // checked to be UTF-8
			j.Answers[i].Reason = ""
		}
	}
	commitments, payloads, err := a.commit(texts)
	if err != nil {
		return nil, err
	}
	body.Source = &api.EventSource{AppID: j.AppID, Environment: j.Environment, Release: j.CandidateRelease}
	body.Commitments = commitments
	body.Judged = evidence.Judged{
		Subject: evidence.Subject{BaselineRelease: j.BaselineRelease, CandidateRelease: j.CandidateRelease}, ProbeID: j.ProbeID, Judge: j.Judge,
		Verdict: j.Verdict, Answers: j.Answers, Runs: runs, BaselineChars: j.BaselineChars, CandidateChars: j.CandidateChars,
		Calls: j.Calls, CostUSD: j.CostUSD, LatencyMS: j.LatencyMS,
	}
	if body.IdempotencyKey = j.IdempotencyKey; j.IdempotencyKey == "" {
		body.IdempotencyKey = body.EventID
	}
	sent, err := json.Marshal(j)
	if err != nil {
		return nil, invalid("", "the judgment cannot be written as JSON: %v", err)
	}
	entry, sealed, err := a.sealedEntry(body, now)
	if err != nil {
		return nil, err
	}
	entry.AppID, entry.Environment, entry.Release, entry.ProbeID = j.AppID, j.Environment, j.CandidateRelease, j.ProbeID
	entry.IdempotencyKey, entry.RequestHash, entry.Payloads = j.IdempotencyKey, sha256.Sum256(sent), payloads
	parsed, err := receipt.Parse(sealed.Raw)
	if err != nil {
		return nil, err
	}
	kept, err := evidence.JudgmentOf(parsed, 0) // what a verifier will read from the receipt
	if err != nil {
		return nil, err
	}
	doc, err := json.Marshal(kept)
	if err != nil {
		return nil, err
	}
	return &pendingJudgment{pending: pending{entry: entry}, record: JudgmentRecord{
		AppID: j.AppID, Environment: j.Environment, Baseline: j.BaselineRelease, Candidate: j.CandidateRelease, ProbeID: j.ProbeID,
		Judge: evidence.JudgeKey(j.Judge), Decided: j.Verdict != api.PreferNone, Doc: doc,
	}}, nil
}

// checkJudgment refuses what cannot be a judgment, and settles its verdict.
func checkJudgment(p Principal, j *api.Judgment, now time.Time, body *common) error {
	for _, n := range []struct {
		pointer, what, value string
		optional             bool
	}{
		{"/app_id", "app_id", j.AppID, false},
		{"/environment", "environment", j.Environment, false},
		{"/baseline_release", "baseline_release", j.BaselineRelease, false},
		{"/candidate_release", "candidate_release", j.CandidateRelease, false},
		{"/probe_id", "probe_id", j.ProbeID, false},
		{"/judge/model", "judge.model", j.Judge.Model, false},
		{"/judge/version", "judge.version", j.Judge.Version, true},
		{"/judge/template", "judge.template", j.Judge.Template, true},
		{"/idempotency_key", "idempotency_key", j.IdempotencyKey, true},
	} {
		if n.optional && n.value == "" {
			continue
		}
		if err := api.CheckName(n.what, n.value); err != nil {
			return invalid(n.pointer, "%v", err)
		}
	}
	if j.BaselineRelease == j.CandidateRelease {
		return invalid("/candidate_release", "both releases are %q: a judgment is about two", j.BaselineRelease)
	}
	if !p.sees(j.Environment) {
		return fail(CodeForbidden, "this key is limited to the environment %q and the judgment is of %q", p.Environment, j.Environment)
	}
	if err := checkAnswers(j); err != nil {
		return err
	}
	for _, n := range []struct {
		pointer string
		value   *float64
	}{
		{"/baseline_chars", whole(j.BaselineChars)},
		{"/candidate_chars", whole(j.CandidateChars)},
		{"/calls", whole(j.Calls)},
		{"/cost_usd", j.CostUSD},
		{"/latency_ms", j.LatencyMS},
	} {
		if n.value != nil && !(*n.value >= 0 && *n.value <= math.MaxInt32*1000.0) {
			return invalid(n.pointer, "%s is a number from 0 on; got %v", n.pointer[1:], *n.value)
		}
	}
	return occurred(j.OccurredAt, now, body)
}

func whole(n *int64) *float64 {
	if n == nil {
		return nil
	}
	f := float64(*n)
	return &f
}

// checkAnswers checks what the judge said in each order, and the verdict that follows.
func checkAnswers(j *api.Judgment) error {
	if len(j.Answers) > 2 {
		return invalid("/answers", "%d answers: a pair is shown in two orders at most", len(j.Answers))
	}
	for i, answer := range j.Answers {
		at := "/answers/" + strconv.Itoa(i)
		if answer.First != api.PreferBaseline && answer.First != api.PreferCandidate {
			return invalid(at+"/first", "first says whose answer was shown first: baseline or candidate; got %q", answer.First)
		}
		if i == 1 && answer.First == j.Answers[0].First {
			return invalid(at+"/first", "both answers were given in the same order: %s first", answer.First)
		}
		switch answer.Verdict {
		case api.PositionFirst, api.PositionSecond, api.PositionTie, api.PositionNone:
		default:
			return invalid(at+"/verdict", "a judge's answer is first, second, tie or none; got %q", answer.Verdict)
		}
		if len(answer.Reason) > api.MaxReason || !utf8.ValidString(answer.Reason) {
			return invalid(at+"/reason", "a judge's text is at most %d bytes of valid UTF-8", api.MaxReason)
		}
	}
	settled := api.Settle(j.Answers)
	switch {
	case j.Verdict == "" && len(j.Answers) == 0:
		return invalid("/verdict", "a judgment needs a verdict: baseline, candidate, tie or none; or the judge's answers, which settle it")
	case j.Verdict == "":
		j.Verdict = settled
	case j.Verdict != api.PreferBaseline && j.Verdict != api.PreferCandidate && j.Verdict != api.PreferTie && j.Verdict != api.PreferNone:
		return invalid("/verdict", "a verdict is baseline, candidate, tie or none; got %q", j.Verdict)
	case len(j.Answers) > 0 && j.Verdict != settled:
		return invalid("/verdict", "the answers settle on %s, and the verdict is %s; leave the verdict out", settled, j.Verdict)
	}
	return nil
}

// judgedRuns are the runs that a judgment names, with the commitments to what they answered.
func judgedRuns(s Snapshot, p Principal, j api.Judgment) (*evidence.JudgedRuns, error) {
	if j.BaselineEventID == "" && j.CandidateEventID == "" {
		return nil, nil
	}
	baseline, err := judgedRun(s, p, j, "/baseline_event_id", j.BaselineEventID, j.BaselineRelease)
	if err != nil {
		return nil, err
	}
	candidate, err := judgedRun(s, p, j, "/candidate_event_id", j.CandidateEventID, j.CandidateRelease)
	return &evidence.JudgedRuns{Baseline: baseline, Candidate: candidate}, err
}

func judgedRun(s Snapshot, p Principal, j api.Judgment, pointer, eventID, release string) (evidence.JudgedRun, error) {
	e, err := s.Entry(eventID)
	if errors.Is(err, ErrNotFound) || err == nil && !p.sees(e.Environment) {
		return evidence.JudgedRun{}, invalid(pointer, "there is no run with the receipt %q; name both runs or none", eventID)
	}
	if err != nil {
		return evidence.JudgedRun{}, err
	}
	if e.Kind != api.KindAgentRun || e.AppID != j.AppID || e.Environment != j.Environment || e.Release != release || e.ProbeID != j.ProbeID {
		return evidence.JudgedRun{}, invalid(pointer, "the receipt %s is not a run of release %q of %s in %s on the probe %q", eventID, release, j.AppID, j.Environment, j.ProbeID)
	}
	commitments, err := commitmentsOf(e)
	if err != nil {
		return evidence.JudgedRun{}, damaged(fmt.Errorf("receipt %s: %w", eventID, err))
	}
	return evidence.JudgedRun{EventID: eventID, Output: commitments["output"]}, nil
}
