package stats_test

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/cobound/prova/internal/stats"
)

// vector is one case of testdata/stats-public.json, whose expected numbers come
// from other implementations, named in the file.
type vector struct {
	ID         string
	Method     string
	Confidence float64
	Inputs     struct {
		X, N                int64
		X1, N1, X2, N2      int64
		A, B, C, D          int64
		Wins, Losses, Ties  int64
		TiePolicy           string `json:"tie_policy"`
		Data, P             json.RawMessage
		V                   float64
		AlphaTwo            float64 `json:"alpha_two_sided"`
		NOpt                float64 `json:"n_opt"`
		Candidate, Baseline []float64
		Worse, Decided      int64
		Side                float64
		XCandidate          int64 `json:"x_candidate"`
		NCandidate          int64 `json:"n_candidate"`
		XBaseline           int64 `json:"x_baseline"`
		NBaseline           int64 `json:"n_baseline"`
		BaselineAtStart     int64 `json:"baseline_n_at_start"`
	}
	Expected struct {
		Lo, Hi, Estimate, Phi, Z *float64
		Values                   []float64
		LogE                     float64 `json:"log_e"`
		LogM                     float64 `json:"log_m"`
		ArgminLogit              float64 `json:"argmin_logit"`
	}
	MonteCarlo struct {
		B                int
		AcceptPercentile bands `json:"accept_percentile"`
		AcceptBCa        bands `json:"accept_bca"`
	} `json:"monte_carlo"`
	Tolerance struct {
		Abs, Rel    float64
		LogE        float64 `json:"log_e"`
		ArgminLogit float64 `json:"argmin_logit"`
	}
	Published struct{ Lo, Hi string }
}

// bands are what the ends of a seeded bootstrap must be within.
type bands struct{ Lo, Hi [2]float64 }

func vectors(t *testing.T) map[string][]vector {
	t.Helper()
	data, err := os.ReadFile("testdata/stats-public.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []vector }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	byMethod := map[string][]vector{}
	for _, v := range file.Cases {
		byMethod[v.Method] = append(byMethod[v.Method], v)
	}
	return byMethod
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %.15g, want %.15g within %g", what, got, want, tolerance)
	}
}

func (v vector) check(t *testing.T, got stats.Difference) {
	t.Helper()
	near(t, v.ID+" lo", got.Lo, *v.Expected.Lo, v.Tolerance.Abs)
	near(t, v.ID+" hi", got.Hi, *v.Expected.Hi, v.Tolerance.Abs)
	if v.Expected.Estimate != nil {
		near(t, v.ID+" estimate", got.Estimate, *v.Expected.Estimate, v.Tolerance.Abs)
	}
	// What the papers print, to the digits that they print.
	for _, end := range []struct {
		got     float64
		printed string
	}{{got.Lo, v.Published.Lo}, {got.Hi, v.Published.Hi}} {
		if _, digits, ok := strings.Cut(end.printed, "."); ok {
			if text := strconv.FormatFloat(end.got, 'f', len(digits), 64); text != end.printed {
				t.Errorf("%s: %s, printed %s", v.ID, text, end.printed)
			}
		}
	}
}

func TestVectors(t *testing.T) {
	checks := map[string]func(*testing.T, vector){
		"wilson": func(t *testing.T, v vector) {
			i := stats.Wilson(stats.Proportion{X: v.Inputs.X, N: v.Inputs.N}, stats.Critical(v.Confidence))
			v.check(t, stats.Difference{Lo: i.Lo, Hi: i.Hi})
			if (v.Inputs.X == 0) != (i.Lo == 0) || (v.Inputs.X == v.Inputs.N) != (i.Hi == 1) {
				t.Errorf("%s: ends are not exact: %v", v.ID, i)
			}
		},
		"newcombe_diff": func(t *testing.T, v vector) {
			c, b := stats.Proportion{X: v.Inputs.X1, N: v.Inputs.N1}, stats.Proportion{X: v.Inputs.X2, N: v.Inputs.N2}
			z := stats.Critical(v.Confidence)
			v.check(t, stats.Newcombe(c, b, z))
			v.check(t, stats.StratifiedNewcombe([]stats.Stratum{{Candidate: c, Baseline: b}}, z))
		},
		"newcombe_paired": func(t *testing.T, v vector) {
			in := v.Inputs
			v.check(t, stats.NewcombePaired(in.A, in.B, in.C, in.D, stats.Critical(v.Confidence)))
		},
		"wilson_win_rate": func(t *testing.T, v vector) {
			policy := map[string]stats.Ties{"exclude": stats.ExcludeTies, "half": stats.HalveTies}[v.Inputs.TiePolicy]
			share, i := stats.WinRate(v.Inputs.Wins, v.Inputs.Losses, v.Inputs.Ties, policy, stats.Critical(v.Confidence))
			v.check(t, stats.Difference{Estimate: share, Lo: i.Lo, Hi: i.Hi})
		},
		"quantile_type7": func(t *testing.T, v vector) {
			var data, p []float64
			if json.Unmarshal(v.Inputs.Data, &data) != nil || json.Unmarshal(v.Inputs.P, &p) != nil {
				t.Fatalf("%s: inputs", v.ID)
			}
			for i, want := range v.Expected.Values {
				near(t, v.ID, stats.QuantileType7(sorted(data), p[i]), want, v.Tolerance.Rel*math.Abs(want))
			}
		},
		"anytime_z_mix": func(t *testing.T, v vector) {
			near(t, v.ID, stats.CriticalMixture(v.Inputs.AlphaTwo, v.Inputs.V, v.Inputs.NOpt), *v.Expected.Z, v.Tolerance.Abs)
		},
		"anytime_newcombe_mix": func(t *testing.T, v vector) {
			in := v.Inputs
			n1, n2 := float64(in.N1), float64(in.N2)
			z := stats.CriticalMixture(in.AlphaTwo, n1*n2/(n1+n2), in.NOpt)
			v.check(t, stats.Newcombe(stats.Proportion{X: in.X1, N: in.N1}, stats.Proportion{X: in.X2, N: in.N2}, z))
		},
		"bootstrap_mean_diff":     checkBootstrapMean,
		"bootstrap_quantile_diff": checkBootstrapQuantile,
		"exact_sign_log_e": func(t *testing.T, v vector) {
			near(t, v.ID, stats.SignLogE(v.Inputs.Worse, v.Inputs.Decided), v.Expected.LogE, v.Tolerance.Abs)
		},
		"log_m_candidate_grid": func(t *testing.T, v vector) {
			var p float64
			if json.Unmarshal(v.Inputs.P, &p) != nil {
				t.Fatalf("%s: inputs", v.ID)
			}
			got := stats.LogMixture(stats.Proportion{X: v.Inputs.X, N: v.Inputs.N}, p, v.Inputs.Side)
			near(t, v.ID, got, v.Expected.LogM, v.Tolerance.Abs)
		},
		"exact_two_sample_log_e": func(t *testing.T, v vector) {
			in := v.Inputs
			logE, logOdds := stats.TwoSampleLogE(stats.Proportion{X: in.XCandidate, N: in.NCandidate},
				stats.Proportion{X: in.XBaseline, N: in.NBaseline}, in.BaselineAtStart)
			near(t, v.ID+" log e", logE, v.Expected.LogE, v.Tolerance.LogE)
			near(t, v.ID+" log-odds", logOdds, v.Expected.ArgminLogit, v.Tolerance.ArgminLogit)
		},
	}
	cases := 0
	for method, list := range vectors(t) {
		t.Run(method, func(t *testing.T) {
			for _, v := range list {
				checks[method](t, v)
				cases++
			}
		})
	}
	if cases != 137 {
		t.Errorf("%d cases, want 137", cases)
	}
}

func (b bands) check(t *testing.T, what string, got stats.Interval) {
	t.Helper()
	if !(got.Lo >= b.Lo[0] && got.Lo <= b.Lo[1] && got.Hi >= b.Hi[0] && got.Hi <= b.Hi[1]) {
		t.Errorf("%s = %v, want within %v", what, got, b)
	}
}

func checkBootstrapMean(t *testing.T, v vector) {
	strata := []stats.UnitStratum{{Candidate: singles(t, v.Inputs.Candidate), Baseline: singles(t, v.Inputs.Baseline)}}
	how := stats.Resampling{Confidence: v.Confidence, Seed: stats.SeedOf(v.ID), Resamples: v.MonteCarlo.B}
	for method, accept := range map[stats.BootstrapMethod]bands{stats.Percentile: v.MonteCarlo.AcceptPercentile, stats.BCa: v.MonteCarlo.AcceptBCa} {
		how.Method = method
		got := stats.BootstrapMeans(strata, how).Difference
		accept.check(t, v.ID, stats.Interval{Lo: got.Lo, Hi: got.Hi})
		near(t, v.ID+" estimate", got.Estimate, *v.Expected.Estimate, 1e-9*(1+math.Abs(got.Estimate)))
	}
}

func checkBootstrapQuantile(t *testing.T, v vector) {
	var p float64
	if json.Unmarshal(v.Inputs.P, &p) != nil {
		t.Fatalf("%s: inputs", v.ID)
	}
	how := stats.Resampling{Confidence: v.Confidence, Seed: stats.SeedOf(v.ID), Resamples: v.MonteCarlo.B}
	got := stats.BootstrapQuantile(sorted(v.Inputs.Candidate), sorted(v.Inputs.Baseline), p, how)
	v.MonteCarlo.AcceptPercentile.check(t, v.ID, stats.Interval{Lo: got.Lo, Hi: got.Hi})
	near(t, v.ID+" estimate", got.Estimate, *v.Expected.Estimate, 1e-9*(1+math.Abs(got.Estimate)))
}

// singles makes a unit of each value.
func singles(t testing.TB, values []float64) []stats.Unit {
	t.Helper()
	list := make([]stats.Unit, 0, len(values))
	for _, v := range values {
		sum, err := stats.FixedOf(v)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, stats.Unit{Count: 1, Sum: sum})
	}
	return list
}

// The last cases are those of a promotion: three steps of a ramp.
func TestStratifiedNewcombe(t *testing.T) {
	const z = 1.6695925772881872 // one-sided 0.0475
	near(t, "z", -stats.NormalQuantile(0.0475), z, 1e-14)
	arm := func(n, x, m, y int64) stats.Stratum {
		return stats.Stratum{Candidate: stats.Proportion{X: x, N: n}, Baseline: stats.Proportion{X: y, N: m}}
	}
	for _, c := range []struct {
		strata []stats.Stratum
		want   stats.Difference
	}{
		{[]stats.Stratum{arm(30, 3, 570, 57), arm(30, 3, 90, 9), arm(30, 3, 30, 3)}, stats.Difference{Estimate: 0, Lo: -0.0543682369, Hi: 0.0720658544}},
		{[]stats.Stratum{arm(30, 1, 570, 57), arm(30, 2, 90, 9), arm(30, 2, 30, 3)}, stats.Difference{Estimate: -0.0477272727, Lo: -0.0913893488, Hi: 0.0123740280}},
		{[]stats.Stratum{arm(100, 10, 1900, 190), arm(100, 10, 300, 30), arm(100, 10, 100, 10)}, stats.Difference{Estimate: 0, Lo: -0.0312910703, Hi: 0.0367886421}},
		{[]stats.Stratum{arm(300, 45, 5700, 570)}, stats.Difference{Estimate: 0.05, Lo: 0.0180709751, Hi: 0.0881811461}},
	} {
		for _, strata := range [][]stats.Stratum{c.strata, append([]stats.Stratum{arm(0, 0, 50, 5), arm(9, 3, 0, 0)}, c.strata...)} {
			got := stats.StratifiedNewcombe(strata, z)
			near(t, "estimate", got.Estimate, c.want.Estimate, 1e-10)
			near(t, "lo", got.Lo, c.want.Lo, 1e-10)
			near(t, "hi", got.Hi, c.want.Hi, 1e-10)
		}
	}
}

func TestNoData(t *testing.T) {
	none, some := stats.Proportion{}, stats.Proportion{X: 1, N: 2}
	if got := stats.Wilson(none, 1.96); got != (stats.Interval{Lo: 0, Hi: 1}) {
		t.Errorf("Wilson of nothing = %v", got)
	}
	for name, d := range map[string]stats.Difference{
		"candidate":  stats.Newcombe(none, some, 1.96),
		"baseline":   stats.Newcombe(some, none, 1.96),
		"stratified": stats.StratifiedNewcombe([]stats.Stratum{{Candidate: some, Baseline: none}}, 1.96),
		"strata":     stats.StratifiedNewcombe(nil, 1.96),
		"paired":     stats.NewcombePaired(0, 0, 0, 0, 1.96),
	} {
		if !math.IsNaN(d.Estimate) || d.Lo != -1 || d.Hi != 1 {
			t.Errorf("%s without data = %v", name, d)
		}
	}
	if share, i := stats.WinRate(0, 0, 3, stats.ExcludeTies, 1.96); !math.IsNaN(share) || i != (stats.Interval{Lo: 0, Hi: 1}) {
		t.Errorf("win rate of ties = %v %v", share, i)
	}
	if !math.IsNaN(none.Value()) || !math.IsNaN(stats.QuantileType7(nil, 0.5)) || !math.IsNaN(stats.QuantileType7([]float64{1}, 2)) {
		t.Error("want NaN where there is nothing")
	}
}
