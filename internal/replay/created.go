package replay

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

type subject struct {
	RolloutID string `json:"rollout_id"`
	Baseline  string `json:"baseline_release"`
	Candidate string `json:"candidate_release"`
}

// created is what the receipt of a rollout's beginning says.
type created struct {
	Subject      subject            `json:"subject"`
	Policy       json.RawMessage    `json:"policy"`
	PolicyDigest string             `json:"policy_digest"`
	Engine       string             `json:"engine"`
	Attempt      int                `json:"attempt"`
	SpentBefore  float64            `json:"spent_before"`
	Continues    string             `json:"continues"`
	FirstEpoch   int64              `json:"first_epoch"`
	Epoch        int64              `json:"epoch"`
	History      rollout.HistoryRef `json:"history"`
}

// create begins a rollout as the server did.
func (p *player) create(item Item) error {
	r := &played{}
	if err := json.Unmarshal(item.Receipt.Body, &r.created); err != nil {
		return fmt.Errorf("receipt %s: %w", item.Receipt.EventID, err)
	}
	bad := func(what, expected, found, detail string) {
		p.find(Finding{RolloutID: r.Subject.RolloutID, Index: item.Index, EventID: item.Receipt.EventID, What: what, Expected: expected, Found: found, Detail: detail})
		r.broken = true
	}
	var policy api.Policy
	if err := json.Unmarshal(r.Policy, &policy); err != nil {
		return fmt.Errorf("receipt %s: %w", item.Receipt.EventID, err)
	}
	if sum := sha256.Sum256(r.Policy); hex.EncodeToString(sum[:]) != r.PolicyDigest {
		bad("policy_digest", hex.EncodeToString(sum[:]), r.PolicyDigest, "the policy has another digest")
	}
	r.impossible = !possible(policy)
	r.broken = r.broken || r.impossible
	if err := p.begin(item, r, policy, bad); err != nil {
		return err
	}
	p.rollouts[r.Subject.RolloutID] = r
	return nil
}

// possible reports whether a rollout can have this policy, of which nothing is
// left out. Nothing is recomputed under another one, whoever signed it.
func possible(p api.Policy) bool {
	complete, errs := rollout.NewPolicy(api.CreateRollout{
		Mode: p.Mode, Steps: p.Steps, MinRuns: &p.MinRuns, FirstLook: &p.FirstLook, Gates: p.Gates, Confidence: &p.Confidence, Guarantee: p.Guarantee,
		ErrorBudget: &p.ErrorBudget, PromoteOn: p.PromoteOn, PromoteMargin: p.PromoteMargin, RequirePairwise: p.RequirePairwise,
		Pairwise: asked(p.Pairwise), Baseline: p.Baseline, SRM: p.SRM, Unit: p.Unit,
	}, nil)
	filled, err := json.Marshal(complete)
	given, errGiven := json.Marshal(p)
	return len(errs) == 0 && err == nil && errGiven == nil && bytes.Equal(filled, given)
}

// asked is the request that a policy for the judge comes of.
func asked(p *api.PairwisePolicy) *api.CreatePairwise {
	if p == nil {
		return nil
	}
	return &api.CreatePairwise{MinPairs: &p.MinPairs, MaxAge: &p.MaxAge, Judge: p.Judge, On: p.On}
}

// begin makes the rollout's state and its first block.
func (p *player) begin(item Item, r *played, policy api.Policy, bad func(what, expected, found, detail string)) error {
	before := p.rollouts[r.Continues]
	if r.Continues != "" && (before == nil || before.broken) {
		bad("continues", r.Continues, "", "the rollout that it continues is not in the log, or does not replay")
		return nil
	}
	p.checkAttempt(r, policy.Mode, bad)
	if before == nil && !r.impossible {
		if err := p.recall(item, r, policy, bad); err != nil {
			return err
		}
	} else if before == nil {
		// Its history is not looked at.
	} else if r.PolicyDigest != before.PolicyDigest {
		bad("policy_digest", before.PolicyDigest, r.PolicyDigest, "it continues "+r.Continues+", and under another policy")
	} else if r.History != before.History {
		bad("history", before.History.Digest, r.History.Digest, "it continues "+r.Continues+", and from another history")
	}
	block, closed, err := p.beginEpoch(item, r, policy, before)
	if err != nil || r.impossible {
		return err
	}
	recorded, err := recordedAt(item)
	if err != nil {
		return err
	}
	if r.since = item.Index + 1; before != nil {
		r.since = before.since
	}
	if before == nil {
		if r.core, err = rollout.New(r.Subject.RolloutID, policy, r.history); err != nil {
			return fmt.Errorf("receipt %s: %w", item.Receipt.EventID, err)
		}
	} else {
		r.core, r.history = rollout.Continue(r.Subject.RolloutID, before.core), before.history
	}
	r.core.Attempt = r.Attempt
	r.core, r.stepAt = r.core.From(item.Index+1), recorded
	filling := evidence.Filling{RolloutID: r.core.ID, Baseline: r.Subject.Baseline, Candidate: r.Subject.Candidate, Block: block, Closed: closed}
	p.memory.filling = append([]evidence.Filling{filling}, p.memory.filling...)
	return nil
}

// beginEpoch begins the rollout's span, and the block that it fills first.
func (p *player) beginEpoch(item Item, r *played, policy api.Policy, before *played) (rollout.Block, []rollout.Block, error) {
	recorded, err := recordedAt(item)
	if err != nil {
		return rollout.Block{}, nil, err
	}
	index := item.Index + 1
	if len(p.rollouts) == 0 && p.memory.open.Number != r.Epoch-1 { // a log that begins later lacks epochs, whose number is signed
		p.memory.open = evidence.Epoch{AppID: p.app, Environment: p.environment, Number: r.Epoch - 1, Span: r.Epoch - 1, StartedAt: recorded}
	}
	fold := evidence.NewFold(p.memory)
	t, err := fold.Target(p.app, p.environment, index, recorded)
	if err != nil {
		return rollout.Block{}, nil, err
	}
	if policy.Mode == api.ModeShadow {
		t.Begin(index, recorded)
	} else if err := fold.Cut(t, index, recorded); err != nil {
		return rollout.Block{}, nil, err
	}
	p.memory.apply(fold.Changes())
	if r.impossible {
		return rollout.Block{}, nil, nil
	}
	if before == nil {
		return rollout.FirstBlock(policy, r.history, rollout.RuleOf(policy, r.history.Runs), t.Epoch.Number, index), nil, nil
	}
	if before.left == nil {
		return rollout.Block{}, nil, fmt.Errorf("receipt %s: the rollout %s that it continues was not aborted", item.Receipt.EventID, r.Continues)
	}
	last := *before.left
	fold = evidence.NewFold(p.memory)
	if err := fold.End(evidence.NewTarget(evidence.Epoch{AppID: p.app, Environment: p.environment, Number: t.Epoch.Number}), &last, index); err != nil {
		return rollout.Block{}, nil, err
	}
	last.Block.BeginStep(rollout.Continue("", before.core).Weight(), index)
	return last.Block, last.Closed, nil
}

// recall holds the baseline's history, rebuilt from its runs, against the digest
// that was signed, and its choice of runs against the rule.
func (p *player) recall(item Item, r *played, policy api.Policy, bad func(what, expected, found, detail string)) error {
	recorded, err := recordedAt(item)
	if err != nil {
		return err
	}
	if r.History.Runs == 0 {
		return p.checkHistory(r, policy, recorded, bad)
	}
	h := rollout.History{FirstIndex: r.History.FirstIndex, LastIndex: r.History.LastIndex, Metrics: map[string]stats.Summary{}}
	if kept := p.histories[r.Subject.RolloutID]; kept != nil {
		h.Runs = kept.runs
		for _, name := range gated(policy) {
			if s, ok := kept.metrics[name]; ok {
				h.Metrics[name] = s
			}
		}
	}
	_, ref, err := h.Kept()
	if err != nil {
		return err
	}
	if ref != r.History {
		bad("history", fmt.Sprintf("%d runs, digest %s", ref.Runs, ref.Digest), fmt.Sprintf("%d runs, digest %s", r.History.Runs, r.History.Digest),
			fmt.Sprintf("the baseline's history, runs of %s from index %d to %d, is not the one that was signed", r.Subject.Baseline, r.History.FirstIndex, r.History.LastIndex))
	}
	r.history = h
	return p.checkHistory(r, policy, recorded, bad)
}

// past is the history of a rollout that is about to begin.
type past struct {
	created
	runs    int64
	metrics map[string]stats.Summary
}

// runOf is the run that an event is, or that an outcome adds to; an outcome of
// an unknown run is taken for itself.
func (p *player) runOf(e evidence.Event) evidence.Event {
	if e.Kind == api.KindOutcome {
		for _, known := range p.memory.events[e.RunID] {
			if known.Kind == api.KindAgentRun {
				return known
			}
		}
	}
	return e
}

// keep adds a run, or an outcome of one, to the histories that it belongs to.
func (p *player) keep(e evidence.Event) error {
	run := p.runOf(e)
	for _, h := range p.histories {
		if run.Release != h.Subject.Baseline || run.Index < h.History.FirstIndex || run.Index > h.History.LastIndex || p.rollouts[h.Subject.RolloutID] != nil {
			continue
		}
		if run.Kind != api.KindAgentRun {
			continue
		}
		if e.Kind == api.KindAgentRun {
			h.runs++
		}
		for name, m := range e.Metrics { // each metric has a summary of its own, so the order does not matter
			s := h.metrics[name]
			if err := s.Add(m.Value, run.Unit()); err != nil {
				return err
			}
			h.metrics[name] = s
		}
	}
	return nil
}

// leave keeps the blocks of a rollout that was aborted, for one that continues it.
func (p *player) leave(r *played) {
	if f := p.memory.fills(r.core.ID); f != nil {
		left := *f
		left.Closed = slices.DeleteFunc(slices.Clone(f.Closed), func(b rollout.Block) bool { return b.Number <= r.core.Ledger.Block })
		r.left = &left
	}
	p.memory.forget(r.core.ID)
}
