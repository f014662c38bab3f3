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
	"github.com/cobound/prova/prova"
)

// Pages are the options of a list.
type Pages struct {
	Limit  int    `default:"50" placeholder:"N" help:"How many at most (default ${default})."`
	Cursor string `placeholder:"CURSOR" help:"Where to go on, from the end of the list before."`
}

func (p Pages) page() prova.Page { return prova.Page{Limit: p.Limit, Cursor: p.Cursor} }

// List lists rollouts.
type List struct {
	AppID       string `name:"app-id" placeholder:"APP" help:"Of this agent only."`
	Environment string `placeholder:"NAME" help:"Of this environment only."`
	State       string `enum:",active,paused,promoted,rolled_back,aborted" default:"" placeholder:"STATE" help:"In this state only: active, paused, promoted, rolled_back or aborted."`
	Pages
	JSON
}

// Help shows an example.
func (List) Help() string {
	return "Example:\n\n  prova-rollout list --app-id claims-agent --state active"
}

// Run lists.
func (c List) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	list, err := client.Rollouts(ctx, prova.RolloutFilter{AppID: c.AppID, Environment: c.Environment, State: api.State(c.State), Page: c.page()})
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		return env.PrintJSON(list)
	}
	style := env.Out()
	t := cli.Table{
		Head:  []string{"rollout", "app", "releases", "environment", "mode", "state", "weight", "fresh", "created"},
		Right: map[int]bool{6: true, 7: true},
	}
	for _, r := range list.Items {
		t.Add(cli.Plain(r.ID), cli.Plain(r.AppID), short(r.BaselineRelease)+" → "+short(r.CandidateRelease), cli.Plain(r.Environment), string(r.Mode),
			figures.State(r, style), figures.Weight(r), fmt.Sprintf("%d/%d", r.FreshRuns, r.Policy.MinRuns), r.CreatedAt.UTC().Format("2006-01-02 15:04Z"))
	}
	if len(list.Items) == 0 {
		env.Talk("No rollouts.")
		return nil
	}
	if err := env.Print(t.Text(style)); err != nil {
		return err
	}
	more(env, list.NextCursor)
	return nil
}

func more(env *cli.Env, cursor string) {
	if cursor != "" {
		env.Talk("There are more: --cursor %s", cursor)
	}
}

// short keeps a release readable in a table; a whole commit is too wide.
func short(release string) string { return cli.Cut(cli.Plain(release), 16) }

func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// Get shows one rollout.
type Get struct {
	ID
	JSON
}

// Help shows an example.
func (Get) Help() string { return "Example:\n\n  prova-rollout get --id ro_… --json | jq .state" }

// Run shows it.
func (c Get) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	rollout, err := client.Rollout(ctx, c.ID.ID)
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		return env.PrintJSON(rollout)
	}
	columns, _ := cli.Size(env.Stdout)
	return env.Print(Frame(View{Rollout: rollout}, env.Out(), columns))
}

// Decisions shows the time line.
type Decisions struct {
	ID
	Pages
	JSON
}

// Help shows an example.
func (Decisions) Help() string { return "Example:\n\n  prova-rollout decisions --id ro_…" }

// Run shows it.
func (c Decisions) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	list, err := client.Decisions(ctx, c.ID.ID, c.page())
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		return env.PrintJSON(list)
	}
	if len(list.Items) == 0 {
		env.Talk("No decisions yet: nobody has ticked this rollout.")
		return nil
	}
	style := env.Out()
	columns, _ := cli.Size(env.Stdout)
	var b strings.Builder
	for _, d := range list.Items {
		b.WriteString(decision(d, style, columns))
	}
	if err := env.Print(b.String()); err != nil {
		return err
	}
	more(env, list.NextCursor)
	return nil
}

// decision writes one entry of the time line.
func decision(d api.Decision, style cli.Style, columns int) string {
	word := string(d.Decision)
	if d.Action != "" {
		word = d.Action + " by " + cli.Plain(d.Actor)
	}
	switch {
	case d.Decision == api.Rollback:
		word = style.Red(word)
	case d.Decision == api.Promote:
		word = style.Green(word)
	}
	weight := strconv.Itoa(d.Weight) + " %"
	if d.WeightFrom != d.Weight {
		weight = strconv.Itoa(d.WeightFrom) + " → " + weight
	}
	text := fmt.Sprintf("%s  %s  %s  %s\n  %s\n", style.Dim(fmt.Sprintf("%4d", d.Sequence)), when(d.RecordedAt), cli.Pad(word, 8), weight, cli.Plain(d.Reason.Text))
	for _, line := range append(figures.Decided(d.Gates, nil, style), figures.Checks(d.Checks, style, columns-2)...) {
		text += "  " + line + "\n"
	}
	if d.EventID != "" {
		text += "  " + style.Dim("receipt "+cli.Plain(d.EventID)) + "\n"
	}
	return text
}

// Gate asks what a controller should do.
type Gate struct {
	ID
	Weight int `required:"" placeholder:"N" help:"The weight in percent that the controller stands at."`
	JSON
}

// Help shows an example.
func (Gate) Help() string {
	return "It never ticks. The exit code is 0 for promote, 1 for rollback, 3 for hold.\n\nExample:\n\n  prova-rollout gate --id ro_… --weight 25"
}

// Run asks.
func (c Gate) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	answer, err := client.Gate(ctx, c.ID.ID, c.Weight)
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		err = env.PrintJSON(answer)
	} else {
		err = env.Print(fmt.Sprintf("%s: %s\n", answer.Decision, cli.Plain(answer.Reason)))
	}
	if err != nil {
		return err
	}
	return exitOf(answer.Decision)
}

// exitOf is the exit code of a decision that was asked for once.
func exitOf(d api.Action) error {
	switch d {
	case api.Promote:
		return nil
	case api.Rollback:
		return cli.Exit(cli.Regressed)
	case api.Hold:
	}
	return cli.Exit(cli.Undecided)
}
