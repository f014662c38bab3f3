package rolloutcmd

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
	"github.com/cobound/prova/internal/simulate"
	"github.com/cobound/prova/prova"
)

// latest is how many of the last runs are read to learn what the traffic is like.
const latest = 200

// seen is what a server knows of an app before a rollout of it.
type seen struct {
	// without says why something is assumed instead.
	without string
	// metrics are those that the baseline has reported.
	metrics []string
	// values of the baseline's last runs, by metric.
	values map[string][]float64
	// perHour is the rate of runs of all releases, 0 if unknown.
	perHour float64
}

// look asks the server what it has seen. Without a server, or if none answers,
// there is nothing to know, and that is said.
func look(ctx context.Context, env *cli.Env, r api.CreateRollout) (seen, error) {
	if env.Getenv("PROVA_API_KEY") == "" {
		return seen{without: "no server was asked (PROVA_API_KEY is not set)"}, nil
	}
	client, err := connect.Client(env)
	if err != nil {
		return seen{}, err
	}
	s, err := ask(ctx, client, r)
	if err != nil && ctx.Err() == nil && cli.Outage(err) {
		return seen{without: "the server does not answer: " + err.Error()}, nil
	}
	return s, err
}

func ask(ctx context.Context, client *prova.Client, r api.CreateRollout) (seen, error) {
	environment := r.Environment
	if environment == "" {
		environment = api.DefaultEnvironment
	}
	s := seen{values: map[string][]float64{}, without: "the server has not seen enough runs of the baseline with it"}
	releases, err := client.Releases(ctx, r.AppID)
	if err != nil {
		return s, err
	}
	for _, release := range releases.Items {
		if release.Release == r.BaselineRelease && release.Environment == environment {
			s.metrics = release.Metrics
		}
	}
	if len(s.metrics) == 0 {
		return s, nil
	}
	of := prova.RunsQuery{AppID: r.AppID, Environment: environment}
	all, err := client.LatestRuns(ctx, of, latest)
	if err != nil {
		return s, err
	}
	s.perHour = perHour(all.Items)
	of.Release = r.BaselineRelease
	runs, err := client.LatestRuns(ctx, of, latest)
	if err != nil {
		return s, err
	}
	for _, item := range runs.Items {
		for name, m := range read(item).Metrics { // each metric has values of its own, so the order does not matter
			s.values[name] = append(s.values[name], m.Value)
		}
	}
	return s, nil
}

// run is what is read of a receipt here.
type run struct {
	RecordedAt time.Time             `json:"recorded_at"`
	Metrics    map[string]api.Metric `json:"metrics"`
}

// read is the zero run for a receipt that is none.
func read(item api.ReceiptItem) run {
	var receipt struct {
		Body run `json:"body"`
	}
	if json.Unmarshal(item.Receipt, &receipt) != nil {
		return run{}
	}
	return receipt.Body
}

// perHour is the rate over the last runs, newest first; 0 if they say nothing.
func perHour(items []api.ReceiptItem) float64 {
	if len(items) < 2 {
		return 0
	}
	elapsed := read(items[0]).RecordedAt.Sub(read(items[len(items)-1]).RecordedAt)
	if elapsed < time.Second {
		return 0
	}
	return float64(len(items)-1) / elapsed.Hours()
}

// The truth that is assumed where nothing was seen.
const (
	assumedFailures = 0.10
	assumedSigma    = 0.6
	assumedLevel    = 1000
)

// enough is how many values tell what a metric is like.
const enough = 30

// truth is the baseline's distribution of a gate's metric, and how many runs
// it rests on; 0 if it is assumed. A rate of which no or every run failed is
// taken half a run away from that end, where a candidate can be worse or better.
func (s seen) truth(g api.Gate) (simulate.Truth, int) {
	values := s.values[g.Metric]
	if g.Statistic == api.StatisticRate {
		if len(values) < enough {
			return simulate.Truth{Shape: simulate.Bernoulli, Baseline: []float64{assumedFailures}}, 0
		}
		failures := 0.0
		for _, v := range values {
			if failed := v == 0; failed == (g.Better == api.BetterHigher) {
				failures++
			}
		}
		failures = math.Min(math.Max(failures, 0.5), float64(len(values))-0.5)
		return simulate.Truth{Shape: simulate.Bernoulli, Baseline: []float64{failures / float64(len(values))}}, len(values)
	}
	t := simulate.Truth{Shape: simulate.Lognormal, Baseline: []float64{assumedLevel}, Sigma: assumedSigma}
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
		squares += (l - sum/float64(len(logs))) * (l - sum/float64(len(logs)))
	}
	slices.Sort(logs)
	t.Baseline, t.Sigma = []float64{math.Exp(logs[len(logs)/2])}, math.Sqrt(squares/float64(len(logs)-1))
	return t, len(logs)
}
