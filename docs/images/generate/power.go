package main

import (
	"fmt"
	"runtime"

	"github.com/cobound/prova/internal/simulate"
)

const (
	powerSeed    = 1
	powerStories = 100
	powerBlock   = 10
)

// power shows what a ramp can see with 30, 100 and 300 candidate runs a step.
func power() (string, error) {
	c := &canvas{width: 880, height: 460, title: "What a ramp can see"}
	c.text = fmt.Sprintf("Share of rollouts rolled back, by the candidate's failure rate, when the baseline fails 6 %% of its runs: %d rollouts a point. "+
		"With 30 candidate runs a step a threefold rate is found in most rollouts; 300 a step find a rate of 9 %% in most rollouts.", powerStories)
	c.write("h", "start", 20, 28, "What a ramp can see")
	c.write("m s", "start", 20, 47, fmt.Sprintf("The baseline fails 6 %% of its runs. Rolled back, of %d rollouts a point; bars are 95 %% intervals.", powerStories))
	c.write("m s", "start", 20, 63, fmt.Sprintf("Budget 5 %%, ramp 5, 25, 50 %%, a look after every %d candidate runs.", powerBlock))
	p := panel{c, axis{5, 26, 62, 720}, axis{0, 100, 396, 84}}
	p.grid([]float64{0, 25, 50, 75, 100}, percent)
	rates := []float64{6, 7.5, 9, 12, 18, 25}
	p.below(rates, percent)
	p.write("m s", "middle", (p.x.first+p.x.last)/2, p.y.first+40, "true failure rate of the candidate")
	for _, ramp := range []struct {
		runs         int64
		stroke, fill string
		labelAt      float64
	}{{300, "f o l", "of", 96}, {100, "f p l", "pf", 72}, {30, "f u l", "uf", 48}} {
		var curve []point
		for _, rate := range rates {
			a := simulate.Defaults()
			a.Rates, a.PerStep, a.BlockRuns = [2]float64{0.06, rate / 100}, ramp.runs, powerBlock
			s, err := a.Scenario()
			if err != nil {
				return "", err
			}
			result, err := s.Play(simulate.Run{Rollouts: powerStories, Seed: powerSeed, Workers: runtime.GOMAXPROCS(0)})
			if err != nil {
				return "", err
			}
			share := result.RolledBack
			q, low, high := p.place(rate, 100*share.Rate), p.place(rate, 100*share.Lo), p.place(rate, 100*share.Hi)
			curve = append(curve, q)
			p.line(ramp.stroke[2:3], low.x, low.y, high.x, high.y)
			p.dot(ramp.fill, q.x, q.y, 4)
		}
		p.path(ramp.stroke, curve)
		p.write(ramp.fill, "start", 735, p.y.of(ramp.labelAt), fmt.Sprintf("%d runs a step", ramp.runs))
	}
	return c.svg(), nil
}
