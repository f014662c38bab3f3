package authority

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/rollout"
)

// Compare answers on demand whether the candidate is worse than the baseline:
// one look at the stated confidence, each release's runs as one stratum. Gates
// on pairs, and the question whether to pair, read up to PairedRuns of the
// newest runs of each release back from the log; everything else is read from
// summaries.
func (a *Authority) Compare(ctx context.Context, p Principal, r api.CompareRequest) (api.Comparison, error) {
	if err := p.need(api.ReleaseRead); err != nil {
		return api.Comparison{}, err
	}
	if r.Environment == "" {
		r.Environment = api.DefaultEnvironment
		if p.Environment != "" {
			r.Environment = p.Environment
		}
	}
	q, err := question(p, r)
	if err != nil {
		return api.Comparison{}, err
	}
	stratum, sides, err := a.cohorts(ctx, p, r)
	if err != nil {
		return api.Comparison{}, err
	}
	if len(q.Gates) == 0 {
		if q.Gates, err = compare.DefaultGates(slices.Sorted(maps.Keys(stratum.Baseline.Metrics))); err != nil {
			return api.Comparison{}, invalid("/gates", "%v", err)
		}
	}
	log := &pairing{a: a, ctx: ctx, org: p.Org, app: r.AppID, place: r.Environment, most: PairedRuns, sides: sides}
	checks, err := log.prepare(r.Pair, &q.Gates, &stratum)
	if err != nil {
		return api.Comparison{}, storeError("run", err)
	}
	q.Strata = []compare.Stratum{stratum}
	answer := api.Comparison{AppID: r.AppID, Environment: r.Environment, Baseline: r.Baseline, Candidate: r.Candidate, Verdict: compare.Releases(q)}
	answer.Verdict.Checks = append(checks, answer.Verdict.Checks...)
	return answer, nil
}

// cohorts reads the summaries of both releases as one stratum, and where their
// runs are in the log of the same moment.
func (a *Authority) cohorts(ctx context.Context, p Principal, r api.CompareRequest) (compare.Stratum, [2]pairedSide, error) {
	var stratum compare.Stratum
	var sides [2]pairedSide
	err := a.Store.View(ctx, p.Org, func(s Snapshot) error {
		cohorts, err := s.Cohorts(CohortFilter{
			AppID: r.AppID, Environment: r.Environment, Releases: []string{r.Baseline, r.Candidate}, Metrics: gated(r.Gates),
		})
		if err != nil {
			return err
		}
		head, err := s.Head()
		if err != nil {
			return err
		}
		stratum = compare.Stratum{}
		sides = [2]pairedSide{
			compare.BaselineSide:  {release: r.Baseline, end: head.Tree.Size()},
			compare.CandidateSide: {release: r.Candidate, end: head.Tree.Size()},
		}
		for _, c := range cohorts {
			cohort, side := &stratum.Baseline, compare.BaselineSide
			if c.Release == r.Candidate {
				cohort, side = &stratum.Candidate, compare.CandidateSide
			}
			cohort.Merge(c.Runs, c.Metrics)
			cohort.Mixes.Merge(c.Mixes)
			sides[side].span(c)
		}
		return nil
	})
	if err != nil {
		return stratum, sides, storeError("app", err)
	}
	for _, c := range []struct {
		pointer, release string
		runs             int64
	}{{"/baseline", r.Baseline, stratum.Baseline.Runs}, {"/candidate", r.Candidate, stratum.Candidate.Runs}} {
		if c.runs == 0 {
			return stratum, sides, invalid(c.pointer, "no run of %s carries the release %q in the environment %q", r.AppID, c.release, r.Environment)
		}
	}
	return stratum, sides, nil
}

// gated are the metrics of gates, each once; nil, which stands for all, without a gate.
func gated(gates []api.Gate) []string {
	var metrics []string
	for _, g := range gates {
		if !slices.Contains(metrics, g.Metric) {
			metrics = append(metrics, g.Metric)
		}
	}
	return metrics
}

func question(p Principal, r api.CompareRequest) (compare.Question, error) {
	q := compare.Question{
		Gates: r.Gates, Confidence: rollout.DefaultConfidence, MinRuns: rollout.DefaultMinRuns, Guarantee: api.GuaranteeLook, Attempt: 1,
		Seed: r.AppID + "\n" + r.Baseline + "\n" + r.Candidate,
	}
	if r.Confidence != nil {
		q.Confidence = *r.Confidence
	}
	if r.MinRuns != nil {
		q.MinRuns = *r.MinRuns
	}
	var fields []api.FieldError
	for _, n := range []struct{ pointer, what, value string }{{"/app_id", "app_id", r.AppID}, {"/baseline", "baseline", r.Baseline}, {"/candidate", "candidate", r.Candidate}} {
		if err := api.CheckName(n.what, n.value); err != nil {
			fields = append(fields, api.FieldError{Pointer: n.pointer, Detail: err.Error()})
		}
	}
	if r.Baseline == r.Candidate && len(fields) == 0 {
		fields = append(fields, api.FieldError{Pointer: "/candidate", Detail: "the candidate is the baseline: a release cannot be compared with itself"})
	}
	if !(q.Confidence >= 0.5 && q.Confidence <= 0.9999) {
		fields = append(fields, api.FieldError{Pointer: "/confidence", Detail: "confidence is a share from 0.5 to 0.9999"})
	}
	if q.MinRuns < 1 || q.MinRuns > rollout.MostMinRuns {
		fields = append(fields, api.FieldError{Pointer: "/min_runs", Detail: fmt.Sprintf("min_runs is a whole number from 1 to %d", rollout.MostMinRuns)})
	}
	switch r.Pair {
	case "", api.PairAuto, api.PairProbe, api.PairNone:
	default:
		fields = append(fields, api.FieldError{Pointer: "/pair", Detail: "pair is auto, probe or none"})
	}
	if len(fields) > 0 {
		return q, &Error{Code: CodeInvalid, Detail: fields[0].Detail, Fields: fields}
	}
	if !p.sees(r.Environment) {
		return q, fail(CodeForbidden, "this key is limited to the environment %q", p.Environment)
	}
	return q, nil
}
