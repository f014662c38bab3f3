package authority

import (
	"context"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
)

// Inputs are the probes that both releases of a rollout ran, by one of its gates.
type Inputs struct {
	Gate api.Gate
	// Pairs counts them, with the table where every value is 0 or 1.
	Pairs api.Pairs
	// Changed are those whose value differs, the most harmful first; Worse and Better count all of them.
	Changed       []compare.ChangedPair
	Worse, Better int
	// Note says what was not read; empty if everything was.
	Note string
}

const (
	// inputRuns is how many runs of each release, the newest, are read to list inputs that changed.
	inputRuns = 2000
	// probedRuns is how many of the candidate's newest runs are looked at for a probe.
	probedRuns = 20
)

// Inputs lists up to most inputs that changed between the releases of a
// rollout, from the newest of its runs. It is nil where the candidate's runs
// carry no probe.
func (a *Authority) Inputs(ctx context.Context, p Principal, id string, most int) (*Inputs, error) {
	if err := p.need(api.ReleaseRead); err != nil {
		return nil, err
	}
	r, err := a.rollout(ctx, p, id)
	if err != nil {
		return nil, err
	}
	log := &pairing{a: a, ctx: ctx, org: p.Org, app: r.AppID, place: r.Environment, most: inputRuns}
	probed := false
	err = a.Store.View(ctx, p.Org, func(s Snapshot) error {
		head, err := s.Head()
		if err != nil {
			return err
		}
		log.sides = [2]pairedSide{
			compare.BaselineSide:  {release: r.BaselineRelease, end: head.Tree.Size()},
			compare.CandidateSide: {release: r.CandidateRelease, end: head.Tree.Size()},
		}
		cohorts, err := s.Cohorts(CohortFilter{
			AppID: r.AppID, Environment: r.Environment, FromSpan: r.FirstEpoch,
			Releases: []string{r.BaselineRelease, r.CandidateRelease}, Metrics: noMetrics(),
		})
		if err != nil {
			return err
		}
		for _, c := range cohorts {
			side := compare.BaselineSide
			if c.Release == r.CandidateRelease {
				side = compare.CandidateSide
			}
			log.sides[side].span(c)
		}
		if log.sides[compare.CandidateSide].before == 0 { // it has no run yet
			return nil
		}
		newest, err := s.Entries(EntryFilter{
			Kind: api.KindAgentRun, AppID: r.AppID, Environment: r.Environment, Release: r.CandidateRelease,
			From: log.sides[compare.CandidateSide].from, Newest: true,
		}, probedRuns)
		probed = slices.ContainsFunc(newest, func(e Entry) bool { return e.ProbeID != "" })
		return err
	})
	if err != nil || !probed {
		return nil, storeError("run", err)
	}
	if err := log.read(true); err != nil {
		return nil, storeError("run", err)
	}
	return log.inputs(pairedGate(r.Core.Policy.Gates), most), nil
}

// pairedGate is the gate whose metric is paired: the first on pairs, else the first.
func pairedGate(gates []api.Gate) api.Gate {
	for _, g := range gates {
		if g.Pair != "" {
			return g
		}
	}
	return gates[0]
}

func (p *pairing) inputs(g api.Gate, most int) *Inputs {
	pairs := p.pairs.Pairs()[g.Metric]
	out := &Inputs{Gate: g, Pairs: *pairs.Figure(), Note: p.note()}
	for _, c := range p.pairs.Changed(g.Metric) {
		if c.Harm(g.Better) > 0 {
			out.Worse++
		} else {
			out.Better++
		}
		out.Changed = append(out.Changed, c)
	}
	slices.SortStableFunc(out.Changed, func(a, b compare.ChangedPair) int {
		switch x, y := a.Harm(g.Better), b.Harm(g.Better); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	out.Changed = out.Changed[:min(most, len(out.Changed))]
	return out
}
