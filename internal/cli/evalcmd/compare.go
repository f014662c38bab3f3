package evalcmd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
	"github.com/cobound/prova/internal/cli/figures"
	"github.com/cobound/prova/internal/compare"
)

// Compare asks whether the candidate is worse.
type Compare struct {
	File        []string `type:"path" sep:"none" placeholder:"FILE" help:"Runs to compare: simple lines, receipts or an export. May be repeated. Without it a server is asked."`
	AppID       string   `name:"app-id" aliases:"app" placeholder:"APP" help:"The agent. Needed with a server, and where files hold several."`
	Baseline    string   `required:"" placeholder:"RELEASE" help:"The release that is trusted."`
	Candidate   string   `required:"" placeholder:"RELEASE" help:"The release to be proved."`
	Environment string   `placeholder:"NAME" help:"Where the runs come from (default production; in files whatever they hold)."`
	Gate        []string `sep:"none" placeholder:"GATE" help:"What is judged: METRIC[:STATISTIC][:better=higher|lower][:margin=X|X%][:pair=probe][:on=rollback|hold|warn]. May be repeated (default success)."`
	Confidence  float64  `default:"0.95" placeholder:"C" help:"Confidence of the intervals (default ${default})."`
	MinRuns     int64    `default:"30" placeholder:"N" help:"Runs with the metric that each release needs (default ${default})."`
	Pair        string   `default:"auto" placeholder:"HOW" help:"How runs are paired: probe compares rates and means within the inputs that both releases ran, none all runs, auto (the default) pairs if 80 % of both releases' runs have a partner with the same probe_id."`
	JSON        bool     `name:"json" help:"Print the comparison as JSON on stdout."`
}

// Help shows an example and the exit codes.
func (Compare) Help() string {
	return `The exit code is 0 if the verdict is clean, 1 if it is regressed, 3 if it is insufficient.

Examples:

  prova-eval compare --file runs.ndjson --baseline v36 --candidate v37
  prova-eval compare --file replay.ndjson --baseline v36 --candidate v37 --pair probe
  prova-eval compare --app-id claims-agent --baseline v36 --candidate v37 --gate success --gate latency_ms:p95:margin=10%`
}

// Run compares.
func (c Compare) Run(ctx context.Context, env *cli.Env) error {
	gates, err := c.check()
	if err != nil {
		return err
	}
	var answer api.Comparison
	if len(c.File) > 0 {
		answer, err = c.files(ctx, env, gates)
	} else {
		answer, err = c.server(ctx, env, gates)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = env.PrintJSON(answer)
	} else {
		err = env.Print(text(answer, c.Pair, env))
	}
	if err != nil {
		return err
	}
	switch answer.Verdict.Verdict {
	case api.Clean:
		return nil
	case api.Regressed:
		return cli.Exit(cli.Regressed)
	case api.Insufficient:
	}
	return cli.Exit(cli.Undecided)
}

// check reads the gates and refuses what cannot be asked.
func (c Compare) check() ([]api.Gate, error) {
	switch {
	case c.Pair != api.PairAuto && c.Pair != api.PairProbe && c.Pair != api.PairNone:
		return nil, cli.Usagef("--pair %s: want auto, probe or none", c.Pair)
	case !(c.Confidence > 0 && c.Confidence < 1):
		return nil, cli.Usagef("--confidence: want a number between 0 and 1, such as 0.95")
	case c.MinRuns < 1:
		return nil, cli.Usagef("--min-runs: want at least 1")
	case c.Baseline == c.Candidate:
		return nil, cli.Usagef("--baseline and --candidate are the same release")
	case len(c.File) == 0 && c.AppID == "":
		return nil, cli.Usagef("say what to compare: --file for files, or --app-id for what a server has recorded")
	}
	var gates []api.Gate
	for _, t := range c.Gate {
		g, err := api.ParseGate(t)
		if err != nil {
			return nil, cli.Usagef("--gate: %w", err)
		}
		gates = append(gates, g)
	}
	return gates, nil
}

func (c Compare) server(ctx context.Context, env *cli.Env, gates []api.Gate) (api.Comparison, error) {
	client, err := connect.Client(env)
	if err != nil {
		return api.Comparison{}, err
	}
	return client.Compare(ctx, api.CompareRequest{
		AppID: c.AppID, Environment: c.Environment, Baseline: c.Baseline, Candidate: c.Candidate,
		Gates: gates, Confidence: &c.Confidence, MinRuns: &c.MinRuns, Pair: c.Pair,
	})
}

func (c Compare) files(ctx context.Context, env *cli.Env, gates []api.Gate) (api.Comparison, error) {
	found, err := c.collect(ctx, env)
	if err != nil {
		return api.Comparison{}, err
	}
	stratum := found.stratum()
	answer := api.Comparison{AppID: found.app, Environment: found.environment, Baseline: c.Baseline, Candidate: c.Candidate}
	if len(gates) == 0 {
		seen := slices.Sorted(maps.Keys(stratum.Baseline.Metrics))
		if len(seen) == 0 {
			seen = slices.Sorted(maps.Keys(stratum.Candidate.Metrics))
		}
		if gates, err = compare.DefaultGates(seen); err != nil {
			return api.Comparison{}, cli.Usagef("%w", err)
		}
	}
	candidate, baseline := found.pairs.Partners()
	gates, pairing := compare.PairGates(c.Pair, gates, candidate, baseline)
	answer.Verdict = compare.Releases(compare.Question{
		Gates: gates, Confidence: c.Confidence, MinRuns: c.MinRuns, Guarantee: api.GuaranteeLook, Attempt: 1,
		Strata: []compare.Stratum{stratum}, Seed: strings.Join([]string{found.app, c.Baseline, c.Candidate}, "\n"),
	})
	answer.Verdict.Checks = append([]api.Check{pairing}, answer.Verdict.Checks...)
	return answer, nil
}

// text is a comparison for people; asked is how it should have been paired.
func text(a api.Comparison, asked string, env *cli.Env) string {
	style := env.Out()
	columns, _ := cli.Size(env.Stdout)
	head := style.Bold(cli.Plain(a.AppID)) + "  " + cli.Plain(a.Baseline) + " → " + style.Bold(cli.Plain(a.Candidate)) + "  " + figures.Word(a.Verdict.Verdict, style)
	lines := append([]string{head, ""}, figures.Verdict(a.Verdict, style, columns-1)...)
	if asked != api.PairNone {
		lines = append(lines, pairing(a.Verdict, style, columns-1)...)
	}
	if a.Verdict.Verdict != api.Insufficient || len(a.Verdict.Gates) < 2 { // else its gates say it
		lines = append(lines, "")
		for _, line := range cli.Wrap(cli.Plain(a.Verdict.Reason.Text), columns-1) {
			lines = append(lines, style.Bold(line))
		}
	}
	return fmt.Sprintf("%s\n", strings.Join(lines, "\n"))
}

// pairing says how runs were paired and why.
func pairing(v api.Verdict, style cli.Style, columns int) []string {
	var lines []string
	for _, c := range v.Checks {
		if c.Check == compare.CheckPairing && c.Status == api.CheckOK {
			lines = append(lines, "")
			for _, line := range cli.Wrap(cli.Plain(c.Detail), columns) {
				lines = append(lines, style.Dim(line))
			}
		}
	}
	return lines
}
