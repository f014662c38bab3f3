package dashboard

import (
	"strconv"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/compare"
)

// comparedPairs are the probes that both releases ran, of a gate.
type comparedPairs struct {
	api.Pairs
	Sentence string
}

func pairsOf(p *api.Pairs) *comparedPairs {
	if p == nil {
		return nil
	}
	out := &comparedPairs{Pairs: *p, Sentence: "Both releases ran " + plural(p.N, "probe") + "."}
	if t := p.PairTable; t != nil && t.BaselineOnly+t.CandidateOnly == 0 {
		out.Sentence += " Each came out alike."
	} else if t != nil {
		out.Sentence += " " + strconv.FormatInt(t.BaselineOnly+t.CandidateOnly, 10) + " came out otherwise with the candidate."
	}
	if p.UnpairedBaseline+p.UnpairedCandidate > 0 {
		out.Sentence += " " + plural(p.UnpairedBaseline, "run") + " of the baseline and " + plural(p.UnpairedCandidate, "run") + " of the candidate have no partner."
	}
	return out
}

// inputsTable is what became of the inputs that both releases ran.
type inputsTable struct {
	*authority.Inputs
	Title string
	Rows  []inputRow
}

type inputRow struct {
	Probe, Baseline, Candidate, Change string
	Worse                              bool
	Runs                               int64
}

func inputsOf(in *authority.Inputs) *inputsTable {
	if in == nil {
		return nil
	}
	t := &inputsTable{Inputs: in, Title: nameOf(in.Gate)}
	for _, c := range in.Changed {
		t.Rows = append(t.Rows, inputRow{
			Probe: c.Probe, Baseline: compare.FormatValue(in.Gate, c.Baseline), Candidate: compare.FormatValue(in.Gate, c.Candidate),
			Change: compare.FormatChange(in.Gate, c.Candidate-c.Baseline), Worse: c.Harm(in.Gate.Better) > 0, Runs: c.CandidateRuns + c.BaselineRuns,
		})
	}
	return t
}
