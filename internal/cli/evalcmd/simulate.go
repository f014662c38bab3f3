package evalcmd

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/simulate"
	"github.com/cobound/prova/internal/stats"
)

// Simulate plays a policy against synthetic truth.
type Simulate struct {
	Rates         []float64 `placeholder:"B,C" help:"True failure rates of baseline and candidate (default 0.1,0.1)."`
	Metric        string    `placeholder:"GATE" help:"What is gated (default success): a rate, or a lognormal number such as latency_ms or latency_ms:mean; with :pair=probe, on pairs."`
	Sigma         *float64  `placeholder:"S" help:"Standard deviation of the metric's logarithm (default 0.6)."`
	Effect        *float64  `placeholder:"F" help:"The candidate's values are this many times the baseline's (default 1)."`
	PerStep       int64     `default:"30" placeholder:"N" help:"Candidate runs that each step needs (default ${default})."`
	Steps         []int     `default:"5,25,50,100" placeholder:"W,…" help:"Weights of the ramp in percent (default ${default})."`
	Tick          int64     `default:"5" placeholder:"N" help:"Candidate runs in a block: the rollout is ticked after each (default ${default})."`
	Arrivals      string    `default:"proportional" enum:"proportional,random" placeholder:"HOW" help:"Runs of both releases come in proportion to the weight, or one by one at random (${enum}; default ${default})."`
	Gates         int       `default:"1" placeholder:"K" help:"Independent metrics that share the error budget; only the first is harmed (default ${default})."`
	Drift         []float64 `placeholder:"R,…" help:"The baseline's failure rate at each step (for a metric: the factor of both levels); the candidate keeps its distance."`
	History       int64     `default:"0" placeholder:"N" help:"A finished baseline of this many runs instead of one beside the candidate (default ${default})."`
	Beyond        int64     `default:"0" placeholder:"N" help:"Hold at the last step and tick this often beyond the plan (default ${default})."`
	Margin        string    `default:"0" placeholder:"X|X%" help:"How much worse the candidate may be (default ${default})."`
	FirstLook     int64     `placeholder:"N" help:"Candidate runs before the first test (default 30, or per-step if that is less)."`
	Rollouts      int       `default:"20000" placeholder:"N" help:"Rollouts to play (default ${default})."`
	Guarantee     string    `default:"rollout" enum:"rollout,look" placeholder:"NAME" help:"What the error rate is promised over (${enum}; default ${default})."`
	PromoteOn     string    `placeholder:"RULE" help:"not_regressed (default) or non_inferior, which needs --promote-margin."`
	PromoteMargin *float64  `placeholder:"X" help:"How much worse a release may at most be shown to be at the last step."`
	Seed          uint64    `default:"1" placeholder:"N" help:"The seed; the same seed gives the same digits (default ${default})."`
	JSON          bool      `name:"json" help:"Print the operating characteristics as JSON on stdout."`
}

// maxRollouts bounds the memory: beyond it the intervals are narrower than anybody reads.
const maxRollouts = 10_000_000

// Help shows an example.
func (Simulate) Help() string {
	return `The rollouts run through the engine that decides real ones. Equal rates make "rolled back" the rate of false rollbacks, other rates the power to find the harm.

Examples:

  prova-eval simulate
  prova-eval simulate --rates 0.1,0.2 --per-step 100
  prova-eval simulate --guarantee look --rollouts 2000`
}

// Run plays the rollouts.
func (c Simulate) Run(ctx context.Context, env *cli.Env) error {
	assumed, err := c.assumptions()
	if err != nil {
		return err
	}
	if c.Rollouts < 1 || c.Rollouts > maxRollouts {
		return cli.Usagef("--rollouts: want 1 to %d", maxRollouts)
	}
	scenario, err := assumed.Scenario()
	if err != nil {
		return cli.Usagef("%w", err)
	}
	defer fewCollections()()
	progress := env.NewProgress()
	result, err := scenario.Play(simulate.Run{
		Rollouts: c.Rollouts, Seed: stats.Seed(c.Seed), Workers: runtime.GOMAXPROCS(0),
		Progress: func(done int) bool {
			progress.Show(float64(done)/float64(c.Rollouts), grouped(int64(done))+" of "+grouped(int64(c.Rollouts))+" rollouts")
			return ctx.Err() == nil
		},
	})
	progress.Clear()
	if errors.Is(err, simulate.ErrStopped) {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return env.PrintJSON(struct {
			Engine string           `json:"engine"`
			Seed   uint64           `json:"seed"`
			Policy api.Policy       `json:"policy"`
			Truth  []simulate.Truth `json:"truth"`
			simulate.Result
		}{api.Engine, c.Seed, scenario.Policy, scenario.Truth, result})
	}
	return env.Print(c.text(assumed, scenario, result, env.Out()))
}

// fewCollections lets garbage grow to a few times the heap, which is small: a
// third of the time of a simulation is the collector's otherwise. The function
// that it returns ends that.
func fewCollections() func() {
	before := debug.SetGCPercent(800)
	return func() { debug.SetGCPercent(before) }
}

// assumptions reads the options.
func (c Simulate) assumptions() (simulate.Assumptions, error) {
	a := simulate.Defaults()
	if c.Metric != "" {
		var err error
		if a.Metric, err = api.ParseGate(c.Metric); err != nil {
			return a, cli.Usagef("--metric: %w", err)
		}
	}
	numeric := c.Metric != "" && a.Metric.Statistic != api.StatisticRate
	switch {
	case numeric && len(c.Rates) > 0:
		return a, cli.Usagef("--rates and --metric %s exclude one another: a rate has failure rates, a number --sigma and --effect", c.Metric)
	case !numeric && (c.Sigma != nil || c.Effect != nil):
		return a, cli.Usagef("--sigma and --effect need a --metric that is a number, such as latency_ms")
	case len(c.Rates) != 0 && len(c.Rates) != 2:
		return a, cli.Usagef("--rates: want two failure rates, of the baseline and of the candidate, such as 0.1,0.2")
	case c.Gates < 1:
		return a, cli.Usagef("--gates: want at least 1")
	case c.PerStep < 1:
		return a, cli.Usagef("--per-step: want at least 1")
	case c.FirstLook > c.PerStep:
		return a, cli.Usagef("--first-look %d comes after the %d runs of a step (--per-step)", c.FirstLook, c.PerStep)
	case c.Tick < 1 || c.History < 0 || c.Beyond < 0 || c.FirstLook < 0:
		return a, cli.Usagef("--tick is at least 1; --history, --beyond and --first-look are not negative")
	}
	margin, err := api.ParseMargin(c.Margin)
	if err != nil {
		return a, cli.Usagef("--margin: %w", err)
	}
	copy(a.Rates[:], c.Rates)
	a.Sigma, a.Effect = or(c.Sigma, a.Sigma), or(c.Effect, a.Effect)
	a.PerStep, a.Steps, a.BlockRuns, a.Arrivals, a.Gates = c.PerStep, c.Steps, c.Tick, simulate.Arrivals(c.Arrivals), c.Gates
	a.Drift, a.History, a.Beyond, a.Margin, a.FirstLook = c.Drift, c.History, c.Beyond, margin, c.FirstLook
	a.Guarantee, a.PromoteOn, a.PromoteMargin = api.Guarantee(c.Guarantee), c.PromoteOn, or(c.PromoteMargin, 0)
	return a, nil
}

func or[T any](v *T, fallback T) T {
	if v == nil {
		return fallback
	}
	return *v
}

// text is the result for people: what was assumed, what came of it, and what that means.
func (c Simulate) text(a simulate.Assumptions, s simulate.Scenario, r simulate.Result, style cli.Style) string {
	var b strings.Builder
	row := func(name, text string) { fmt.Fprintf(&b, "  %s  %s\n", style.Dim(fmt.Sprintf("%-9s", name)), text) }
	row("truth", a.Truth())
	row("ramp", a.Ramp())
	row("gate", cli.Plain(s.Policy.Gates[0].String())+also(len(s.Policy.Gates)))
	row("rule", rule(s.Policy))
	row("played", grouped(r.Rollouts)+" rollouts, seed "+strconv.FormatUint(c.Seed, 10)+", "+api.Engine)
	b.WriteString("\n" + sharesTable(s, r).Text(style) + "\n")
	for _, line := range cli.Wrap(meaning(a, s, r), 96) {
		b.WriteString(style.Bold(line) + "\n")
	}
	return b.String()
}

func also(gates int) string {
	if gates == 1 {
		return ""
	}
	return " and " + strconv.Itoa(gates-1) + " more that are not harmed"
}

func rule(p api.Policy) string {
	text := "over the rollout, an error budget of " + percent(p.ErrorBudget)
	if p.Guarantee == api.GuaranteeLook {
		text = "at each look, the ordinary interval at " + percent(p.Confidence)
	}
	return text + "; first look at " + strconv.FormatInt(p.FirstLook, 10) + " candidate runs"
}

// sharesTable is the table of shares.
func sharesTable(s simulate.Scenario, r simulate.Result) *cli.Table {
	t := &cli.Table{Head: []string{"", "share", "95 % interval", "candidate runs"}, Right: map[int]bool{1: true, 2: true}}
	add := func(name string, share simulate.Share, runs string) {
		t.Add(name, fixed(share.Rate)+" %", fixed(share.Lo)+" … "+fixed(share.Hi)+" %", runs)
	}
	add("rolled back", r.RolledBack, within(r.RunsToRollback))
	add("promoted", r.Promoted, "")
	add("undecided", r.Undecided, "")
	if len(r.Gates) > 1 {
		for i, g := range r.Gates {
			add("  "+cli.Plain(s.Policy.Gates[i].Metric)+" regressed", g, "")
		}
	}
	return t
}

func within(r simulate.Runs) string {
	if r.Median == nil {
		return ""
	}
	return "half within " + grouped(*r.Median) + ", nine in ten within " + grouped(*r.P90)
}

// meaning is one sentence.
func meaning(a simulate.Assumptions, s simulate.Scenario, r simulate.Result) string {
	if s.Harmless() {
		text := "A release that is not worse is rolled back in " + percent(r.RolledBack.Rate) + " of rollouts"
		switch {
		case s.Policy.Guarantee == api.GuaranteeLook:
			return text + ": the rule promises its error rate for one look, and a rollout takes many."
		case r.RolledBack.Lo > s.Policy.ErrorBudget:
			return text + ", more than the budget of " + percent(s.Policy.ErrorBudget) + "."
		}
		return text + "; the budget is " + percent(s.Policy.ErrorBudget) + "."
	}
	text := "This harm (" + a.Truth() + ") is found in " + percent(r.RolledBack.Rate) + " of rollouts"
	if r.RunsToRollback.Median != nil {
		text += ", in half of these within " + grouped(*r.RunsToRollback.Median) + " candidate runs"
	}
	return text + "; " + percent(r.Promoted.Rate) + " are promoted all the same."
}

// fixed writes a share in percent with two decimals.
func fixed(share float64) string { return strconv.FormatFloat(share*100, 'f', 2, 64) }

func percent(share float64) string { return strings.TrimSuffix(fixed(share), ".00") + " %" }

// grouped writes a count with a comma at each three digits.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
