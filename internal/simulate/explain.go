package simulate

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
)

// Seen is what is known of an app before a rollout of it.
type Seen struct {
	// Without says why something is assumed instead.
	Without string
	// Metrics are those that the baseline has reported.
	Metrics []string
	// Values of the baseline's last runs, by metric.
	Values map[string][]float64
	// PerHour is the rate of runs of all releases, 0 if unknown.
	PerHour float64
}

// PerHour is the rate of n runs whose first and last are so far apart; 0 if they say nothing.
func PerHour(n int, elapsed time.Duration) float64 {
	if n < 2 || elapsed < time.Second {
		return 0
	}
	return float64(n-1) / elapsed.Hours()
}

// Explanation is what a policy will do, before anything is created.
type Explanation struct {
	Engine string     `json:"engine"`
	Policy api.Policy `json:"policy"`
	Plan   api.Plan   `json:"plan"`
	// Assumed says in words what the simulation takes for true, and why.
	Assumed     []string      `json:"assumed"`
	RunsPerHour float64       `json:"runs_per_hour,omitempty"`
	Expected    []Expectation `json:"expected"`
}

// Explain plays a policy with the traffic that was seen, at most so many
// rollouts of each candidate. It fails where [Expect] does, and then says the
// plan all the same.
func Explain(p api.Policy, known Seen, most, workers int, progress func(share float64) bool) (Explanation, error) {
	e := Explanation{Engine: api.Engine, Policy: p, RunsPerHour: known.PerHour}
	traffic := rollout.Traffic{RunsPerHour: known.PerHour}
	truth := make([]Truth, len(p.Gates))
	counted, _ := rollout.RateGate(p)
	for i, g := range p.Gates {
		var runs int
		truth[i], runs = known.Truth(g)
		if g.On == api.OnWarn {
			continue
		}
		e.Assumed = append(e.Assumed, assumed(g, truth[i], runs, known.Without))
		if g == counted && runs > 0 {
			traffic.FailureRate, traffic.Runs = truth[i].Baseline[0], int64(runs)
		}
	}
	e.Plan = rollout.PlanOf(p, traffic)
	var err error
	e.Expected, err = expect(p, truth, 1, most, workers, progress)
	return e, err
}

// assumed says what one metric is taken to be like.
func assumed(g api.Gate, t Truth, runs int, without string) string {
	text := fmt.Sprintf("%s fails in %s of the baseline's runs", g.Metric, shareText(t.Baseline[0]))
	switch {
	case t.Shape != Bernoulli:
		text = fmt.Sprintf("%s is lognormal around %.4g with sigma %.2g", g.Metric, t.Baseline[0], t.Sigma)
	case g.Better == api.BetterLower:
		text = fmt.Sprintf("%s in %s of the baseline's runs", g.Metric, shareText(t.Baseline[0]))
	}
	if runs > 0 {
		return text + ", as in its last " + strconv.Itoa(runs)
	}
	return text + ", for example: " + without
}

// The truth that is assumed where nothing was seen.
const (
	assumedFailures = 0.10
	assumedSigma    = 0.6
	assumedLevel    = 1000
)

// enough is how many values tell what a metric is like.
const enough = 30

// Truth is the baseline's distribution of a gate's metric, and how many runs
// it rests on; 0 if it is assumed. A rate of which no or every run failed is
// taken half a run away from that end, where a candidate can be worse or better.
func (s Seen) Truth(g api.Gate) (Truth, int) {
	values := s.Values[g.Metric]
	if g.Statistic == api.StatisticRate {
		if len(values) < enough {
			return Truth{Shape: Bernoulli, Baseline: []float64{assumedFailures}}, 0
		}
		failures := 0.0
		for _, v := range values {
			if failed := v == 0; failed == (g.Better == api.BetterHigher) {
				failures++
			}
		}
		failures = math.Min(math.Max(failures, 0.5), float64(len(values))-0.5)
		return Truth{Shape: Bernoulli, Baseline: []float64{failures / float64(len(values))}}, len(values)
	}
	t := Truth{Shape: Lognormal, Baseline: []float64{assumedLevel}, Sigma: assumedSigma}
	logs := make([]float64, 0, len(values))
	sum := 0.0
	for _, v := range values {
		if v > 0 {
			logs = append(logs, math.Log(v))
			sum += math.Log(v)
		}
	}
	if len(logs) < enough || len(logs) < len(values) {
		return t, 0
	}
	squares := 0.0
	for _, l := range logs {
		off := l - sum/float64(len(logs))
		squares += float64(off * off) // rounded by itself, the same on every CPU
	}
	slices.Sort(logs)
	t.Baseline, t.Sigma = []float64{math.Exp(logs[len(logs)/2])}, math.Sqrt(squares/float64(len(logs)-1))
	return t, len(logs)
}

func shareText(v float64) string { return strconv.FormatFloat(v*100, 'f', 1, 64) + " %" }
