package api_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/cobound/prova/api"
)

// A gate's result is written beside its figures and read back whole, although
// the gate in it has a form of its own.
func TestGateResultSurvives(t *testing.T) {
	hides := 0.25
	want := api.GateResult{
		Gate: api.Gate{Metric: "success", Statistic: api.StatisticRate, Better: api.BetterHigher, Margin: api.Margin{Value: 0.02, Relative: true}, On: api.OnRollback},
		Null: "same_rate", Baseline: api.CohortFigure{N: 3}, Difference: &api.Difference{Estimate: -0.5, Method: "newcombe"},
		Ledger: &api.GateLedger{Looks: 2}, Verdict: api.Clean, Hides: &hides, Reason: api.Reason{Code: "c", Text: "t"},
	}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got api.GateResult
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s becomes %+v", b, got)
	}
}
