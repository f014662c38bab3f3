package evalcmd

import (
	"fmt"
	"strconv"

	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/stats"
)

// Interval computes one interval.
type Interval struct {
	Wilson         Wilson         `cmd:"" help:"The score interval of a rate (Wilson 1927)."`
	Newcombe       Newcombe       `cmd:"" help:"The difference of two independent rates (Newcombe 1998, method 10)."`
	NewcombePaired NewcombePaired `cmd:"" help:"The difference of two rates on the same units (Newcombe 1998, paired method 10)."`
	BootstrapMean  BootstrapMean  `cmd:"" help:"The difference of two means (seeded bootstrap, percentile or BCa)."`

	BootstrapQuantile BootstrapQuantile `cmd:"" help:"The difference of two quantiles (seeded percentile bootstrap)."`
	Critical          Critical          `cmd:"" help:"The critical value that holds over any number of looks (normal mixture)."`
}

// Level is the options that every interval has.
type Level struct {
	Confidence float64 `default:"0.95" placeholder:"C" help:"Two-sided confidence (default ${default})."`
	JSON       bool    `name:"json" help:"Print the interval as JSON, with all digits."`
}

// result is an interval as it is printed.
type result struct {
	Method     string  `json:"method"`
	Confidence float64 `json:"confidence"`
	Estimate   float64 `json:"estimate"`
	Lo         float64 `json:"lo"`
	Hi         float64 `json:"hi"`
}

func (l Level) check() error {
	if !(l.Confidence > 0 && l.Confidence < 1) {
		return cli.Usagef("--confidence: want a number between 0 and 1, such as 0.95")
	}
	return nil
}

func (l Level) print(env *cli.Env, method string, d stats.Difference) error {
	r := result{method, l.Confidence, d.Estimate, d.Lo, d.Hi}
	if l.JSON {
		return env.PrintJSON(r)
	}
	digits := func(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
	return env.Print(fmt.Sprintf("%s (%s … %s)  %s %% %s\n", digits(r.Estimate), digits(r.Lo), digits(r.Hi), strconv.FormatFloat(r.Confidence*100, 'g', 6, 64), method))
}

func proportion(xFlag string, x int64, nFlag string, n int64) (stats.Proportion, error) {
	if n < 1 || x < 0 || x > n {
		return stats.Proportion{}, cli.Usagef("%s %d of %s %d: want at least one, and a part of it", xFlag, x, nFlag, n)
	}
	return stats.Proportion{X: x, N: n}, nil
}

// Wilson is the interval of one rate.
type Wilson struct {
	X int64 `required:"" placeholder:"X" help:"How many succeeded."`
	N int64 `required:"" placeholder:"N" help:"How many there were."`
	Level
}

// Help shows an example.
func (Wilson) Help() string { return "Example:\n\n  prova-eval interval wilson --x 81 --n 263" }

// Run computes it.
func (c Wilson) Run(env *cli.Env) error {
	if err := c.check(); err != nil {
		return err
	}
	p, err := proportion("--x", c.X, "--n", c.N)
	if err != nil {
		return err
	}
	i := stats.Wilson(p, stats.Critical(c.Confidence))
	return c.print(env, "wilson", stats.Difference{Estimate: p.Value(), Lo: i.Lo, Hi: i.Hi})
}

// Newcombe is the difference of two independent rates.
type Newcombe struct {
	X1 int64 `name:"x1" required:"" placeholder:"X" help:"How many of the candidate's succeeded."`
	N1 int64 `name:"n1" required:"" placeholder:"N" help:"How many the candidate had."`
	X2 int64 `name:"x2" required:"" placeholder:"X" help:"How many of the baseline's succeeded."`
	N2 int64 `name:"n2" required:"" placeholder:"N" help:"How many the baseline had."`
	Level
}

// Help shows an example.
func (Newcombe) Help() string {
	return "The difference is candidate minus baseline.\n\nExample:\n\n  prova-eval interval newcombe --x1 56 --n1 70 --x2 48 --n2 80"
}

// Run computes it.
func (c Newcombe) Run(env *cli.Env) error {
	if err := c.check(); err != nil {
		return err
	}
	candidate, err := proportion("--x1", c.X1, "--n1", c.N1)
	if err != nil {
		return err
	}
	baseline, err := proportion("--x2", c.X2, "--n2", c.N2)
	if err != nil {
		return err
	}
	return c.print(env, "newcombe", stats.Newcombe(candidate, baseline, stats.Critical(c.Confidence)))
}

// NewcombePaired is the difference of two rates on the same units.
type NewcombePaired struct {
	A int64 `required:"" placeholder:"N" help:"Units on which both succeed."`
	B int64 `required:"" placeholder:"N" help:"Units on which only the candidate succeeds."`
	C int64 `required:"" placeholder:"N" help:"Units on which only the baseline succeeds."`
	D int64 `required:"" placeholder:"N" help:"Units on which both fail."`
	Level
}

// Help shows an example.
func (NewcombePaired) Help() string {
	return "The difference is candidate minus baseline.\n\nExample:\n\n  prova-eval interval newcombe-paired --a 43 --b 2 --c 8 --d 0"
}

// Run computes it.
func (c NewcombePaired) Run(env *cli.Env) error {
	if err := c.check(); err != nil {
		return err
	}
	if min(c.A, c.B, c.C, c.D) < 0 || c.A+c.B+c.C+c.D < 1 {
		return cli.Usagef("--a, --b, --c, --d: want counts of at least 0, and at least one unit")
	}
	return c.print(env, "newcombe-paired", stats.NewcombePaired(c.A, c.B, c.C, c.D, stats.Critical(c.Confidence)))
}
