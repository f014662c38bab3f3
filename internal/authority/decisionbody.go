package authority

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

// decisionBody is the body of a rollout_decision or rollout_action receipt.
type decisionBody struct {
	common
	Subject  subject    `json:"subject"`
	Stream   stream     `json:"stream"`
	Decision api.Action `json:"decision"`
	// Action names an operator's action and Override says that it went against, or ahead of, the verdict.
	Action       string     `json:"action,omitempty"`
	Override     bool       `json:"override,omitempty"`
	Reason       api.Reason `json:"reason"`
	Mode         api.Mode   `json:"mode"`
	Advisory     bool       `json:"advisory"`
	StateBefore  api.State  `json:"state_before"`
	State        api.State  `json:"state"`
	StepBefore   int        `json:"step_before"`
	Step         int        `json:"step"`
	WeightBefore int        `json:"weight_before"`
	Weight       int        `json:"weight"`
	Terminal     bool       `json:"terminal"`
	FreshRuns    int64      `json:"fresh_runs"`
	MinRuns      int64      `json:"min_runs"`
	PolicyDigest string     `json:"policy_digest"`
	Engine       string     `json:"engine"`
	Attempt      int        `json:"attempt"`
	// SpentBefore is the sum of the error budgets of earlier attempts.
	SpentBefore float64    `json:"spent_before"`
	Evidence    *evidenced `json:"evidence,omitempty"`
	// Conditions are what the promised error rate rests on.
	Conditions []string     `json:"conditions,omitempty"`
	Verdict    *api.Verdict `json:"verdict,omitempty"`
}

// evidenced says which runs a verdict rests on, so that anyone with the export can gather the same.
type evidenced struct {
	// LogSize is the size of the log that the tick saw.
	LogSize int64 `json:"log_size"`
	// StepSeconds is how long the step had lasted.
	StepSeconds int64        `json:"step_seconds"`
	Strata      []stratumRef `json:"strata"`
	// StrataOmitted counts older strata beyond those listed.
	StrataOmitted int        `json:"strata_omitted,omitempty"`
	Blocks        []blockRef `json:"blocks"`
	Looks         []api.Look `json:"looks"`
	LedgerDigest  string     `json:"ledger_digest"`
	StateDigest   string     `json:"state_digest"`
	Seed          string     `json:"seed"`
}

// stratumRef names a span by the number of its first epoch.
type stratumRef struct {
	Span      int64     `json:"span"`
	Candidate cohortRef `json:"candidate"`
	Baseline  cohortRef `json:"baseline"`
}

// cohortRef names the runs of one release in one span by their log indexes, and
// by a digest what the gates' metrics of them add up to.
type cohortRef struct {
	Runs       int64  `json:"runs"`
	FirstIndex int64  `json:"first_index"`
	LastIndex  int64  `json:"last_index"`
	Digest     string `json:"digest"`
}

type blockRef struct {
	Number     int64  `json:"number"`
	Stratum    int64  `json:"stratum"`
	FirstIndex int64  `json:"first_index"`
	LastIndex  int64  `json:"last_index"`
	RunsDigest string `json:"runs_digest"`
}

// maxStrata is how many strata a receipt lists.
const maxStrata = 32

// conditions states the promise and what it assumes.
func conditions(p api.Policy) []string {
	if p.Guarantee != api.GuaranteeRollout {
		return []string{"each tick reads the ordinary interval at the stated confidence again: the probability that a harmless release is ever rolled back is larger than one minus the confidence"}
	}
	units := "runs are independent of each other"
	if p.Unit == api.UnitUnit {
		units = "units are independent of each other; of each its first value of a metric counts"
	}
	out := []string{
		"the probability that a harmless release is ever rolled back, over the whole rollout and however often it is ticked, is at most error_budget",
		units,
	}
	nulls := map[string]string{
		compare.NullSameRate:         "both releases fail at the same rate within each block unless the candidate is worse (null: same_rate)",
		compare.NullSameTail:         "both releases have the same share of values beyond the threshold within each block unless the candidate is worse (null: same_tail)",
		compare.NullSameDistribution: "the values of both releases have the same distribution within each block unless the candidate is worse (null: same_distribution); a spread that differs may be taken for harm",
	}
	margins := false
	for _, g := range p.Gates {
		if g.On == api.OnWarn {
			continue
		}
		margins = margins || g.Margin.Value != 0
		if null := compare.Null(g); nulls[null] != "" {
			out = append(out, nulls[null])
			nulls[null] = ""
		}
	}
	if p.Baseline == api.BaselineAuto {
		out = append(out, "a baseline taken from history has not moved since (blocks and looks that used it are marked historical)")
	}
	if margins {
		out = append(out, "margins other than zero are approximate")
	}
	if p.PromoteOn == api.PromoteNonInferior {
		out = append(out, "the probability that a candidate worse by promote_margin is fully promoted is about error_budget at most")
	}
	return out
}

func (a *Authority) decisionBody(p Principal, v view, next rollout.Rollout, d rollout.Decision, decided api.Decision, now time.Time) (decisionBody, error) {
	kind := api.KindRolloutDecision
	if d.Action == rollout.ActionPause || d.Action == rollout.ActionResume {
		kind = api.KindRolloutAction
	}
	body := decisionBody{
		common:   a.common(p, kind, now),
		Subject:  subject{RolloutID: v.Core.ID, BaselineRelease: v.BaselineRelease, CandidateRelease: v.CandidateRelease},
		Stream:   stream{ID: v.Core.ID, Seq: decided.Sequence, Prev: v.StreamHead},
		Decision: d.Decision, Action: d.Action, Override: d.Action == rollout.ActionPromote, Reason: d.Reason, Mode: decided.Mode, Advisory: decided.Advisory,
		StateBefore: decided.StateBefore, State: decided.State, StepBefore: decided.StepBefore, Step: decided.Step,
		WeightBefore: decided.WeightFrom, Weight: decided.Weight, Terminal: decided.Terminal,
		FreshRuns: d.FreshRuns, MinRuns: v.Core.Policy.MinRuns, PolicyDigest: v.PolicyDigest,
		Engine: api.Engine, Attempt: v.Core.Attempt, SpentBefore: v.SpentBefore, Verdict: d.Verdict,
	}
	body.Source = &api.EventSource{AppID: v.AppID, Environment: v.Environment, Release: v.CandidateRelease}
	if d.Verdict != nil {
		body.Conditions = conditions(v.Core.Policy)
		var err error
		if body.Evidence, err = evidenceOf(v, next, d); err != nil {
			return body, err
		}
	}
	return body, nil
}

func evidenceOf(v view, next rollout.Rollout, d rollout.Decision) (*evidenced, error) {
	state, err := next.Ledger.StateDigest()
	if err != nil {
		return nil, err
	}
	e := &evidenced{
		LogSize: v.logIndex, StepSeconds: int64(v.evidence.StepAge / time.Second), Strata: []stratumRef{}, Blocks: []blockRef{}, Looks: d.Looks,
		LedgerDigest: next.Ledger.Digest, StateDigest: state, Seed: next.ID,
	}
	if e.Looks == nil {
		e.Looks = []api.Look{}
	}
	for _, b := range d.Blocks {
		e.Blocks = append(e.Blocks, blockRef{Number: b.Number, Stratum: b.Epoch, FirstIndex: b.FirstIndex, LastIndex: b.LastIndex, RunsDigest: b.RunsDigest})
	}
	for _, c := range v.cohorts {
		if n := len(e.Strata); n == 0 || e.Strata[n-1].Span != c.Span {
			e.Strata = append(e.Strata, stratumRef{Span: c.Span})
		}
		digest, err := cohortDigest(c)
		if err != nil {
			return nil, err
		}
		ref := cohortRef{Runs: c.Runs, FirstIndex: c.FirstIndex, LastIndex: c.LastIndex, Digest: digest}
		if last := &e.Strata[len(e.Strata)-1]; c.Release == v.CandidateRelease {
			last.Candidate = ref
		} else {
			last.Baseline = ref
		}
	}
	if over := len(e.Strata) - maxStrata; over > 0 {
		e.Strata, e.StrataOmitted = e.Strata[over:], over
	}
	return e, nil
}

// cohortDigest is the SHA-256, in hex, of the digests of the parts: without a
// name the runs, then each metric, sorted by name. A part is its name, a zero
// byte, and the SHA-256 of its bytes: of the runs the mixes of probes and of
// models, of a metric its summary, each followed by its counts by epoch, which
// are there only if the span has several.
func cohortDigest(c Cohort) (string, error) {
	h := sha256.New()
	part := func(name string, epochs stats.EpochCounts, of ...encoding.BinaryMarshaler) error {
		if len(epochs) > 0 {
			of = append(of, epochs)
		}
		var bytes []byte
		for _, m := range of {
			data, err := m.MarshalBinary()
			if err != nil {
				return err
			}
			bytes = append(bytes, data...)
		}
		sum := sha256.Sum256(bytes)
		h.Write([]byte(name))
		h.Write([]byte{0})
		h.Write(sum[:])
		return nil
	}
	if err := part("", c.Epochs, c.Mixes.Probes, c.Mixes.Models); err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Metrics)) {
		if err := part(name, c.MetricEpochs[name], c.Metrics[name]); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
