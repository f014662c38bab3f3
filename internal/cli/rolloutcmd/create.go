package rolloutcmd

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
	"github.com/cobound/prova/internal/cli/figures"
)

// Create declares a rollout. What is not given stays out of the request: the
// server fills it in and shows the whole policy in its answer.
type Create struct {
	AppID            string            `name:"app-id" required:"" placeholder:"APP" help:"The agent that is released."`
	Baseline         string            `required:"" placeholder:"RELEASE" help:"The release that is trusted."`
	Candidate        string            `required:"" placeholder:"RELEASE" help:"The release to be proved."`
	Mode             string            `enum:"shadow,canary" default:"shadow" help:"shadow signs verdicts and does nothing; canary fires webhooks (${enum}; default ${default})."`
	Environment      string            `placeholder:"NAME" help:"Where the runs come from (default production)."`
	Steps            []int             `placeholder:"5,25,50,100" help:"Weights of the ramp in percent, rising, the last 100."`
	MinRuns          *int64            `placeholder:"N" help:"Fresh candidate runs that each step needs (default 30)."`
	Gate             []string          `sep:"none" placeholder:"GATE" help:"What is judged: METRIC[:STATISTIC][:better=higher|lower][:margin=X|X%][:pair=probe][:on=rollback|hold|warn]. May be repeated (default success)."`
	Confidence       *float64          `placeholder:"C" help:"Confidence of ordinary intervals (default 0.95)."`
	Guarantee        string            `enum:",rollout,look" default:"" placeholder:"NAME" help:"What the error rate is promised over: rollout (default) or look."`
	ErrorBudget      *float64          `placeholder:"SHARE" help:"Chance that a harmless release is ever rolled back (default 0.05)."`
	FirstLook        *int64            `placeholder:"N" help:"Candidate runs before the first test (default 30, or min-runs if that is less)."`
	PromoteOn        string            `placeholder:"RULE" help:"not_regressed (default) or non_inferior, which needs --promote-margin."`
	PromoteMargin    *float64          `placeholder:"X" help:"How much worse a release may at most be shown to be at the last step."`
	Against          string            `name:"against" placeholder:"RULE" help:"What runs are compared with: auto (default), the baseline's history too where it does not run beside, or concurrent."`
	SRM              string            `name:"srm" placeholder:"RULE" help:"What traffic that does not follow the weight does: warn (default), hold or off."`
	Unit             string            `placeholder:"UNIT" help:"What is counted: run (default), or unit: of each unit_id its first run."`
	RequirePairwise  bool              `help:"Also require the judge's recorded judgments; without them the rollout holds."`
	PairwiseMinPairs *int64            `name:"pairwise-min-pairs" placeholder:"N" help:"Pairs that the judge must have decided (default 30)."`
	PairwiseMaxAge   *time.Duration    `name:"pairwise-max-age" placeholder:"72h" help:"How old the judge's newest verdict may be; 0 sets no limit (default 168h)."`
	PairwiseJudge    string            `name:"pairwise-judge" placeholder:"MODEL[@VERSION][#TEMPLATE]" help:"Whose judgments count (default whichever judges first)."`
	PairwiseOn       string            `name:"pairwise-on" placeholder:"ACTION" help:"What a regression on the judge's verdicts does: rollback (default) or hold."`
	AttemptReason    string            `placeholder:"TEXT" help:"Why this candidate is tried again after a rollback; it is signed."`
	Label            map[string]string `mapsep:"none" placeholder:"K=V" help:"A label. May be repeated."`
	Explain          bool              `help:"Show what this rollout would do, by simulation, and create nothing."`
	JSON
}

// Help shows an example.
func (Create) Help() string {
	return `Example:

  ID=$(prova-rollout create --app-id claims-agent --baseline v36 --candidate "$GIT_SHA" --mode canary --steps 5,25,50,100 --min-runs 30 --json | jq -r .id)

  prova-rollout create --app-id claims-agent --baseline v36 --candidate v37 --min-runs 100 --explain

An equal rollout that is not finished is answered with instead of a second one, so the command may be repeated.`
}

// Run creates the rollout.
func (c Create) Run(ctx context.Context, env *cli.Env) error {
	request, err := c.request()
	if err != nil {
		return err
	}
	if c.Explain {
		return c.explain(ctx, env, request)
	}
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	rollout, created, err := client.CreateRollout(ctx, request)
	if err != nil {
		return err
	}
	if !created {
		env.Talk("An equal rollout is under way already; this is it.")
	}
	if c.JSON.JSON {
		return env.PrintJSON(rollout)
	}
	if err := env.Print(summary(rollout, env.Out())); err != nil {
		return err
	}
	env.Talk("\nNext: %s watch --id %s", env.Command("rollout"), rollout.ID)
	return nil
}

func (c Create) request() (api.CreateRollout, error) {
	r := api.CreateRollout{
		AppID: c.AppID, Environment: c.Environment, BaselineRelease: c.Baseline, CandidateRelease: c.Candidate,
		Mode: api.Mode(c.Mode), Steps: c.Steps, MinRuns: c.MinRuns, FirstLook: c.FirstLook, Confidence: c.Confidence,
		Guarantee: api.Guarantee(c.Guarantee), ErrorBudget: c.ErrorBudget, PromoteOn: c.PromoteOn, PromoteMargin: c.PromoteMargin, Baseline: c.Against, SRM: c.SRM, Unit: c.Unit,
		RequirePairwise: c.RequirePairwise, AttemptReason: c.AttemptReason, Labels: c.Label,
	}
	for _, name := range []struct{ flag, value string }{{"--app-id", c.AppID}, {"--baseline", c.Baseline}, {"--candidate", c.Candidate}} {
		if err := api.CheckName(name.flag, name.value); err != nil {
			return r, cli.Usagef("%w; is a variable unset?", err)
		}
	}
	var err error
	if r.Pairwise, err = c.pairwise(); err != nil {
		return r, err
	}
	for _, text := range c.Gate {
		gate, err := api.ParseGate(text)
		if err != nil {
			return r, cli.Usagef("--gate: %w", err)
		}
		r.Gates = append(r.Gates, gate)
	}
	return r, nil
}

// pairwise is what is asked of the judge; nil where all of it is the default.
func (c Create) pairwise() (*api.CreatePairwise, error) {
	if c.PairwiseMinPairs == nil && c.PairwiseMaxAge == nil && c.PairwiseJudge == "" && c.PairwiseOn == "" {
		return nil, nil
	}
	if !c.RequirePairwise {
		return nil, cli.Usagef("the --pairwise-… flags say what is asked of the judge: add --require-pairwise")
	}
	p := &api.CreatePairwise{MinPairs: c.PairwiseMinPairs, On: api.On(c.PairwiseOn)}
	if c.PairwiseMaxAge != nil {
		seconds := int64(*c.PairwiseMaxAge / time.Second)
		p.MaxAge = &seconds
	}
	if c.PairwiseJudge != "" {
		name, template, _ := strings.Cut(c.PairwiseJudge, "#")
		model, version, _ := strings.Cut(name, "@")
		p.Judge = &api.Judge{Model: model, Version: version, Template: template}
	}
	return p, nil
}

// summary tells a person what was declared and what it will take.
func summary(r api.Rollout, style cli.Style) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", style.Bold(cli.Plain(r.ID)), title(r))
	p := r.Policy
	fmt.Fprintf(&b, "  %s  %s runs a step, steps %s\n", style.Dim("ramp     "), strconv.FormatInt(p.MinRuns, 10), joinSteps(p.Steps))
	for i, g := range p.Gates {
		name := "         "
		if i == 0 {
			name = "gates    "
		}
		fmt.Fprintf(&b, "  %s  %s\n", style.Dim(name), cli.Plain(g.String()))
	}
	if w := p.Pairwise; w != nil {
		fmt.Fprintf(&b, "  %s  %s\n", style.Dim("judge    "), cli.Plain(asksOfJudge(*w)))
	}
	fmt.Fprintf(&b, "  %s  %s\n", style.Dim("guarantee"), guarantee(p))
	if r.History != nil {
		fmt.Fprintf(&b, "  %s  %s of %s from before stand in where it has none beside the candidate's\n", style.Dim("history  "), figures.Runs(r.History.Runs), cli.Plain(r.BaselineRelease))
	}
	if p.PromoteMargin != nil {
		fmt.Fprintf(&b, "  %s  at the last step only once it is shown to be worse by less than %s\n", style.Dim("promotes "), strconv.FormatFloat(*p.PromoteMargin*100, 'g', 4, 64)+" points")
	}
	if r.Attempt > 1 {
		fmt.Fprintf(&b, "  %s  number %d: %s\n", style.Dim("attempt  "), r.Attempt, cli.Plain(r.AttemptReason))
	}
	if len(r.Plan.Step) > 0 {
		b.WriteString("\n" + planTable(r.Plan).Text(style))
	}
	if r.Plan.Text != "" {
		b.WriteString("\n" + strings.Join(cli.Wrap(cli.Plain(r.Plan.Text), 96), "\n") + "\n")
	}
	return b.String()
}

func title(r api.Rollout) string {
	return fmt.Sprintf("%s  %s → %s  %s in %s", cli.Plain(r.AppID), cli.Plain(r.BaselineRelease), cli.Plain(r.CandidateRelease), r.Mode, cli.Plain(r.Environment))
}

// asksOfJudge says what is asked of the judge.
func asksOfJudge(w api.PairwisePolicy) string {
	text := fmt.Sprintf("at least %d decided pairs", w.MinPairs)
	if w.MaxAge > 0 {
		text += ", the newest at most " + cli.About(time.Duration(w.MaxAge)*time.Second) + " old"
	}
	if w.Judge != nil {
		text += ", of " + w.Judge.String()
	}
	return text + "; a regression means " + string(w.On)
}

func joinSteps(steps []int) string {
	texts := make([]string, len(steps))
	for i, s := range steps {
		texts[i] = strconv.Itoa(s)
	}
	return strings.Join(texts, ", ") + " %"
}

func guarantee(p api.Policy) string {
	percent := func(share float64) string { return strconv.FormatFloat(share*100, 'g', 4, 64) + " %" }
	if p.Guarantee == api.GuaranteeLook {
		return "each look at " + percent(p.Confidence) + " confidence; many looks err more often"
	}
	return "a harmless release is ever rolled back with a chance of at most " + percent(p.ErrorBudget)
}

func planTable(p api.Plan) *cli.Table {
	t := &cli.Table{
		Head:  []string{"step", "weight", "candidate runs", "baseline runs", "takes about"},
		Right: map[int]bool{0: true, 1: true, 2: true, 3: true},
	}
	for i, s := range p.Step {
		weight := strconv.Itoa(s.Weight) + " %"
		if s.MinRuns == 0 { // reaching the last step is the end
			t.Add(strconv.Itoa(i+1), weight, "–", "–", "fully promoted")
			continue
		}
		expected := "unknown yet"
		if s.ExpectedSeconds != nil {
			expected = cli.About(time.Duration(*s.ExpectedSeconds) * time.Second)
		}
		t.Add(strconv.Itoa(i+1), weight, strconv.FormatInt(s.MinRuns, 10), strconv.FormatInt(s.BaselineRuns, 10), expected)
	}
	return t
}
