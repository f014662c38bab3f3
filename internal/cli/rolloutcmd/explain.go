package rolloutcmd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/simulate"
)

// explanation is what a policy will do, before anything is created.
type explanation struct{ simulate.Explanation }

// explain plays the policy that would be created, and creates nothing.
func (c Create) explain(ctx context.Context, env *cli.Env, r api.CreateRollout) error {
	known, err := look(ctx, env, r)
	if err != nil {
		return err
	}
	policy, wrong := rollout.NewPolicy(r, known.Metrics)
	if len(wrong) > 0 {
		all := make([]error, len(wrong))
		for i, w := range wrong {
			all[i] = errors.New(w.Detail)
		}
		return cli.Usagef("%w", errors.Join(all...))
	}
	progress := env.NewProgress()
	x, err := simulate.Explain(policy, known, simulate.MostRollouts, runtime.GOMAXPROCS(0), func(share float64) bool {
		progress.Show(share, "playing rollouts")
		return ctx.Err() == nil
	})
	progress.Clear()
	switch {
	case errors.Is(err, simulate.ErrTooLong):
		return cli.Usagef("the plan has %d candidate runs, and at most %d are simulated while you wait; prova-eval simulate plays longer ones",
			x.Plan.Runs, simulate.MostExplained)
	case errors.Is(err, simulate.ErrStopped):
		return ctx.Err()
	case err != nil:
		return err
	}
	e := explanation{x}
	if c.JSON.JSON {
		return env.PrintJSON(x)
	}
	return env.Print(e.text(env.Out()))
}

// text is the explanation for people.
func (e explanation) text(style cli.Style) string {
	var b strings.Builder
	row := func(name, text string) { fmt.Fprintf(&b, "  %s  %s\n", style.Dim(fmt.Sprintf("%-9s", name)), text) }
	row("ramp", strconv.FormatInt(e.Policy.MinRuns, 10)+" runs a step, steps "+joinSteps(e.Policy.Steps))
	for _, g := range e.Policy.Gates {
		if g.On != api.OnWarn {
			row("gate", cli.Plain(g.String()))
		}
	}
	row("guarantee", guarantee(e.Policy))
	for _, text := range e.Assumed {
		row("assumed", cli.Plain(text))
	}
	b.WriteString("\n" + planTable(e.Plan).Text(style) + "\n")
	b.WriteString(strings.Join(cli.Wrap(cli.Plain(e.Plan.Text), 96), "\n") + "\n")
	t := e.table()
	b.WriteString("\n" + t.Text(style) + "\n")
	note := fmt.Sprintf("Nothing was created. Each line is %d rollouts played through the engine (seed 1, %s); runs are the candidate's, and half of the rollouts need no more.", e.Expected[0].Rollouts, e.Engine)
	if e.Policy.RequirePairwise {
		note += " The judge was not played: it can hold a rollout or, unless it is on hold, roll one back, and never promotes one by itself."
	}
	for _, line := range cli.Wrap(note, 96) {
		b.WriteString(style.Dim(line) + "\n")
	}
	return b.String()
}

// table has a line for each candidate that was played.
func (e explanation) table() *cli.Table {
	t := &cli.Table{
		Head:  []string{"if the candidate is", "rolled back", "95 % interval", "after runs", "promoted", "ends after"},
		Right: map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true},
	}
	if e.RunsPerHour > 0 {
		t.Head = append(t.Head, "takes about")
	}
	holds := slices.ContainsFunc(e.Expected, func(x simulate.Expectation) bool { return x.Undecided.Count > 0 })
	if holds {
		t.Head = append(t.Head, "undecided")
	}
	for _, x := range e.Expected {
		cells := []string{
			cli.Plain(x.Candidate), share(x.RolledBack.Rate), share(x.RolledBack.Lo) + " … " + share(x.RolledBack.Hi),
			median(x.RunsToRollback), share(x.Promoted.Rate), median(x.RunsToEnd),
		}
		if e.RunsPerHour > 0 {
			cells = append(cells, e.takes(x.RunsToEnd))
		}
		if holds {
			cells = append(cells, share(x.Undecided.Rate))
		}
		t.Add(cells...)
	}
	return t
}

func share(v float64) string { return strconv.FormatFloat(v*100, 'f', 1, 64) + " %" }

func median(r simulate.Runs) string {
	if r.Median == nil {
		return "–"
	}
	return strconv.FormatInt(*r.Median, 10)
}

// takes is how long so many candidate runs take, at the runs per hour seen, step by step.
func (e explanation) takes(r simulate.Runs) string {
	if r.Median == nil {
		return "–"
	}
	hours, left := 0.0, float64(*r.Median)
	for i, w := range e.Policy.Steps {
		n := math.Min(left, float64(e.Policy.MinRuns))
		if i+2 >= len(e.Policy.Steps) { // the last step below full promotion takes the rest
			n = left
		}
		hours += n / (e.RunsPerHour * float64(w) / 100)
		left -= n
	}
	return cli.About(time.Duration(hours * float64(time.Hour)))
}
