package authority

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/internal/rollout"
)

// createdBody is the body of a rollout_created receipt.
type createdBody struct {
	common
	Subject       subject    `json:"subject"`
	Stream        stream     `json:"stream"`
	Mode          api.Mode   `json:"mode"`
	Step          int        `json:"step"`
	Weight        int        `json:"weight"`
	Policy        api.Policy `json:"policy"`
	PolicyDigest  string     `json:"policy_digest"`
	Engine        string     `json:"engine"`
	Attempt       int        `json:"attempt"`
	AttemptReason string     `json:"attempt_reason,omitempty"`
	SpentBefore   float64    `json:"spent_before"`
	// Continues is the aborted rollout whose evidence and ledger go on.
	Continues  string `json:"continues,omitempty"`
	FirstEpoch int64  `json:"first_epoch"`
	// Epoch is the one that begins with the rollout.
	Epoch int64 `json:"epoch"`
	// History is the baseline's past that candidate runs without a baseline beside them are compared with.
	History    rollout.HistoryRef `json:"history,omitzero"`
	Labels     map[string]string  `json:"labels,omitempty"`
	Conditions []string           `json:"conditions"`
}

// CreateRollout declares a candidate against a baseline. An equal request for
// an unfinished rollout answers with it and created false. Creating fires no
// webhook: the CD system sets the first weight from the answer.
func (a *Authority) CreateRollout(ctx context.Context, p Principal, r api.CreateRollout) (api.Rollout, bool, error) {
	if err := p.need(api.RolloutManage); err != nil {
		return api.Rollout{}, false, err
	}
	if r.Environment == "" {
		r.Environment = api.DefaultEnvironment
		if p.Environment != "" {
			r.Environment = p.Environment
		}
	}
	if err := checkCreate(p, r); err != nil {
		return api.Rollout{}, false, err
	}
	var out stored
	created := false
	err := a.Store.Update(ctx, p.Org, func(tx Tx) error {
		var err error
		out, created, err = a.create(tx, p, r)
		return err
	})
	if errors.Is(err, ErrExists) {
		return api.Rollout{}, false, fail(CodeConflict, "another rollout of %s in %s was created at the same moment; ask again", r.AppID, r.Environment)
	}
	if err != nil {
		return api.Rollout{}, false, storeError("rollout", err)
	}
	return out.view(), created, nil
}

func checkCreate(p Principal, r api.CreateRollout) error {
	var fields []api.FieldError
	for _, n := range []struct{ pointer, what, value string }{
		{"/app_id", "app_id", r.AppID},
		{"/environment", "environment", r.Environment},
		{"/baseline_release", "baseline_release", r.BaselineRelease},
		{"/candidate_release", "candidate_release", r.CandidateRelease},
	} {
		if err := api.CheckName(n.what, n.value); err != nil {
			fields = append(fields, api.FieldError{Pointer: n.pointer, Detail: err.Error()})
		}
	}
	if len(fields) == 0 && r.BaselineRelease == r.CandidateRelease {
		fields = append(fields, api.FieldError{Pointer: "/candidate_release", Detail: "the candidate is the baseline: a release cannot be compared with itself"})
	}
	for key, value := range r.Labels {
		if api.CheckName("label", key) != nil || len(value) > 1000 || len(r.Labels) > 64 {
			fields = append(fields, api.FieldError{Pointer: "/labels", Detail: "at most 64 labels with names of 1 to 200 and values of up to 1000 bytes"})
			break
		}
	}
	if len(r.AttemptReason) > maxReason {
		fields = append(fields, api.FieldError{Pointer: "/attempt_reason", Detail: "at most 1000 bytes"})
	}
	if len(fields) > 0 {
		return &Error{Code: CodeInvalid, Detail: fields[0].Detail, Fields: fields}
	}
	if !p.sees(r.Environment) {
		return fail(CodeForbidden, "this key is limited to the environment %q", p.Environment)
	}
	return nil
}

// maxReason is the length of the longest reason of a person, in bytes.
const maxReason = 1000

// create does its work under the head's lock, so that two requests at once see each other.
func (a *Authority) create(tx Tx, p Principal, r api.CreateRollout) (stored, bool, error) {
	head, err := tx.LockHead()
	if err != nil {
		return stored{}, false, err
	}
	request, err := requestDigest(r)
	if err != nil {
		return stored{}, false, err
	}
	open, err := unfinishedOf(tx, r)
	if err != nil {
		return stored{}, false, err
	}
	for _, s := range open { // before the policy is filled in: its defaults may come out otherwise by now
		if s.RequestDigest == request {
			return s, false, nil
		}
	}
	traffic, seen, err := a.traffic(tx, r)
	if err != nil {
		return stored{}, false, err
	}
	b, err := a.begin(tx, p, r, seen, request)
	if err != nil {
		return stored{}, false, err
	}
	if same, err := clash(open, b.stored); err != nil || same != nil {
		if err != nil {
			return stored{}, false, err
		}
		return *same, false, nil
	}
	b.Plan = rollout.PlanOf(b.Core.Policy, withFailures(traffic, b.Core.Policy))
	err = a.declare(tx, p, head, &b, b.CreatedAt)
	return b.stored, true, err
}

// requestDigest tells requests apart by what they ask for, not by why.
func requestDigest(r api.CreateRollout) (string, error) {
	r.AttemptReason, r.Labels = "", nil
	data, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// unfinishedOf lists the unfinished rollouts of the app and environment, newest first.
func unfinishedOf(tx Tx, r api.CreateRollout) ([]stored, error) {
	records, err := tx.Rollouts(RolloutFilter{AppID: r.AppID, Environment: r.Environment, States: unfinished()}, maxUnfinished)
	if err != nil {
		return nil, err
	}
	out := make([]stored, len(records))
	for i, record := range records {
		if out[i], err = open(record); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// clash finds among the unfinished rollouts the one that is equal to a new
// one. A canary beside another one is a conflict, and so is one rollout too many.
func clash(unfinished []stored, b stored) (*stored, error) {
	for _, s := range unfinished {
		if s.Core.Policy.Mode != b.Core.Policy.Mode {
			continue
		}
		if s.BaselineRelease == b.BaselineRelease && s.CandidateRelease == b.CandidateRelease && s.PolicyDigest == b.PolicyDigest {
			return &s, nil
		}
		if !s.shadow() {
			return nil, fail(CodeConflict, "the canary %s (%s against %s) of %s in %s is %s; finish or abort it first, or create a shadow",
				s.Core.ID, s.CandidateRelease, s.BaselineRelease, s.AppID, s.Environment, s.Core.State)
		}
	}
	if len(unfinished) == maxUnfinished {
		return nil, fail(CodeConflict, "%s in %s has %d unfinished rollouts; abort some first", b.AppID, b.Environment, maxUnfinished)
	}
	return nil, nil
}

// declare seals the rollout_created receipt and writes everything.
func (a *Authority) declare(tx Tx, p Principal, head Head, b *beginning, now time.Time) error {
	index := head.Tree.Size()
	s := &b.stored
	epoch, err := beginEpoch(tx, *s, index+1, now)
	if err != nil {
		return err
	}
	if s.FirstEpoch == 0 {
		s.FirstEpoch = epoch
	}
	s.Core, s.StepAt = s.Core.From(index+1), now
	body := createdBody{
		common:  a.common(p, api.KindRolloutCreated, now),
		Subject: subject{RolloutID: s.Core.ID, BaselineRelease: s.BaselineRelease, CandidateRelease: s.CandidateRelease},
		Stream:  stream{ID: s.Core.ID}, Mode: s.Core.Policy.Mode, Step: s.Core.Step, Weight: s.Core.Weight(), Policy: s.Core.Policy,
		PolicyDigest: s.PolicyDigest, Engine: api.Engine, Attempt: s.Core.Attempt, AttemptReason: s.AttemptReason, SpentBefore: s.SpentBefore,
		FirstEpoch: s.FirstEpoch, Epoch: epoch, History: s.Core.History, Labels: s.Labels, Conditions: evidence.Conditions(s.Core.Policy),
	}
	if b.before != nil {
		body.Continues = b.before.Core.ID
	}
	body.Source = &api.EventSource{AppID: s.AppID, Environment: s.Environment, Release: s.CandidateRelease}
	entry, sealed, err := a.sealedEntry(body, now)
	if err != nil {
		return err
	}
	entry.AppID, entry.Environment, entry.Release, entry.RolloutID = s.AppID, s.Environment, s.CandidateRelease, s.Core.ID
	s.StreamHead = sealed.IntegrityHash
	record, err := s.pack()
	if err != nil {
		return err
	}
	if err := tx.CreateRollout(record); err != nil {
		return err
	}
	if _, err := appendEntries(tx, head, []Entry{entry}); err != nil {
		return err
	}
	first, err := b.firstBlock(tx, epoch, index+1)
	if err != nil {
		return err
	}
	if b.historyDoc != nil {
		if err := tx.SaveBlock(BlockRecord{RolloutID: s.Core.ID, Closed: true, Doc: b.historyDoc}); err != nil {
			return err
		}
	}
	return saveBlocks(tx, evidence.Filling{RolloutID: s.Core.ID, Closed: b.pendingBlocks, Block: first})
}

// beginEpoch ends the open epoch, so that a rollout's evidence begins with a
// new one, and returns its number. A canary changes a weight, and ends the
// blocks that others are filling; a shadow does not.
func beginEpoch(tx Tx, s stored, index int64, now time.Time) (int64, error) {
	f := newFold(tx)
	t, err := f.Target(s.AppID, s.Environment, index, now)
	if err != nil {
		return 0, err
	}
	if s.shadow() {
		t.Begin(index, now)
	} else if err := f.Cut(t, index, now); err != nil {
		return 0, err
	}
	return t.Epoch.Number, saveChanges(tx, f.Changes())
}

// traffic is what has been seen of the app, and the metrics that the baseline has reported.
func (a *Authority) traffic(tx Tx, r api.CreateRollout) (trafficSeen, []string, error) {
	var t trafficSeen
	var seen []string
	releases, err := tx.Releases(r.AppID, r.Environment)
	if err != nil {
		return t, nil, err
	}
	for _, release := range releases {
		if release.Release == r.BaselineRelease {
			seen = slices.Clone(release.Metrics)
		}
	}
	epoch, err := tx.OpenEpoch(r.AppID, r.Environment)
	if errors.Is(err, ErrNotFound) {
		return t, seen, nil
	}
	if err != nil {
		return t, nil, err
	}
	if elapsed := a.now().Sub(epoch.StartedAt); elapsed > time.Second && epoch.Runs > 0 {
		t.RunsPerHour = float64(epoch.Runs) / elapsed.Hours()
	}
	t.cohorts, err = tx.Cohorts(CohortFilter{AppID: r.AppID, Environment: r.Environment, FromSpan: epoch.Span, Releases: []string{r.BaselineRelease}})
	return t, seen, err
}

type trafficSeen struct {
	rollout.Traffic
	cohorts []Cohort
}

// withFailures adds the baseline's failure rate on the policy's RateGate.
func withFailures(t trafficSeen, p api.Policy) rollout.Traffic {
	out := t.Traffic
	g, ok := rollout.RateGate(p)
	if !ok {
		return out
	}
	failures := int64(0)
	for _, c := range t.cohorts {
		m := c.Metrics[g.Metric]
		out.Runs += m.Count()
		if g.Better == api.BetterHigher {
			failures += m.Zeros()
		} else {
			failures += m.Ones()
		}
	}
	if out.Runs > 0 {
		out.FailureRate = float64(failures) / float64(out.Runs)
	}
	return out
}
