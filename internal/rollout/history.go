package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

// History is what the baseline reported before the rollout began, frozen when
// it was created: candidate runs that have no baseline runs beside them are
// compared with it. The zero value is none.
type History struct {
	Runs int64 `json:"runs"`
	// FirstIndex and LastIndex are the log indexes of its first and last run.
	FirstIndex int64 `json:"first_index"`
	LastIndex  int64 `json:"last_index"`
	// Metrics are the summaries of the metrics that the policy's gates name.
	Metrics map[string]stats.Summary `json:"metrics"`
}

// HistoryRef names a history.
type HistoryRef struct {
	Runs       int64 `json:"runs"`
	FirstIndex int64 `json:"first_index"`
	LastIndex  int64 `json:"last_index"`
	// Digest is the SHA-256, in hex, of its JSON form.
	Digest string `json:"digest"`
}

// Cohort is the history as one side of a comparison.
func (h History) Cohort() compare.Cohort {
	var c compare.Cohort
	c.Merge(h.Runs, h.Metrics)
	return c
}

// Beside puts the history in the place of the baseline in the strata in which
// the baseline has fewer runs than a block needs, for the figures shown.
func (h History) Beside(strata []compare.Stratum) []compare.Stratum {
	out := slices.Clone(strata)
	for i, s := range out {
		if s.Candidate.Runs > 0 && s.Baseline.Runs < MinBaseline {
			out[i].Baseline = h.Cohort()
		}
	}
	return out
}

// Kept returns the JSON in which the history is kept, and its name; nil and the
// zero value if there is none.
func (h History) Kept() ([]byte, HistoryRef, error) {
	if h.Runs == 0 {
		return nil, HistoryRef{}, nil
	}
	doc, err := json.Marshal(h)
	if err != nil {
		return nil, HistoryRef{}, err
	}
	sum := sha256.Sum256(doc)
	return doc, HistoryRef{Runs: h.Runs, FirstIndex: h.FirstIndex, LastIndex: h.LastIndex, Digest: hex.EncodeToString(sum[:])}, nil
}

// threshold is what a quantile's values are held against: the quantile of the
// history, as a bin.
func (h History) threshold(g api.Gate) *stats.Bin {
	q, ok := g.Statistic.Quantile()
	s := h.Metrics[g.Metric]
	if !ok || s.Count() == 0 {
		return nil
	}
	bin := s.QuantileBin(q)
	return &bin
}

// counts are the history's values of a gate's metric as a tally counts them.
func (h History) counts(g api.Gate) Counts {
	s := h.Metrics[g.Metric]
	if t := h.threshold(g); t != nil {
		beyond := s.CountAbove(*t)
		if g.Better == api.BetterHigher {
			beyond = s.Count() - s.CountAbove(*t-1)
		}
		return Counts{N: s.Count(), Ones: beyond, Zeros: s.Count() - beyond}
	}
	return Counts{N: s.Count(), Ones: s.Ones(), Zeros: s.Zeros()}
}
