package authority

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
)

// Pairs lists the probes that both releases ran, with what they answered: of
// each release its first run on a probe. Each says whether a judge has given a
// verdict on it.
func (a *Authority) Pairs(ctx context.Context, p Principal, q Judged, judge api.Judge, cursor string, limit int) (api.PairList, error) {
	if err := p.need(api.JudgeWrite); err != nil {
		return api.PairList{}, err
	}
	after, err := cursorText(cursor)
	if err != nil {
		return api.PairList{}, err
	}
	var out api.PairList
	err = a.Store.View(ctx, p.Org, func(s Snapshot) error {
		f, err := q.filter(s, p)
		if err != nil {
			return err
		}
		out = api.PairList{AppID: f.AppID, Environment: f.Environment, BaselineRelease: f.Baseline, CandidateRelease: f.Candidate, Pairs: []api.Pair{}}
		runs, err := s.ProbeRuns(f.AppID, f.Environment, []string{f.Baseline, f.Candidate}, after, limit+1)
		if err != nil {
			return err
		}
		return fillPairs(s, f, runs, judge, limit, &out)
	})
	return out, storeError("rollout", err)
}

// fillPairs pairs the runs of at most limit probes; one more says that there is another page.
func fillPairs(s Snapshot, f JudgmentFilter, runs []ProbeRun, judge api.Judge, limit int, out *api.PairList) error {
	var probes []string
	for i := 0; i < len(runs); {
		n := 1
		for i+n < len(runs) && runs[i+n].ProbeID == runs[i].ProbeID {
			n++
		}
		if len(probes) == limit {
			out.NextCursor = encodeCursor(probes[limit-1])
			break
		}
		probes = append(probes, runs[i].ProbeID)
		if err := addPair(s, f, runs[i:i+n], out); err != nil {
			return err
		}
		i += n
	}
	if judge.Model == "" {
		return nil
	}
	judged, err := s.JudgedProbes(f, evidence.JudgeKey(judge), probes)
	for i := range out.Pairs {
		out.Pairs[i].Judged = slices.Contains(judged, out.Pairs[i].ProbeID)
	}
	return err
}

// addPair adds the pair of one probe, or counts why there is none.
func addPair(s Snapshot, f JudgmentFilter, runs []ProbeRun, out *api.PairList) error {
	if len(runs) == 1 {
		if runs[0].Release == f.Baseline {
			out.Unpaired.BaselineOnly++
		} else {
			out.Unpaired.CandidateOnly++
		}
		return nil
	}
	pair := api.Pair{ProbeID: runs[0].ProbeID}
	var inputs [2]json.RawMessage
	for i, r := range runs {
		side, input, err := pairRun(s, r.Index)
		if err != nil {
			return err
		}
		inputs[i] = input
		if r.Release == f.Baseline {
			pair.Baseline = side
		} else {
			pair.Candidate = side
		}
	}
	switch {
	case pair.Baseline.Output == nil || pair.Candidate.Output == nil:
		out.Unpaired.NoOutput++
	case inputs[0] != nil && inputs[1] != nil && !bytes.Equal(inputs[0], inputs[1]): // canonical bytes
		out.Unpaired.InputsDiffer++
	default:
		if pair.Input = inputs[0]; pair.Input == nil {
			pair.Input = inputs[1]
		}
		out.Pairs = append(out.Pairs, pair)
	}
	return nil
}

// pairRun reads what a run was given and what it answered; nil where that is not there, or was erased.
func pairRun(s Snapshot, index int64) (side api.PairRun, input json.RawMessage, err error) {
	entries, err := s.Entries(EntryFilter{From: index, Before: index + 1}, 1)
	if err != nil || len(entries) == 0 {
		return side, nil, errors.Join(err, damagedIf(err == nil, "the run at log index %d is not in the log", index))
	}
	side = api.PairRun{EventID: entries[0].EventID, RunID: entries[0].RunID}
	payloads, err := s.Payloads(index)
	for _, pl := range payloads {
		switch pl.Field {
		case "input":
			input = pl.Value
		case "output":
			side.Output = pl.Value
		}
	}
	return side, input, err
}
