package evidence

import (
	"github.com/cobound/prova/internal/rollout"
)

// probe keeps the first run of this fold on a probe for runs that come after it.
func (f *Fold) probe(e Event) {
	key := [4]string{e.AppID, e.Environment, e.ProbeID, e.Release}
	if _, ok := f.probes[key]; !ok && e.ProbeID != "" && e.Release != "" {
		f.probes[key] = e
	}
}

// pair adds the pair that a run completes to the block of a rollout with gates
// on pairs: the first run of each release on a probe since the rollout's
// evidence began. Further runs of a probe are counted as runs and pair no more.
// Metrics that become known later, as outcomes, are not paired.
func (f *Fold) pair(r *Filling, side rollout.Side, e Event) error {
	if e.ProbeID == "" || !r.Block.Pairs() {
		return nil
	}
	other := r.Baseline
	if side == rollout.Baseline {
		other = r.Candidate
	}
	if _, again, err := f.firstRun(r.Block.Since, e, e.Release); err != nil || again {
		return err
	}
	partner, found, err := f.firstRun(r.Block.Since, e, other)
	if err != nil || !found {
		return err
	}
	p := rollout.Pair{Index: e.Index, Probe: e.ProbeID, Candidate: e.Metrics, Baseline: partner.Metrics, Fresh: e.Index >= r.Block.StepFrom}
	if side == rollout.Baseline {
		p.Candidate, p.Baseline, p.Fresh = partner.Metrics, e.Metrics, partner.Index >= r.Block.StepFrom
	}
	return r.Block.AddPair(p)
}

// firstRun finds the first run of a release on the probe of a run, from a log index on and before that run.
func (f *Fold) firstRun(since int64, e Event, release string) (Event, bool, error) {
	first, found, err := f.past.FirstRun(e.AppID, e.Environment, release, e.ProbeID, since)
	if err != nil || found {
		return first, found, err
	}
	first, found = f.probes[[4]string{e.AppID, e.Environment, e.ProbeID, release}] // of this fold, which the past does not hold yet
	return first, found, nil
}
