package replay

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// CheckReplay is the name of the check in a verifier's report.
const CheckReplay receipt.CheckName = "replay"

// All replays every rollout that begins in a log, app by app and environment
// by environment, and says what became of it as checks of a report: one that
// failed for each finding, and one for the whole. Nothing to replay, and
// decisions whose rollout began before the log, are undetermined.
func All(log Log) ([]receipt.Check, error) {
	places, err := places(log)
	if err != nil {
		return nil, err
	}
	var total Report
	for _, p := range places {
		report, err := Rollouts(log, p.app, p.environment)
		if err != nil {
			return nil, err
		}
		total.Decisions += report.Decisions
		total.Skipped += report.Skipped
		total.Findings = append(total.Findings, report.Findings...)
	}
	return total.checks(), nil
}

type place struct{ app, environment string }

// places are the apps and environments in which a rollout begins, or decides.
func places(log Log) ([]place, error) {
	found := map[place]bool{}
	for item, err := range log() {
		if err != nil {
			return nil, err
		}
		if item.Receipt.Kind == api.KindRolloutCreated || decision(item.Receipt.Kind) {
			found[place{item.Receipt.Source.AppID, item.Receipt.Source.Environment}] = true
		}
	}
	out := make([]place, 0, len(found))
	for p := range found {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.app, b.app), cmp.Compare(a.environment, b.environment))
	})
	return out, nil
}

func (r Report) checks() []receipt.Check {
	var out []receipt.Check
	for _, f := range r.Findings {
		index := f.Index
		out = append(out, receipt.Check{
			Check: CheckReplay, Status: receipt.Failed, Expected: f.Expected, Found: f.Found, LogIndex: &index, EventID: f.EventID,
			Detail: f.What + ": " + f.Detail,
		})
	}
	if r.Skipped > 0 {
		out = append(out, receipt.Check{
			Check: CheckReplay, Status: receipt.Undetermined,
			Detail: fmt.Sprintf("%d decisions could not be recomputed: their rollouts began before the evidence, another engine than %s decided, an earlier decision does not agree, or no rollout can have their policy", r.Skipped, api.Engine),
		})
	}
	switch {
	case r.Decisions == 0 && len(out) == 0:
		out = append(out, receipt.Check{Check: CheckReplay, Status: receipt.Undetermined, Detail: "there is no decision of a rollout to recompute"})
	case r.Decisions > 0 && len(out) == 0:
		out = append(out, receipt.Check{
			Check: CheckReplay, Status: receipt.OK,
			Detail: fmt.Sprintf("%d decisions recomputed from the runs, by engine %s: the bytes are those that were signed", r.Decisions, api.Engine),
		})
	}
	return out
}
