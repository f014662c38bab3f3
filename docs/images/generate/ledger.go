package main

import (
	"fmt"

	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

const (
	ledgerSeed = 3
	ledgerHold = 220 // candidate runs beyond the plan
	ledgerEnd  = 2.6 // of the plan
)

// ledger shows what a rollout may spend and what its looks did spend.
func ledger() (string, error) {
	t, err := story{perStep: 30, failures: [][2]float64{{0.06, 0.06}}, seed: ledgerSeed, hold: ledgerHold}.tell()
	if err != nil {
		return "", err
	}
	plan := 0.0
	for _, w := range []float64{5, 25, 50} {
		plan += 30 * (100 - w) / 100
	}
	c := &canvas{width: 880, height: 460, title: "The ledger of one rollout"}
	last := t.moments[len(t.moments)-1].look
	c.text = fmt.Sprintf("Error that may be spent, and error that the looks of a rollout have spent, over the information gathered. Inside the plan of %s runs of information at most 4.75 of the 5 %% may be spent, late; "+
		"the rest is a reserve for all time after it. The first look that decides is at 30 candidate runs. After %d looks %s %% have been spent.", number(plan), last.Number, fixed2(100*last.Used))
	c.write("h", "start", 20, 28, "The ledger of one rollout")
	c.write("m s", "start", 20, 47, "Both releases fail 6 % of their runs; 30 candidate runs at 5, 25 and 50 %, then held at 50 %. Budget 5 %.")
	p := panel{c, axis{0, ledgerEnd, 62, 850}, axis{0, 5.5, 390, 72}}
	p.area("b of", p.x.of(1), p.y.of(5), p.x.last-p.x.of(1), p.y.of(4.75)-p.y.of(5))
	p.grid([]float64{0, 1, 2, 3, 4, 5}, percent)
	p.line("z", p.x.first, p.y.first, p.x.last, p.y.first)
	p.below([]float64{0, 0.5, 1, 1.5, 2, 2.5}, func(u float64) string { return number(u * plan) })
	c.write("m s", "middle", (p.x.first+p.x.last)/2, p.y.first+40, "information: Σ n_c·n_b/(n_c+n_b) over the steps, in runs")
	p.line("k d", p.x.of(1), p.y.first, p.x.of(1), p.y.last)
	c.write("m s", "end", p.x.of(1)-6, p.y.last+10, "end of the plan")
	p.allowance(plan)
	p.looks(t, plan)
	return c.svg(), nil
}

// allowance draws the error that may be spent.
func (p panel) allowance(plan float64) {
	var curve []point
	for i := range 131 {
		u := ledgerEnd * float64(i) / 130
		curve = append(curve, p.place(u, 100*stats.AlphaStar(rollout.DefaultErrorBudget, plan, float64(u*plan))))
	}
	p.path("f u l", curve)
	p.write("uf", "end", p.x.of(0.78), p.y.of(2.75), "may be spent")
	p.write("of s", "start", p.x.of(1)+10, p.y.of(5)-7, "the reserve: what is left of 5 % lasts for ever")
}

// looks draws what each look that decides has left as spent.
func (p panel) looks(t told, plan float64) {
	steps := []point{p.place(0, 0)}
	var dots []point
	for _, m := range t.moments {
		u := m.look.Information / plan
		if !m.look.Tested || u > ledgerEnd {
			continue
		}
		q := p.place(u, 100*m.look.Used)
		steps = append(steps, point{q.x, steps[len(steps)-1].y}, q)
		dots = append(dots, q)
	}
	p.path("f p", steps)
	for _, q := range dots {
		p.dot("pf", q.x, q.y, 3.5)
	}
	p.write("pf", "start", p.x.of(1.03), p.y.of(2.25), "spent: a dot for each look that decided")
	p.write("m s", "end", dots[0].x-4, dots[0].y-30, "first look,")
	p.write("m s", "end", dots[0].x-4, dots[0].y-15, "at 30 candidate runs")
}

func fixed2(v float64) string { return fmt.Sprintf("%.2f", v) }
