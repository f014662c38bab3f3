// Package replay recomputes the decisions of rollouts from the receipts of a
// log: it folds the runs as the server did, ticks each rollout on what its tick
// saw, and compares what comes of it, byte for byte, with what was signed.
//
// Invariants: it believes nothing of a decision's receipt but which part of the
// log the tick had seen and how long the step had lasted; it is pure; what it
// could not recompute is said, and never counts as verified.
package replay

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
	"github.com/cobound/prova/receipt"
)

// Item is a receipt at its place in the log, opened and verified before.
type Item struct {
	Index   int64
	Receipt receipt.Receipt
}

// Log yields receipts of one org in log order: at least every run and outcome
// of the rollouts' app and environment since their evidence began, with the
// baseline's history, and every receipt of a rollout there. It can be read
// again.
type Log func() iter.Seq2[Item, error]

// Finding is what became of one decision, or of the evidence before one.
type Finding struct {
	RolloutID string
	Index     int64
	EventID   string
	// OK: the decision was recomputed, and its bytes are those that were signed.
	OK bool
	// What names the member or the evidence that differs.
	What            string
	Expected, Found string
	Detail          string
}

// Report is what a replay found.
type Report struct {
	// Decisions counts those that were recomputed and agree.
	Decisions int64
	// Skipped counts receipts of rollouts whose beginning the log does not hold.
	Skipped int64
	// Findings are those that do not agree.
	Findings []Finding
}

// maxFindings bounds the findings that a report lists.
const maxFindings = 100

// Rollouts replays every rollout of an app and environment that begins in the
// log. The error is one of reading; what does not agree is a finding.
func Rollouts(log Log, appID, environment string) (Report, error) {
	p := &player{app: appID, environment: environment, whole: true, memory: newMemory(), rollouts: map[string]*played{}, seen: map[string][]seen{}, histories: map[string]*past{}}
	if err := p.prepare(log); err != nil {
		return p.report, err
	}
	for item, err := range log() {
		if err != nil {
			return p.report, err
		}
		if err := p.take(item); err != nil {
			return p.report, err
		}
	}
	return p.report, nil
}

// player plays one app and environment.
type player struct {
	app, environment string
	memory           *memory
	rollouts         map[string]*played
	// seen are, by rollout, what its decisions' ticks had seen, in order.
	seen map[string][]seen
	// histories are those of the rollouts that begin in the log.
	histories map[string]*past
	// runs are the log indexes of all runs, to name one that is missing.
	runs []placed
	// read counts receipts, and whole is whether they are all those of the log so far.
	read   int64
	whole  bool
	report Report
}

// placed is a run or an outcome at its place in the log, and the place of the run.
type placed struct {
	index, run int64
	release    string
	recordedAt time.Time
}

// seen is what a receipt says that its tick had seen.
type seen struct {
	logSize int64
	age     time.Duration
	// ticked: it was a tick, not an operator.
	ticked bool
}

// played is a rollout as it stands.
type played struct {
	created
	core    rollout.Rollout
	history rollout.History
	// done counts its decisions so far; next is the one that was computed at its log size and waits for its receipt.
	done int
	next *computed
	// since is the first log index of its evidence, and stepAt when the present step began.
	since  int64
	stepAt time.Time
	// left are the blocks of a rollout that was aborted.
	left *evidence.Filling
	// broken: a decision did not agree, so that what follows cannot either.
	broken bool
	// impossible: no rollout can have its policy, so that it is broken from the beginning.
	impossible bool
}

// computed is a decision that waits for its receipt.
type computed struct {
	after   rollout.Rollout
	decided evidence.Decided
	blocks  []rollout.Block
}

// mine reports whether a receipt is of this app and environment.
func (p *player) mine(r receipt.Receipt) bool {
	return r.Source.AppID == p.app && r.Source.Environment == p.environment
}

func decision(kind string) bool {
	return kind == api.KindRolloutDecision || kind == api.KindRolloutAction
}

// prepare reads what each decision's tick had seen, because the tick comes
// before its receipt, and which runs are a rollout's history.
func (p *player) prepare(log Log) error {
	for item, err := range log() {
		if err != nil {
			return err
		}
		if !p.mine(item.Receipt) {
			continue
		}
		if item.Receipt.Kind == api.KindRolloutCreated {
			h := &past{metrics: map[string]stats.Summary{}}
			if err := json.Unmarshal(item.Receipt.Body, &h.created); err != nil {
				return fmt.Errorf("receipt %s: %w", item.Receipt.EventID, err)
			}
			p.histories[h.Subject.RolloutID] = h
		}
		if !decision(item.Receipt.Kind) {
			continue
		}
		var body struct {
			Subject  subject            `json:"subject"`
			Evidence *evidence.Evidence `json:"evidence"`
		}
		if err := json.Unmarshal(item.Receipt.Body, &body); err != nil {
			return fmt.Errorf("receipt %s: %w", item.Receipt.EventID, err)
		}
		s := seen{}
		if e := body.Evidence; e != nil {
			s = seen{logSize: e.LogSize, age: time.Duration(e.StepSeconds) * time.Second, ticked: true}
		}
		p.seen[body.Subject.RolloutID] = append(p.seen[body.Subject.RolloutID], s)
	}
	return nil
}

// take plays one receipt.
func (p *player) take(item Item) error {
	p.whole = p.whole && item.Index == p.read
	p.read++
	if !p.mine(item.Receipt) {
		return nil
	}
	if err := p.tickAt(item.Index); err != nil {
		return err
	}
	switch {
	case item.Receipt.Kind == api.KindAgentRun || item.Receipt.Kind == api.KindOutcome:
		return p.event(item)
	case item.Receipt.Kind == api.KindRolloutCreated:
		return p.create(item)
	case item.Receipt.Kind == api.KindJudgment || item.Receipt.Kind == api.KindCalibration:
		return p.memory.hear(item)
	case decision(item.Receipt.Kind):
		return p.decide(item)
	}
	return nil
}

// event folds a run or an outcome in.
func (p *player) event(item Item) error {
	e, err := evidence.EventOf(item.Receipt)
	if err != nil {
		return fmt.Errorf("receipt %s: %w", item.Receipt.EventID, err)
	}
	e.Index = item.Index
	fold := evidence.NewFold(p.memory)
	if _, err := fold.Add(&e); err != nil {
		p.find(Finding{Index: item.Index, EventID: e.EventID, What: "run", Detail: err.Error()})
		return nil
	}
	p.memory.apply(fold.Changes())
	p.memory.remember(e)
	if err := p.keep(e); err != nil {
		return fmt.Errorf("receipt %s: %w", e.EventID, err)
	}
	p.runs = append(p.runs, placed{e.Index, p.runOf(e).Index, e.Release, e.RecordedAt})
	return nil
}

// tickAt ticks the rollouts whose next decision had seen the log up to here.
func (p *player) tickAt(index int64) error {
	for _, id := range p.order() {
		r := p.rollouts[id]
		list := p.seen[id]
		if r.broken || r.next != nil || r.done >= len(list) || !list[r.done].ticked || list[r.done].logSize > index {
			continue
		}
		if err := p.tick(r, list[r.done]); err != nil {
			return err
		}
	}
	return nil
}

// order lists the rollouts by id, which is the order in which they were created.
func (p *player) order() []string {
	ids := make([]string, 0, len(p.rollouts))
	for id := range p.rollouts {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// tick makes the tick that a receipt speaks of.
func (p *player) tick(r *played, s seen) error {
	f := evidence.Filling{RolloutID: r.core.ID, Baseline: r.Subject.Baseline, Candidate: r.Subject.Candidate}
	if filling := p.memory.fills(r.core.ID); filling != nil {
		f = *filling
		f.Closed = slices.DeleteFunc(slices.Clone(f.Closed), func(b rollout.Block) bool { return b.Number <= r.core.Ledger.Block })
	}
	cohorts, err := p.memory.Cohorts(evidence.CohortFilter{
		FromSpan: r.FirstEpoch, Releases: []string{r.Subject.Baseline, r.Subject.Candidate}, Metrics: gated(r.core.Policy),
	})
	if err != nil {
		return err
	}
	e, err := evidence.Gather(r.core.Policy, f, cohorts, s.age, func() (rollout.History, error) { return r.history, nil })
	if err != nil {
		return err
	}
	p.memory.judge(r, s, &e)
	next, d, err := r.core.Tick(e)
	if err != nil {
		p.find(Finding{RolloutID: r.core.ID, Index: s.logSize, What: "tick", Detail: err.Error()})
		r.broken = true
		return nil
	}
	decided, err := evidence.Decide(r.core, next, d, evidence.Seen{LogSize: s.logSize, StepAge: s.age, Cohorts: cohorts, Candidate: r.Subject.Candidate})
	if err != nil {
		return err
	}
	r.next = &computed{after: next, decided: decided, blocks: d.Blocks}
	return nil
}

// gated are the metrics of the gates, each once.
func gated(policy api.Policy) []string {
	var metrics []string
	for _, g := range policy.Gates {
		if !slices.Contains(metrics, g.Metric) {
			metrics = append(metrics, g.Metric)
		}
	}
	return metrics
}

func (p *player) find(f Finding) {
	if len(p.report.Findings) < maxFindings {
		p.report.Findings = append(p.report.Findings, f)
	}
}
