package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

// The history stands in where candidate runs have fewer than five of the baseline beside them.
func TestBeside(t *testing.T) {
	h := History{Runs: 700, Metrics: map[string]stats.Summary{"success": rates(t, 700, 600)}}
	strata := []compare.Stratum{
		{Candidate: side(t, 1, 1), Baseline: side(t, 4, 4)},
		{Candidate: side(t, 1, 1), Baseline: side(t, 5, 5)},
		{Baseline: side(t, 4, 4)},
		{Candidate: side(t, 9, 9)},
	}
	got := h.Beside(strata)
	for i, want := range []int64{700, 5, 4, 700} {
		if got[i].Baseline.Runs != want || got[i].Candidate.Runs != strata[i].Candidate.Runs {
			t.Errorf("stratum %d: %d baseline runs, want %d", i, got[i].Baseline.Runs, want)
		}
	}
	if strata[0].Baseline.Runs != 4 {
		t.Error("the strata that were given have changed")
	}
	if c := h.Cohort(); c.Runs != 700 || c.Metrics["success"].Summary.Ones() != 600 {
		t.Errorf("%+v", c)
	}
}

// The name of a history is the hash of the bytes in which it is kept; none has none.
func TestKept(t *testing.T) {
	if doc, ref, err := (History{FirstIndex: 3}).Kept(); doc != nil || ref != (HistoryRef{}) || err != nil {
		t.Errorf("%s %+v %v", doc, ref, err)
	}
	h := History{Runs: 1, FirstIndex: 3, LastIndex: 9, Metrics: map[string]stats.Summary{"success": rates(t, 1, 1)}}
	doc, ref, err := h.Kept()
	sum := sha256.Sum256(doc)
	if err != nil || ref != (HistoryRef{Runs: 1, FirstIndex: 3, LastIndex: 9, Digest: hex.EncodeToString(sum[:])}) {
		t.Errorf("%+v %v", ref, err)
	}
	var again History
	if err := json.Unmarshal(doc, &again); err != nil || again.Runs != 1 || again.Metrics["success"].Ones() != 1 {
		t.Errorf("%+v %v", again, err)
	}
}

// What the history says of a quantile is counted against its own threshold, on the harmful side.
func TestHistoryCounts(t *testing.T) {
	of := func(low, middle, high int) (s stats.Summary) {
		for i := range low + middle + high {
			v := 1.0
			if i >= low {
				v = 16
			}
			if i >= low+middle {
				v = 256
			}
			if err := s.Add(v, uint64(i)); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	h := History{Runs: 100, Metrics: map[string]stats.Summary{"latency_ms": of(85, 10, 5), "score": of(30, 45, 25), "success": rates(t, 100, 80)}}
	for text, want := range map[string]struct {
		counts    Counts
		threshold *stats.Bin
	}{
		"success":         {Counts{N: 100, Ones: 80, Zeros: 20}, nil},
		"latency_ms:p90":  {Counts{N: 100, Ones: 5, Zeros: 95}, bin(16)},
		"score:p50":       {Counts{N: 100, Ones: 30, Zeros: 70}, bin(16)},
		"cost_usd:p95":    {Counts{}, nil},
		"latency_ms:mean": {Counts{N: 100, Ones: 85}, nil},
		"error":           {Counts{}, nil},
	} {
		g := gate(t, text)
		got := h.threshold(g)
		if (got == nil) != (want.threshold == nil) || got != nil && *got != *want.threshold {
			t.Errorf("%s: threshold %v, want %v", text, got, want.threshold)
		}
		if c := h.counts(g); c != want.counts {
			t.Errorf("%s: %+v, want %+v", text, c, want.counts)
		}
	}
}
