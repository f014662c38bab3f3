package rollout_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

// latency draws latencies around 800 ms.
func latency(rng *rand.Rand, sigma, factor float64) float64 {
	return 800 * factor * math.Exp(sigma*rng.NormFloat64())
}

// ramp plays a metric through the whole ramp, a tick after every block.
func ramp(p *play, perStep int, candidate, baseline func() float64) {
	metric := p.r.Policy.Gates[0].Metric
	for range 3 * perStep * 4 {
		w := p.r.Weight()
		for range (100 - w) / w {
			p.metric(rollout.Baseline, metric, baseline())
		}
		p.metric(rollout.Candidate, metric, candidate())
		if len(p.closed) == 0 {
			continue
		}
		if p.tick(); p.r.State.Finished() {
			return
		}
	}
}

// Every kind of gate sees a large harm, leaves an equal release alone, and
// decides what its interval shows.
func TestKindsOfGates(t *testing.T) {
	for _, gate := range []string{"latency_ms:p50", "latency_ms:p95", "latency_ms:mean", "score:mean", "score:p50", "latency_ms:p50:margin=20%", "latency_ms:mean:margin=20%", "latency_ms:mean:margin=100"} {
		for _, c := range []struct {
			factor float64
			want   api.State
		}{{1, api.StatePromoted}, {3, api.StateRolledBack}} {
			g := gates(t, gate)
			p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Gates: g})
			factor := c.factor
			if g[0].Better == api.BetterHigher {
				factor = 1 / factor
			}
			rng := rand.New(rand.NewPCG(1, 2))
			ramp(p, 30, func() float64 { return latency(rng, 0.3, factor) }, func() float64 { return latency(rng, 0.3, 1) })
			if p.r.State != c.want {
				t.Errorf("%s ×%g: %s, want %s: %s", gate, factor, p.r.State, c.want, p.last.Reason.Text)
				continue
			}
			r := p.last.Verdict.Gates[0]
			if r.Null != map[api.Statistic]string{api.StatisticMean: compare.NullSameDistribution}[g[0].Statistic] && r.Null != compare.NullSameTail {
				t.Errorf("%s: null %q", gate, r.Null)
			}
			if r.Difference == nil || r.OneLook == nil {
				t.Errorf("%s ×%g: no interval: %+v", gate, factor, r)
				continue
			}
			margin := g[0].Margin.Value
			if g[0].Margin.Relative {
				margin *= *r.Baseline.Value
			}
			excluded := r.Difference.Lo > 0 && r.Difference.Lo >= margin*0.98
			if g[0].Better == api.BetterHigher {
				excluded = r.Difference.Hi < 0
			}
			if excluded != (c.want == api.StateRolledBack) {
				t.Errorf("%s ×%g: the interval %+v does not say what was decided", gate, factor, *r.Difference)
			}
		}
	}
}

// A quantile's threshold is fixed before the block: the first block of a
// rollout without history only teaches it, and later values do not move it.
func TestQuantileThreshold(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Gates: gates(t, "latency_ms:p50")})
	if p.block.Tallies[0].Threshold != nil {
		t.Fatal("a threshold before any run")
	}
	for i := range 5 {
		for j := range 19 {
			p.metric(rollout.Baseline, "latency_ms", float64(100+i*19+j))
		}
		p.metric(rollout.Candidate, "latency_ms", 1e6)
	}
	fixed := p.block.Tallies[0].Threshold
	if len(p.closed) != 1 || fixed == nil || *fixed != stats.BinOf(147) {
		t.Fatalf("the median of 100 … 194 is 147; threshold %v", fixed)
	}
	if d := p.tick(); len(d.Looks) != 0 || d.Decision != api.Hold {
		t.Errorf("the first block was tested: %+v", d.Looks)
	}
	p.metric(rollout.Baseline, "latency_ms", 147) // in the threshold's bin: not beyond it
	p.metric(rollout.Baseline, "latency_ms", 150)
	p.metric(rollout.Candidate, "latency_ms", 150)
	if b := p.block.Tallies[0]; b.Baseline.Ones != 1 || b.Baseline.N != 2 || b.Candidate.Ones != 1 || p.block.Tallies[0].Threshold != fixed {
		t.Errorf("%+v", b)
	}
}

// pairs records n probes on which both releases run, in a random order.
func pairs(p *play, rng *rand.Rand, n int, value func() (candidate, baseline float64)) {
	metric := p.r.Policy.Gates[0].Metric
	for i := range n {
		c, b := value()
		sides := []rollout.Side{rollout.Baseline, rollout.Candidate}
		if rng.IntN(2) == 0 {
			sides[0], sides[1] = sides[1], sides[0]
		}
		cm, bm := map[string]api.Metric{metric: api.Number(c)}, map[string]api.Metric{metric: api.Number(b)}
		for k, side := range sides {
			m := cm
			if side == rollout.Baseline {
				m = bm
			}
			if k == 1 { // before the block may close
				if err := p.block.AddPair(rollout.Pair{Index: p.index, Probe: string(rune(p.index*1000 + int64(i))), Fresh: true, Candidate: cm, Baseline: bm}); err != nil {
					p.t.Fatal(err)
				}
			}
			p.record(side, m)
		}
		if len(p.closed) > 0 {
			if p.tick(); p.r.State.Finished() {
				return
			}
		}
	}
}

func TestGatesOnPairs(t *testing.T) {
	for _, gate := range []string{"success:pair=probe", "error:pair=probe", "latency_ms:mean:pair=probe", "score:pair=probe:margin=10"} {
		for _, harm := range []bool{false, true} {
			g := gates(t, gate)
			p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Steps: []int{50, 100}, Gates: g})
			rng := rand.New(rand.NewPCG(4, 2))
			pairs(p, rng, 60, func() (float64, float64) {
				hard := rng.Float64()
				if g[0].Statistic == api.StatisticMean { // probes differ far more than the releases do
					base := 1e5 * hard
					shift := 20 * rng.NormFloat64()
					if harm && g[0].Better == api.BetterHigher {
						shift -= 60
					} else if harm {
						shift += 60
					}
					return base + shift, base
				}
				b := boolean((hard > 0.3) == (g[0].Better == api.BetterHigher))
				if harm && rng.Float64() < 0.5 {
					return boolean(g[0].Better == api.BetterLower), b
				}
				return b, b
			})
			want := api.StatePromoted
			if harm {
				want = api.StateRolledBack
			}
			if p.r.State != want {
				t.Errorf("%s, harm %t: %s: %s", gate, harm, p.r.State, p.last.Reason.Text)
				continue
			}
			if r := p.last.Verdict.Gates[0]; r.Pairs == nil || r.Pairs.N < 30 {
				t.Errorf("%s: pairs %+v", gate, r.Pairs)
			}
		}
	}
}

// A pair counts once, and only values of 0 and 1 make a rate.
func TestPairsThatAreNoRate(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Steps: []int{50, 100}, Gates: gates(t, "success:pair=probe")})
	pairs(p, rand.New(rand.NewPCG(1, 1)), 60, func() (float64, float64) { return 0.5, 1 })
	if p.r.State != api.StateActive || p.r.FreshRuns() != 0 {
		t.Errorf("%s with %d fresh runs: %s", p.r.State, p.r.FreshRuns(), p.last.Reason.Text)
	}
}

func TestExpectedTime(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary})
	p.traffic(10, 19, 1, 19)
	_, d, err := p.r.Tick(rollout.Evidence{Blocks: p.closed, Strata: p.strata, Open: p.block, StepAge: 20 * 60 * 1e9})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(d.Reason.Text, "after 40 min") || d.Reason.Params["expected_seconds"] != int64(2400) {
		t.Errorf("10 of 30 in 20 minutes: %s %v", d.Reason.Text, d.Reason.Params)
	}
}

// Where units are counted, a user who runs a hundred times counts once, whatever comes of the other runs.
func TestUnitsCountOnce(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Unit: api.UnitUnit})
	add := func(side rollout.Side, unit uint64, v float64) {
		p.index++
		if err := p.block.AddRun(side, rollout.Run{Index: p.index, Unit: unit, Metrics: map[string]api.Metric{"success": api.Number(v)}}); err != nil {
			t.Fatal(err)
		}
	}
	for user := range uint64(4) {
		add(rollout.Baseline, 1000+user, 1)
		for again := range 100 {
			add(rollout.Candidate, user, boolean(again == 0)) // fails ever after
		}
	}
	got := p.block.Tallies[0]
	if p.block.Candidate != 4 || got.Candidate != (rollout.Counts{N: 4, Ones: 4}) || got.Fresh != 4 || p.block.Arrivals[0].Candidate != 400 {
		t.Errorf("4 users with 400 runs: %d, %+v, %+v", p.block.Candidate, got, p.block.Arrivals)
	}
	add(rollout.Candidate, 9, 1)
	add(rollout.Baseline, 2000, 1)
	if !p.block.Full() {
		t.Error("5 users of each release fill a block")
	}
	next := p.block.Next(true, 1, p.index)
	if err := next.AddRun(rollout.Candidate, rollout.Run{Index: 1e6, Unit: 9, Metrics: map[string]api.Metric{"success": api.Number(0)}}); err != nil || next.Candidate != 0 || next.Tallies[0].Candidate.N != 0 {
		t.Errorf("a user counts again in the next block: %+v %v", next.Tallies[0], err)
	}
	// An outcome that comes later is the first value of its metric.
	late := api.CreateRollout{Mode: api.ModeCanary, Unit: api.UnitUnit, Gates: gates(t, "success", "reopened:rate:better=lower")}
	p = newPlay(t, late)
	add(rollout.Candidate, 7, 1)
	for range 2 {
		err := p.block.AddOutcome(rollout.Candidate, rollout.Counted{Index: 1, Epoch: 1}, rollout.Run{Index: 5, Unit: 7, Metrics: map[string]api.Metric{"reopened": api.Number(1)}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if b := p.block; b.Tallies[0].Candidate.N != 1 || b.Tallies[1].Candidate.N != 1 || b.Candidate != 1 {
		t.Errorf("%+v", b.Tallies)
	}
}

// Hardly any unit is taken for another while they are few.
func TestUnitsAreToldApart(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Unit: api.UnitUnit})
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range int64(2000) {
		if err := p.block.AddRun(rollout.Candidate, rollout.Run{Index: i, Unit: rng.Uint64(), Metrics: map[string]api.Metric{"success": api.Bool(true)}}); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.block.Candidate; n < 1940 || n > 1999 { // 30 expected to be missed
		t.Errorf("%d of 2,000 units counted", n)
	}
}
