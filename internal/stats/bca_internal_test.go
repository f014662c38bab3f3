package stats

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// The constants of BCa against those of the vectors: the acceleration is exact,
// and z0 is that of infinitely many replicates, from which ours differs by
// chance (its standard error is 0.0125 at 10,000).
func TestBCaConstants(t *testing.T) {
	data, err := os.ReadFile("testdata/stats-public.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			ID, Method string
			Inputs     struct{ Candidate, Baseline []float64 }
			Expected   struct{ BCa struct{ Z0, A float64 } }
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	units := func(values []float64) (list []Unit) {
		for _, v := range values {
			sum, err := FixedOf(v)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, Unit{Count: 1, Sum: sum})
		}
		return list
	}
	cases := 0
	for _, v := range file.Cases {
		if v.Method != "bootstrap_mean_diff" {
			continue
		}
		cases++
		c, b, _ := cohortsOf([]UnitStratum{{Candidate: units(v.Inputs.Candidate), Baseline: units(v.Inputs.Baseline)}}, 0)
		if a := accelerationOf(&c, &b).difference; math.Abs(a-v.Expected.BCa.A) > 1e-11 {
			t.Errorf("%s: acceleration %.12g, want %.12g", v.ID, a, v.Expected.BCa.A)
		}
		replicates := make([]float64, 10_000)
		for r := range replicates {
			from := NewSource(5, uint64(r))
			x := c.resample(&from)
			replicates[r] = x.part - b.resample(&from).part
		}
		if z0 := NormalQuantile(midRank(replicates, c.plain.part-b.plain.part, c.plain.mean+b.plain.mean)); math.Abs(z0-v.Expected.BCa.Z0) > 4*0.0125 {
			t.Errorf("%s: z0 %.4f, want %.4f", v.ID, z0, v.Expected.BCa.Z0)
		}
	}
	if cases != 8 {
		t.Errorf("%d cases", cases)
	}
}

func TestBCaShares(t *testing.T) {
	for _, c := range []struct{ confidence, below, a, lo, hi float64 }{ // from mpmath
		{0.95, 0.5, 0, 0.025, 0.975}, // nothing to correct
		{0.9, 0.5, 0.1, 0.0788991147016, 0.975504571319},
		{0.95, 0.52, -0.03, 0.0240927773616, 0.974169510361},
		{0.95, 0, 0, 0, 0}, // every replicate is above the estimate
		{0.95, 1, 0.1, 1, 1},
		{0.95, 0.5, 0.6, 0.18386656177, 1},  // 1 - 0.6*1.96 < 0: turned over
		{0.95, 0.5, -0.6, 0, 0.81613343823}, // and below
	} {
		lo, hi := bcaShares(c.confidence, c.below, c.a)
		if math.Abs(lo-c.lo) > 1e-11 || math.Abs(hi-c.hi) > 1e-11 {
			t.Errorf("%v: %.10f %.10f", c, lo, hi)
		}
	}
}

// Ties count half, and what differs by rounding alone is a tie.
func TestMidRank(t *testing.T) {
	third := 0.1 + 0.2 // not 0.3
	if got := midRank([]float64{0.1, third, 0.3, 0.3, 0.9, 0.9}, 0.3, 1); got != (1+1.5)/6 {
		t.Errorf("%v", got)
	}
}
