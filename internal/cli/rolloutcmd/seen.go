package rolloutcmd

import (
	"context"
	"encoding/json"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
	"github.com/cobound/prova/internal/simulate"
	"github.com/cobound/prova/prova"
)

// latest is how many of the last runs are read to learn what the traffic is like.
const latest = 200

// look asks the server what it has seen. Without a server, or if none answers,
// there is nothing to know, and that is said.
func look(ctx context.Context, env *cli.Env, r api.CreateRollout) (simulate.Seen, error) {
	if env.Getenv("PROVA_API_KEY") == "" {
		return simulate.Seen{Without: "no server was asked (PROVA_API_KEY is not set)"}, nil
	}
	client, err := connect.Client(env)
	if err != nil {
		return simulate.Seen{}, err
	}
	s, err := ask(ctx, client, r)
	if err != nil && ctx.Err() == nil && cli.Outage(err) {
		return simulate.Seen{Without: "the server does not answer: " + err.Error()}, nil
	}
	return s, err
}

func ask(ctx context.Context, client *prova.Client, r api.CreateRollout) (simulate.Seen, error) {
	environment := r.Environment
	if environment == "" {
		environment = api.DefaultEnvironment
	}
	s := simulate.Seen{Values: map[string][]float64{}, Without: "the server has not seen enough runs of the baseline with it"}
	releases, err := client.Releases(ctx, r.AppID)
	if err != nil {
		return s, err
	}
	for _, release := range releases.Items {
		if release.Release == r.BaselineRelease && release.Environment == environment {
			s.Metrics = release.Metrics
		}
	}
	if len(s.Metrics) == 0 {
		return s, nil
	}
	of := prova.RunsQuery{AppID: r.AppID, Environment: environment}
	all, err := client.LatestRuns(ctx, of, latest)
	if err != nil {
		return s, err
	}
	s.PerHour = perHour(all.Items)
	of.Release = r.BaselineRelease
	runs, err := client.LatestRuns(ctx, of, latest)
	if err != nil {
		return s, err
	}
	for _, item := range runs.Items {
		for name, m := range read(item).Metrics { // each metric has values of its own, so the order does not matter
			s.Values[name] = append(s.Values[name], m.Value)
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
	return simulate.PerHour(len(items), read(items[0]).RecordedAt.Sub(read(items[len(items)-1]).RecordedAt))
}
