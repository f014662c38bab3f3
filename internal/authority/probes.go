package authority

import (
	"encoding/json"
	"fmt"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/receipt"
)

// probed is the first run of a release on a probe.
type probed struct {
	index   int64
	metrics map[string]api.Metric
}

// probe keeps the first run of this batch on a probe for runs that come after it.
func (f *fold) probe(e Entry, metrics map[string]api.Metric) {
	key := [4]string{e.AppID, e.Environment, e.ProbeID, e.Release}
	if _, ok := f.probes[key]; !ok && e.ProbeID != "" && e.Release != "" {
		f.probes[key] = probed{e.Index, metrics}
	}
}

// pair adds the pair that a run completes to the block of a rollout with gates
// on pairs: the first run of each release on a probe since the rollout's
// evidence began. Further runs of a probe are counted as runs and pair no more.
// Metrics that become known later, as outcomes, are not paired.
func (f *fold) pair(r *filling, side rollout.Side, e Entry, metrics map[string]api.Metric) error {
	if e.ProbeID == "" || !r.block.Pairs() {
		return nil
	}
	other := r.record.BaselineRelease
	if side == rollout.Baseline {
		other = r.record.CandidateRelease
	}
	if _, again, err := f.firstRun(r.block.Since, e, e.Release); err != nil || again {
		return err
	}
	partner, found, err := f.firstRun(r.block.Since, e, other)
	if err != nil || !found {
		return err
	}
	p := rollout.Pair{Index: e.Index, Probe: e.ProbeID, Candidate: metrics, Baseline: partner.metrics, Fresh: e.Index >= r.block.StepFrom}
	if side == rollout.Baseline {
		p.Candidate, p.Baseline, p.Fresh = partner.metrics, metrics, partner.index >= r.block.StepFrom
	}
	return r.block.AddPair(p)
}

// firstRun finds the first run of a release on the probe of a run, from a log index on and before that run.
func (f *fold) firstRun(since int64, e Entry, release string) (probed, bool, error) {
	found, err := f.tx.Entries(EntryFilter{
		Kind: api.KindAgentRun, AppID: e.AppID, Environment: e.Environment, Release: release, ProbeID: e.ProbeID, From: since,
	}, 1)
	if err != nil {
		return probed{}, false, err
	}
	if len(found) == 0 { // the batch's own runs are not in the log yet
		first, ok := f.probes[[4]string{e.AppID, e.Environment, e.ProbeID, release}]
		return first, ok, nil
	}
	r, err := receipt.Parse(found[0].Raw)
	if err != nil {
		return probed{}, false, fmt.Errorf("receipt %s: %w", found[0].EventID, err)
	}
	var body struct {
		Metrics map[string]api.Metric `json:"metrics"`
	}
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return probed{}, false, fmt.Errorf("receipt %s: %w", found[0].EventID, err)
	}
	return probed{found[0].Index, body.Metrics}, true, nil
}
