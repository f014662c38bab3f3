package evidence

import (
	"encoding/json"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// EventOf reads a run or an outcome from its receipt. Index and Epoch, which a
// receipt does not hold, stay 0.
func EventOf(r receipt.Receipt) (Event, error) {
	var body struct {
		UnitID  string                `json:"unit_id"`
		Model   *api.EventModel       `json:"model"`
		Metrics map[string]api.Metric `json:"metrics"`
	}
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return Event{}, err
	}
	recorded, err := time.Parse(time.RFC3339Nano, r.RecordedAt)
	if err != nil {
		return Event{}, err
	}
	return Event{
		EventID: r.EventID, Kind: r.Kind, AppID: r.Source.AppID, Environment: r.Source.Environment, Release: r.Source.Release,
		RunID: r.RunID, ProbeID: r.ProbeID, UnitID: body.UnitID, Model: ModelName(body.Model), RecordedAt: recorded, Metrics: body.Metrics,
	}, nil
}
