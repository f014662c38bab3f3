package judge

import (
	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

// intervalConfidence is that of every interval of a calibration and of a win rate.
const intervalConfidence = 0.95

// Labelled is a pair that people judged, and what the judge said of it: the
// first judgment counts, a second one is the retest.
type Labelled struct {
	Label     api.Preference
	Judgments []api.Judgment
}

// classes are the verdicts that labels and judgments are compared in, in the
// order of api.Calibration.Confusion.
func classes() [3]api.Preference {
	return [3]api.Preference{api.PreferBaseline, api.PreferCandidate, api.PreferTie}
}

func classOf(p api.Preference) int {
	for i, class := range classes() {
		if p == class {
			return i
		}
	}
	return -1
}

// Calibrate holds a judge's verdicts against people's labels. Labels that are
// none of baseline, candidate and tie are left out. Its intervals are Wilson's
// at 95 %.
func Calibrate(appID string, by api.Judge, pairs []Labelled) api.Calibration {
	c := api.Calibration{AppID: appID, Judge: by}
	var figures api.JudgedFigures
	var labelsLonger, retest stats.Proportion
	for _, p := range pairs {
		label := classOf(p.Label)
		if label < 0 {
			continue
		}
		c.Labels++
		if len(p.Judgments) == 0 {
			continue
		}
		first := p.Judgments[0]
		figures.Count(first)
		if longer, decided := api.LongerWon(p.Label, first.BaselineChars, first.CandidateChars); decided {
			add(&labelsLonger, longer)
		}
		verdict := classOf(first.Settled())
		if verdict < 0 {
			continue
		}
		c.Compared++
		c.Confusion[label][verdict]++
		if len(p.Judgments) > 1 {
			if again := classOf(p.Judgments[1].Settled()); again >= 0 {
				add(&retest, again == verdict)
			}
		}
	}
	c.Agreement = ShareOf(agreed(c.Confusion), c.Compared)
	c.Kappa = stats.Kappa(c.Confusion)
	c.Consistent = ShareOf(figures.Agreed, figures.BothOrders)
	c.FirstBias = ShareOf(figures.FirstTwice, figures.FirstTwice+figures.SecondTwice)
	c.LongerWins = ShareOf(figures.LongerWins, figures.LongerKnown)
	c.LabelsLonger = ShareOf(labelsLonger.X, labelsLonger.N)
	c.Retest = ShareOf(retest.X, retest.N)
	return c
}

func add(p *stats.Proportion, hit bool) {
	p.N++
	if hit {
		p.X++
	}
}

func agreed(confusion [3][3]int64) int64 {
	return confusion[0][0] + confusion[1][1] + confusion[2][2]
}

// ShareOf is x of n with its Wilson interval at 95 %; of nothing it has neither value nor limits.
func ShareOf(x, n int64) api.Share {
	s := api.Share{X: x, N: n}
	if n <= 0 {
		return s
	}
	p := stats.Proportion{X: x, N: n}
	value, interval := p.Value(), stats.Wilson(p, stats.Critical(intervalConfidence))
	s.Value, s.Lo, s.Hi = &value, &interval.Lo, &interval.Hi
	return s
}
