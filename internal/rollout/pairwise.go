package rollout

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

// The codes of what the judge's gate says beside clean and regressed.
const (
	ReasonPairwiseMissing   = "pairwise_unavailable"
	ReasonPairwiseOther     = "pairwise_other_judge"
	ReasonPairwiseTooFew    = "pairwise_too_few"
	ReasonPairwiseStale     = "pairwise_stale"
	ReasonPairwiseClean     = "pairwise_clean"
	ReasonPairwiseRegressed = "pairwise_regressed"
)

// pairwise is the judge's gate as it stands at a tick; nil unless the policy requires it.
func (r Rollout) pairwise(e Evidence) (*api.PairwiseResult, error) {
	j := r.Ledger.Judged
	if !r.Policy.RequirePairwise {
		return nil, nil
	}
	if j == nil || r.Policy.Pairwise == nil { // required, and the state knows nothing of it: nobody may promote on that
		return &api.PairwiseResult{Required: true, On: api.OnHold, Verdict: api.Insufficient, Reason: because(ReasonPairwiseMissing,
			"the pairwise judge is required, and this rollout was created without its gate; create the rollout again", nil)}, nil
	}
	v := &api.PairwiseResult{
		Required: true, On: r.Policy.Pairwise.On, Judge: j.Judge, Figures: j.Figures, OtherJudge: j.Other,
		MinPairs: r.Policy.Pairwise.MinPairs, Calibration: calibrationOf(e.Calibration, j.Judge),
	}
	v.WinRate = ShareOf(stats.Proportion{X: j.Figures.Wins, N: j.Figures.Decided()}, r.Policy.Confidence)
	v.HalfTies = HalfTies(j.Figures)
	if !j.Newest.IsZero() {
		age := int64(max(e.Now.Sub(j.Newest), 0) / time.Second)
		v.AgeSeconds = &age
	}
	if !j.Test.State.IsZero() {
		ledger := j.Test.ledger()
		v.Ledger = &ledger
		if !e.Quiet {
			var err error
			if v.AtLook, err = j.winRate(); err != nil {
				return nil, err
			}
		}
	}
	v.Verdict, v.Reason = r.judge(*v)
	return v, nil
}

// winRate is the win rate with the interval of the last look; nil before there is one.
func (j *Judged) winRate() (*api.Difference, error) {
	test, err := j.Test.State.of(pairwiseGate())
	if err != nil {
		return nil, err
	}
	d, err := test.(counts).Interval(displayUpper)
	if err != nil { // not tested yet, or every pair was won by one side
		return nil, nil //nolint:nilerr // there is no interval, which is no fault
	}
	share := stats.WinShare(d)
	return &api.Difference{Estimate: share.Estimate, Lo: share.Lo, Hi: share.Hi, Method: test.method(), Strata: 1}, nil
}

// judge says what the judge's gate comes to. What crossed its boundary stays
// regressed; all else that is missing makes it insufficient.
func (r Rollout) judge(v api.PairwiseResult) (api.Outcome, api.Reason) {
	p, f := r.Policy.Pairwise, v.Figures
	params := map[string]any{"wins": f.Wins, "losses": f.Losses, "ties": f.Ties, "no_verdict": f.NoVerdict, "min_pairs": p.MinPairs}
	run := "; run prova judge run --rollout " + r.ID
	switch {
	case r.judgeRegressed(v):
		return api.Regressed, because(ReasonPairwiseRegressed, "the judge prefers the baseline: "+rate(v)+" after "+tested(v), params)
	case v.Judge == nil && v.OtherJudge > 0:
		params["other_judge"] = v.OtherJudge
		return api.Insufficient, because(ReasonPairwiseOther, fmt.Sprintf("the %s of another judge than the policy's %s, which has given none%s", judgmentsAre(v.OtherJudge), p.Judge, run), params)
	case v.Judge == nil:
		return api.Insufficient, because(ReasonPairwiseMissing, "the pairwise judge is required and has recorded no judgment since this rollout began"+run, params)
	case f.Decided() < p.MinPairs:
		text := fmt.Sprintf("the judge has decided %d of %d pairs (%s)%s", f.Decided(), p.MinPairs, counted(f), run)
		if v.OtherJudge > 0 {
			text += fmt.Sprintf(" with %s: the %s of another judge, which count for nothing here", v.Judge, judgmentsAre(v.OtherJudge))
		}
		return api.Insufficient, because(ReasonPairwiseTooFew, text, params)
	case r.Policy.Guarantee == api.GuaranteeRollout && !r.Ledger.Judged.Test.Reachable:
		return api.Insufficient, because(ReasonPairwiseTooFew, "the pairs that the judge decided ("+counted(f)+") could not have regressed yet"+run, params)
	case p.MaxAge > 0 && value(v.AgeSeconds, math.MaxInt64) > p.MaxAge:
		age := value(v.AgeSeconds, math.MaxInt64)
		params["age_seconds"], params["max_age"] = age, p.MaxAge
		return api.Insufficient, because(ReasonPairwiseStale, fmt.Sprintf("the judge's newest verdict is %s old and may be %s%s", about(age), about(p.MaxAge), run+" --again"), params)
	}
	return api.Clean, because(ReasonPairwiseClean, "the candidate "+counted(f)+"; "+rate(v)+" after "+tested(v)+": the judge does not find it worse", params)
}

// WithoutJudge is a policy without its judge, for simulations, which have none:
// the gates keep their shares of the error budget, and the judge's is not spent.
func WithoutJudge(p api.Policy) api.Policy {
	if !p.RequirePairwise {
		return p
	}
	if n := countOn(p.Gates, api.OnRollback); p.Pairwise.On == api.OnRollback && n > 0 {
		p.ErrorBudget = p.ErrorBudget * float64(n) / float64(n+1)
	}
	p.RequirePairwise, p.Pairwise = false, nil
	return p
}

func countOn(gates []api.Gate, on api.On) (n int) {
	for _, g := range gates {
		if g.On == on {
			n++
		}
	}
	return n
}

// judgeRegressed: the test crossed its boundary, or, where each look stands for
// itself, the ordinary interval lies below one half.
func (r Rollout) judgeRegressed(v api.PairwiseResult) bool {
	if r.Policy.Guarantee == api.GuaranteeRollout {
		return r.Ledger.Judged.Test.Regressed
	}
	return v.Figures.Decided() >= r.Policy.Pairwise.MinPairs && v.WinRate.Hi != nil && *v.WinRate.Hi < 0.5
}

// overall adds the judge's gate to a verdict's outcome: it can make it worse, never better.
func overall(v api.Verdict, judge *api.PairwiseResult) api.Outcome {
	switch {
	case judge == nil || v.Verdict == api.Regressed || judge.Verdict == api.Clean:
		return v.Verdict
	case judge.Verdict == api.Regressed:
		return api.Regressed
	}
	return api.Insufficient
}

// calibrationOf is the calibration of a judge, and nil if it is another's.
func calibrationOf(c *api.Calibration, judge *api.Judge) *api.Calibration {
	if c == nil || judge == nil || c.Judge != *judge {
		return nil
	}
	return c
}

// ShareOf is a proportion with its Wilson interval at a confidence.
func ShareOf(p stats.Proportion, confidence float64) api.Share {
	s := api.Share{X: p.X, N: p.N}
	if p.N > 0 {
		value, limits := p.Value(), stats.Wilson(p, stats.Critical(confidence))
		s.Value, s.Lo, s.Hi = &value, &limits.Lo, &limits.Hi
	}
	return s
}

// HalfTies is the win rate with each tie as half a win; nil of nothing.
func HalfTies(f api.JudgedFigures) *float64 {
	n := f.Decided() + f.Ties
	if n == 0 {
		return nil
	}
	rate := float64(2*f.Wins+f.Ties) / float64(2*n) // whole numbers, so that nothing can be fused
	return &rate
}

// counted says what the judgments add up to.
func counted(f api.JudgedFigures) string {
	text := fmt.Sprintf("won %d and lost %d", f.Wins, f.Losses)
	if f.Ties > 0 {
		text += ", " + plural(f.Ties, "tie")
	}
	if f.NoVerdict > 0 {
		text += fmt.Sprintf(", %d without a verdict", f.NoVerdict)
	}
	return text
}

// rate writes the win rate with the interval that decides.
func rate(v api.PairwiseResult) string {
	g := api.Gate{Statistic: api.StatisticRate}
	if d := v.AtLook; d != nil {
		return fmt.Sprintf("a win rate of %s (%s … %s)", compare.FormatValue(g, d.Estimate), compare.FormatValue(g, d.Lo), compare.FormatValue(g, d.Hi))
	}
	if w := v.WinRate; w.Value != nil {
		return fmt.Sprintf("a win rate of %s (%s … %s)", compare.FormatValue(g, *w.Value), compare.FormatValue(g, *w.Lo), compare.FormatValue(g, *w.Hi))
	}
	return "no win rate"
}

// tested says how many decided pairs the interval is about: a test that has crossed its boundary takes no more.
func tested(v api.PairwiseResult) string {
	n := v.Figures.Decided()
	if v.AtLook != nil && v.Ledger != nil {
		n = int64(2 * v.Ledger.Information) // a pair has half a unit of it
	}
	return plural(n, "decided pair")
}

func judgmentsAre(n int64) string {
	if n == 1 {
		return "1 judgment recorded is"
	}
	return strconv.FormatInt(n, 10) + " judgments recorded are"
}

func plural(n int64, word string) string {
	if n != 1 {
		word += "s"
	}
	return strconv.FormatInt(n, 10) + " " + word
}
