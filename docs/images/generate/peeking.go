package main

import (
	"fmt"
	"slices"

	"github.com/cobound/prova/internal/stats"
)

const (
	peekPerStep = 100
	peekStories = 1000
	peekSeed    = 6
	peekShown   = 3
	peekLooks   = 5  // accusations of the rollouts that are drawn, at least
	peekFirst   = 30 // candidate runs before either rule decides
)

func harmless(number uint64) story {
	return story{perStep: peekPerStep, failures: [][2]float64{{0.06, 0.06}}, seed: peekSeed, number: number}
}

// peeking shows a few rollouts of a harmless release, and how many of all have
// been rolled back after so many runs.
func peeking() (string, error) {
	first := map[bool][]int64{} // candidate runs at the first false alarm, by whose it is
	var fooled []uint64
	last := int64(3 * peekPerStep)
	for number := range uint64(peekStories) {
		t, err := harmless(number).outline()
		if err != nil {
			return "", err
		}
		usual, prova := alarms(t)
		if usual > 0 {
			first[false] = append(first[false], usual)
		}
		if prova > 0 {
			first[true] = append(first[true], prova)
		}
		if prova == 0 && accusations(t) >= peekLooks && len(fooled) < peekShown {
			fooled = append(fooled, number)
		}
	}
	c := &canvas{width: 880, height: 800, title: "Looking again and again at a harmless release"}
	c.text = fmt.Sprintf("Both releases fail 6 %% of their runs. Of %d rollouts the usual 95 %% interval, read after each block, left out zero at some look in %d; "+
		"Prova rolled back %d. Three of the former are drawn: the usual interval leaves zero and comes back, Prova's does not leave it.", peekStories, len(first[false]), len(first[true]))
	c.write("h", "start", 20, 28, "A harmless release: both releases fail 6 % of their runs")
	c.write("m s", "start", 20, 47, "Difference of the failure rates in points, up is worse, over the candidate's runs; 100 runs each at 5, 25 and 50 %, a look after every 5.")
	c.write("m s", "start", 20, 63, fmt.Sprintf("Drawn are the first %d of %d rollouts that the usual interval accuses at %d looks or more and that Prova does not roll back.", peekShown, peekStories, peekLooks))
	for i, number := range fooled {
		s := harmless(number)
		s.intervals = true
		t, err := s.tell()
		if err != nil {
			return "", err
		}
		outline, err := harmless(number).outline()
		if err != nil {
			return "", err
		}
		if !same(outline, t.moments) {
			return "", fmt.Errorf("rollout %d and its outline differ", number)
		}
		x := 62 + float64(i)*276
		across := axis{peekFirst, float64(last), x, x + 250}
		usual, prova := panel{c, across, axis{-9, 21, 250, 100}}, panel{c, across, axis{-9, 21, 462, 312}}
		usual.peek(t, false, i == 0)
		prova.peek(t, true, i == 0)
	}
	c.write("uf", "start", 62, 90, "the usual 95 % interval at each look")
	c.write("pf", "start", 62, 302, "Prova's interval at each look, of the same rollouts")
	shares(c, first, last)
	return c.svg(), nil
}

// alarms returns after how many candidate runs each rule first rolls back, 0 if never.
func alarms(moments []moment) (usual, prova int64) {
	for _, m := range moments {
		if m.runs < peekFirst {
			continue
		}
		if m.worse() && usual == 0 {
			usual = m.runs
		}
		if m.look.Regressed && prova == 0 {
			prova = m.runs
		}
	}
	return usual, prova
}

// same: a rollout and its outline came to the same at each look.
func same(a, b []moment) bool {
	return slices.EqualFunc(a, b, func(a, b moment) bool {
		return a.runs == b.runs && a.usual == b.usual && a.look.Regressed == b.look.Regressed
	})
}

// accusations counts the looks at which the usual interval leaves out 0.
func accusations(moments []moment) (n int) {
	for _, m := range moments {
		if m.runs >= peekFirst && m.worse() {
			n++
		}
	}
	return n
}

// peek draws the intervals of one rollout.
func (p panel) peek(t told, prova, labelled bool) {
	label := func(float64) string { return "" }
	if labelled {
		label = points
	}
	fill, stroke := "uf", "u"
	if prova {
		fill, stroke = "pf", "p"
	}
	p.grid([]float64{10, 20}, label)
	p.grid([]float64{0}, label)
	var high, low, estimate, wrong []point
	for _, m := range t.moments {
		d := &m.usual
		if prova {
			d = m.prova
		}
		if m.runs < peekFirst || d == nil {
			continue
		}
		x := float64(m.runs)
		high, low, estimate = append(high, p.place(x, 100*d.Hi)), append(low, p.place(x, 100*d.Lo)), append(estimate, p.place(x, 100*d.Estimate))
		if d.Lo > 0 {
			wrong = append(wrong, low[len(low)-1])
		}
	}
	p.band("b "+fill, high, low)
	p.line("z", p.x.first, p.y.of(0), p.x.last, p.y.of(0))
	p.path("f "+stroke+" l", low)
	p.path("f "+stroke, high)
	p.path("f k d", estimate)
	for _, q := range wrong {
		p.dot(fill, q.x, q.y, 3.5)
	}
	p.below([]float64{100, 200, 300}, number)
	p.write(fill+" s", "end", p.x.last, p.y.last+10, fmt.Sprintf("leaves out zero at %d of %d looks", len(wrong), len(low)))
}

// shares draws how many rollouts have been rolled back so far.
func shares(c *canvas, first map[bool][]int64, last int64) {
	c.write("h", "start", 20, 528, fmt.Sprintf("Of %d such rollouts, rolled back so far", peekStories))
	p := panel{c, axis{0, float64(last), 62, 600}, axis{0, 20, 750, 548}}
	p.grid([]float64{0, 5, 10, 15, 20}, percent)
	p.below([]float64{0, 100, 200, 300}, number)
	c.write("m s", "middle", (p.x.first+p.x.last)/2, 788, "candidate runs")
	c.line("k d", p.x.first, p.y.of(5), p.x.last, p.y.of(5))
	for _, rule := range []struct {
		prova             bool
		stroke, fill, who string
	}{{false, "f u l", "uf", "the usual 95 % interval, read at each look"}, {true, "f p l", "pf", "Prova, with an error budget of 5 %"}} {
		steps := []point{p.place(0, 0)}
		share := func(runs int64) float64 {
			n := 0
			for _, at := range first[rule.prova] {
				if at <= runs {
					n++
				}
			}
			return 100 * float64(n) / peekStories
		}
		for runs := int64(peekFirst); runs <= last; runs += 5 {
			steps = append(steps, p.place(float64(runs), share(runs-5)), p.place(float64(runs), share(runs)))
		}
		p.path(rule.stroke, steps)
		i := stats.Wilson(stats.Proportion{X: int64(len(first[rule.prova])), N: peekStories}, stats.Critical(0.95))
		y := p.y.of(share(last))
		c.write(rule.fill, "start", 608, y, fmt.Sprintf("%s %% (%s to %s)", fixed(share(last)), fixed(100*i.Lo), fixed(100*i.Hi)))
		c.write(rule.fill+" s", "start", 608, y+16, rule.who)
	}
}
