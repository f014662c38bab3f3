package dashboard

import (
	"encoding/json"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/simulate"
)

// latestRuns is how many of the last runs are read to learn what the traffic is like.
const latestRuns = 200

// known is what was seen of an app before a rollout of it.
func (h *Handler) known(r *request, wanted api.CreateRollout) (simulate.Seen, error) {
	environment := wanted.Environment
	if environment == "" {
		environment = api.DefaultEnvironment
	}
	s := simulate.Seen{Values: map[string][]float64{}, Without: "not enough runs of the baseline with it were seen"}
	releases, err := h.Cases.Releases(r.Context(), r.who, wanted.AppID)
	if err != nil {
		return s, err
	}
	for _, release := range releases {
		if release.Release == wanted.BaselineRelease && release.Environment == environment {
			s.Metrics = release.Metrics
		}
	}
	if len(s.Metrics) == 0 {
		return s, nil
	}
	of := authority.EntryFilter{AppID: wanted.AppID, Environment: environment}
	all, err := h.Cases.Runs(r.Context(), r.who, of, "", latestRuns)
	if err != nil {
		return s, err
	}
	if n := len(all.Items); n > 1 {
		s.PerHour = simulate.PerHour(n, runIn(all.Items[0]).RecordedAt.Sub(runIn(all.Items[n-1]).RecordedAt))
	}
	of.Release = wanted.BaselineRelease
	runs, err := h.Cases.Runs(r.Context(), r.who, of, "", latestRuns)
	for _, item := range runs.Items {
		for name, m := range runIn(item).Metrics { // each metric has values of its own, so the order does not matter
			s.Values[name] = append(s.Values[name], m.Value)
		}
	}
	return s, err
}

// seenRun is what is read of a run's receipt here.
type seenRun struct {
	RecordedAt time.Time             `json:"recorded_at"`
	Metrics    map[string]api.Metric `json:"metrics"`
}

// runIn is the zero run for a receipt that is none.
func runIn(item api.ReceiptItem) seenRun {
	var receipt struct {
		Body seenRun `json:"body"`
	}
	if json.Unmarshal(item.Receipt, &receipt) != nil {
		return seenRun{}
	}
	return receipt.Body
}
