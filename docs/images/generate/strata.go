package main

import (
	"fmt"

	"github.com/cobound/prova/internal/stats"
)

const (
	strataPerStep = 300
	strataSeed    = 1
	strataStories = 1000
	strataEqual   = 100 // candidate runs a step of the rollouts without a difference
)

// drifting are true failure rates that rise for both releases as the ramp goes
// on; the candidate is better by a sixth at each step.
func drifting() [][2]float64 { return [][2]float64{{0.03, 0.025}, {0.06, 0.05}, {0.12, 0.10}} }

// pooled throws the steps together.
func pooled(counts []stats.Stratum) stats.Stratum {
	var all stats.Stratum
	for _, s := range counts {
		all.Candidate = stats.Proportion{X: all.Candidate.X + s.Candidate.X, N: all.Candidate.N + s.Candidate.N}
		all.Baseline = stats.Proportion{X: all.Baseline.X + s.Baseline.X, N: all.Baseline.N + s.Baseline.N}
	}
	return all
}

// reversed: the candidate fails less at each step and more over all of them.
func reversed(counts []stats.Stratum) bool {
	for _, s := range counts {
		if s.Candidate.Value() >= s.Baseline.Value() {
			return false
		}
	}
	all := pooled(counts)
	return len(counts) == 3 && all.Candidate.Value() > all.Baseline.Value()
}

func strata() (string, error) {
	var counts []stats.Stratum
	for number := uint64(0); !reversed(counts); number++ {
		t, err := story{perStep: strataPerStep, failures: drifting(), seed: strataSeed, number: number}.tell()
		if err != nil {
			return "", err
		}
		counts = t.moments[len(t.moments)-1].counts
	}
	c := &canvas{width: 880, height: 420, title: "Pooled and within steps: a Simpson reversal"}
	all := pooled(counts)
	z := stats.Critical(0.95)
	within, together := stats.StratifiedNewcombe(counts, z), stats.Newcombe(all.Candidate, all.Baseline, z)
	c.text = fmt.Sprintf("The candidate fails less often than the baseline at each of three steps, while the work gets harder for both. "+
		"Over all runs together it seems to fail more often, by %s points (%s to %s), because most of the baseline's runs are from the easy first step. Compared within steps it is better, by %s points (%s to %s).",
		fixed(100*together.Estimate), fixed(100*together.Lo), fixed(100*together.Hi), fixed(-100*within.Estimate), fixed(-100*within.Hi), fixed(-100*within.Lo))
	c.write("h", "start", 20, 28, "The work gets harder while the ramp goes on")
	c.write("m s", "start", 20, 47, "Failure rates at each step, and of all runs thrown together")
	left := panel{c, axis{0, 4, 62, 470}, axis{0, 15, 330, 76}}
	left.rates(append(counts, all))
	c.write("h", "start", 520, 28, "Is the candidate worse?")
	c.write("m s", "start", 520, 47, "Difference of the failure rates in points, 95 % interval")
	right := panel{c, axis{-5, 5, 540, 850}, axis{0, 1, 330, 76}}
	right.differences(together, within)
	wrong, fair, err := accused()
	if err != nil {
		return "", err
	}
	c.write("m s", "start", 520, 396, fmt.Sprintf("Of %d rollouts whose releases do not differ at any step,", strataStories))
	c.write("m s", "start", 520, 412, fmt.Sprintf("the pooled interval accuses %d at the end, the other one %d.", wrong, fair))
	legend(c)
	return c.svg(), nil
}

// accused counts the rollouts without a difference that each interval accuses
// when the ramp is done. It is one look.
func accused() (together, within int, err error) {
	for number := range uint64(strataStories) {
		t, err := story{perStep: strataEqual, failures: [][2]float64{{0.03, 0.03}, {0.06, 0.06}, {0.12, 0.12}}, seed: strataSeed, number: number}.outline()
		if err != nil {
			return 0, 0, err
		}
		last := t[len(t)-1]
		all := pooled(last.counts)
		if stats.Newcombe(all.Candidate, all.Baseline, stats.Critical(0.95)).Lo > 0 {
			together++
		}
		if last.worse() {
			within++
		}
	}
	return together, within, nil
}

func (p panel) rates(counts []stats.Stratum) {
	p.grid([]float64{0, 5, 10, 15}, percent)
	z := stats.Critical(0.95)
	names := []string{"5 %", "25 %", "50 %", "pooled"}
	for i, s := range counts {
		for _, arm := range []struct {
			of           stats.Proportion
			fill, stroke string
			shift        float64
		}{{s.Baseline, "kf", "k l", -0.13}, {s.Candidate, "pf", "p l", 0.13}} {
			limits := stats.Wilson(arm.of, z)
			x := float64(i) + 0.5 + arm.shift
			low, high, middle := p.place(x, 100*limits.Lo), p.place(x, 100*limits.Hi), p.place(x, 100*arm.of.Value())
			p.line(arm.stroke, low.x, low.y, high.x, high.y)
			p.dot(arm.fill, middle.x, middle.y, 5)
		}
		x := p.x.of(float64(i) + 0.5)
		p.write("", "middle", x, p.y.first+20, names[i])
		p.write("m s", "middle", x, p.y.first+38, fmt.Sprintf("%d/%d", s.Baseline.X, s.Baseline.N))
		p.write("pf s", "middle", x, p.y.first+54, fmt.Sprintf("%d/%d", s.Candidate.X, s.Candidate.N))
	}
	p.line("k d", p.x.of(3), p.y.first, p.x.of(3), p.y.last)
}

func (p panel) differences(together, within stats.Difference) {
	for _, v := range []float64{-4, -2, 2, 4} {
		p.line("g", p.x.of(v), p.y.first, p.x.of(v), p.y.last)
	}
	p.line("z", p.x.of(0), p.y.first, p.x.of(0), p.y.last)
	p.below([]float64{-4, -2, 0, 2, 4}, points)
	for _, d := range []struct {
		stats.Difference
		y            float64
		fill, stroke string
		name         string
	}{
		{together, 0.72, "uf", "u l", "pooled"},
		{within, 0.32, "pf", "p l", "within each step, then averaged"},
	} {
		y := p.y.of(d.y)
		p.line(d.stroke, p.x.of(100*d.Lo), y, p.x.of(100*d.Hi), y)
		p.dot(d.fill, p.x.of(100*d.Estimate), y, 5)
		p.write(d.fill, "middle", (p.x.first+p.x.last)/2, y-34, d.name)
		p.write(d.fill+" s", "middle", (p.x.first+p.x.last)/2, y-17, fmt.Sprintf("%s (%s … %s)", signed(d.Estimate), signed(d.Lo), signed(d.Hi)))
	}
	p.write("m s", "start", p.x.first, p.y.first+38, "← better")
	p.write("m s", "end", p.x.last, p.y.first+38, "worse →")
}

func signed(v float64) string {
	if v > 0 {
		return "+" + fixed(100*v)
	}
	return fixed(100 * v)
}

func legend(c *canvas) {
	c.dot("kf", 66, 404, 5)
	c.write("m", "start", 78, 408, "baseline: failures/runs")
	c.dot("pf", 256, 404, 5)
	c.write("pf", "start", 268, 408, "candidate: failures/runs")
}
