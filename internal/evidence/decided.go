package evidence

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

// Decided is what the receipt of a decision says: everything that follows from
// the rollout's state and the runs.
type Decided struct {
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
	SpentBefore float64   `json:"spent_before"`
	Evidence    *Evidence `json:"evidence,omitempty"`
	// Conditions are what the promised error rate rests on.
	Conditions []string     `json:"conditions,omitempty"`
	Verdict    *api.Verdict `json:"verdict,omitempty"`
}

// Evidence says which runs a verdict rests on, so that anyone with the export can gather the same.
type Evidence struct {
	// LogSize is the size of the log that the tick saw.
	LogSize int64 `json:"log_size"`
	// StepSeconds is how long the step had lasted.
	StepSeconds int64     `json:"step_seconds"`
	Strata      []Stratum `json:"strata"`
	// StrataOmitted counts older strata beyond those listed.
	StrataOmitted int        `json:"strata_omitted,omitempty"`
	Blocks        []Block    `json:"blocks"`
	Looks         []api.Look `json:"looks"`
	// Judgments says which judgments were read, where the judge is required.
	Judgments    *JudgmentsRef `json:"judgments,omitempty"`
	LedgerDigest string        `json:"ledger_digest"`
	StateDigest  string        `json:"state_digest"`
	Seed         string        `json:"seed"`
}

// Stratum names a span by the number of its first epoch.
type Stratum struct {
	Span      int64     `json:"span"`
	Candidate CohortRef `json:"candidate"`
	Baseline  CohortRef `json:"baseline"`
}

// CohortRef names the runs of one release in one span by their log indexes, and
// by a digest what the gates' metrics of them add up to.
type CohortRef struct {
	Runs       int64  `json:"runs"`
	FirstIndex int64  `json:"first_index"`
	LastIndex  int64  `json:"last_index"`
	Digest     string `json:"digest"`
}

// Block names a block that was looked at.
type Block struct {
	Number     int64  `json:"number"`
	Stratum    int64  `json:"stratum"`
	FirstIndex int64  `json:"first_index"`
	LastIndex  int64  `json:"last_index"`
	RunsDigest string `json:"runs_digest"`
}

// JudgmentsRef names the judgments of both releases at log indexes from Since
// to below Next. Digest chains them: SHA-256, in hex, of the digest before, the
// log index in eight bytes and the verdict.
type JudgmentsRef struct {
	Since  int64  `json:"since"`
	Next   int64  `json:"next"`
	Digest string `json:"digest"`
}

// maxStrata is how many strata a receipt lists.
const maxStrata = 32

// Seen is what a tick saw.
type Seen struct {
	// LogSize is the size of the log.
	LogSize int64
	// StepAge is how long the step had lasted.
	StepAge time.Duration
	// Cohorts are those of both releases since the rollout's evidence began, by span.
	Cohorts   []Cohort
	Candidate string
}

// Decide says what a decision's receipt says beside its header: before and
// after are the states around the decision. Seen matters only with a verdict.
func Decide(before, after rollout.Rollout, d rollout.Decision, seen Seen) (Decided, error) {
	p := before.Policy
	out := Decided{
		Decision: d.Decision, Action: d.Action, Override: d.Action == rollout.ActionPromote, Reason: d.Reason,
		Mode: p.Mode, Advisory: p.Mode == api.ModeShadow, StateBefore: before.State, State: after.State,
		StepBefore: before.Step, Step: after.Step, WeightBefore: before.Weight(), Weight: after.Weight(),
		Terminal: d.Decision != api.Hold && after.State.Finished(), FreshRuns: d.FreshRuns, MinRuns: p.MinRuns,
		Engine: api.Engine, Attempt: before.Attempt, Verdict: d.Verdict,
	}
	if d.Verdict == nil {
		return out, nil
	}
	out.Conditions = Conditions(p)
	var err error
	out.Evidence, err = evidenceOf(after, d, seen)
	return out, err
}

func evidenceOf(next rollout.Rollout, d rollout.Decision, seen Seen) (*Evidence, error) {
	state, err := next.Ledger.StateDigest()
	if err != nil {
		return nil, err
	}
	e := &Evidence{
		LogSize: seen.LogSize, StepSeconds: int64(seen.StepAge / time.Second), Strata: []Stratum{}, Blocks: []Block{}, Looks: d.Looks,
		LedgerDigest: next.Ledger.Digest, StateDigest: state, Seed: next.ID,
	}
	if j := next.Ledger.Judged; j != nil {
		e.Judgments = &JudgmentsRef{Since: j.Since, Next: j.Next, Digest: j.Digest}
	}
	if e.Looks == nil {
		e.Looks = []api.Look{}
	}
	for _, b := range d.Blocks {
		e.Blocks = append(e.Blocks, Block{Number: b.Number, Stratum: b.Epoch, FirstIndex: b.FirstIndex, LastIndex: b.LastIndex, RunsDigest: b.RunsDigest})
	}
	for _, c := range seen.Cohorts {
		if n := len(e.Strata); n == 0 || e.Strata[n-1].Span != c.Span {
			e.Strata = append(e.Strata, Stratum{Span: c.Span})
		}
		digest, err := cohortDigest(c)
		if err != nil {
			return nil, err
		}
		ref := CohortRef{Runs: c.Runs, FirstIndex: c.FirstIndex, LastIndex: c.LastIndex, Digest: digest}
		if last := &e.Strata[len(e.Strata)-1]; c.Release == seen.Candidate {
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

// Conditions states the promise and what it assumes.
func Conditions(p api.Policy) []string {
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
	if p.RequirePairwise {
		out = append(out, "pairs are judged independently of each other, and a judge prefers neither release for another reason than that its answers are better (null: even_odds)")
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
