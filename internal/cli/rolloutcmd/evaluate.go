package rolloutcmd

import (
	"context"
	"fmt"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
	"github.com/cobound/prova/prova"
)

// Evaluate ticks once.
type Evaluate struct {
	ID  string `name:"id" placeholder:"ID" xor:"what" required:"" help:"Tick this rollout."`
	All bool   `xor:"what" required:"" help:"Tick every active rollout of the org: the entry point for a cron job."`
	JSON
}

// Help shows an example and the exit codes.
func (Evaluate) Help() string {
	return `With --id the exit code is 0 for promote, 1 for rollback, 3 for hold; 4 if a person had aborted the rollout. With --all it is 1 if a rollout was rolled back by this call, 3 if one could not be ticked, else 0.

Example:

  prova-rollout evaluate --id ro_…`
}

// Run ticks.
func (c Evaluate) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	if c.All {
		return c.all(ctx, env, client)
	}
	tick, err := client.Evaluate(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		err = env.PrintJSON(tick)
	} else {
		columns, _ := cli.Size(env.Stdout)
		err = env.Print(Frame(View{Rollout: tick.Rollout, Verdict: tick.Verdict}, env.Out(), columns))
	}
	if err != nil {
		return err
	}
	if tick.Rollout.State == api.StateAborted {
		return cli.Exit(cli.Aborted)
	}
	return exitOf(decided(tick))
}

// decided is the decision that holds after a tick: that of the tick, or of a
// rollout that had ended before it the end that it came to.
func decided(t api.Tick) api.Action {
	switch t.Rollout.State {
	case api.StatePromoted:
		return api.Promote
	case api.StateRolledBack:
		return api.Rollback
	case api.StateActive, api.StatePaused, api.StateAborted:
	}
	return t.Decision.Decision
}

func (c Evaluate) all(ctx context.Context, env *cli.Env, client *prova.Client) error {
	all, err := client.EvaluateAll(ctx)
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		if err := env.PrintJSON(all); err != nil {
			return err
		}
	}
	style, rolledBack, failed := env.Out(), false, false
	for _, r := range all.Results {
		var line string
		switch {
		case r.Tick != nil:
			rolledBack = rolledBack || r.Tick.Ticked && r.Tick.Decision.Decision == api.Rollback && !r.Tick.Decision.Advisory
			line = fmt.Sprintf("%s  %s\n", cli.Plain(r.RolloutID), Line(View{Rollout: r.Tick.Rollout, Verdict: r.Tick.Verdict}, style))
		case r.Problem != nil:
			failed = true
			line = fmt.Sprintf("%s  %s: %s\n", cli.Plain(r.RolloutID), style.Red("not ticked"), cli.Plain(r.Problem.Error()))
		}
		if !c.JSON.JSON {
			if err := env.Print(line); err != nil {
				return err
			}
		}
	}
	if len(all.Results) == 0 {
		env.Talk("No active rollouts.")
	}
	switch {
	case rolledBack:
		return cli.Exit(cli.Regressed)
	case failed:
		return cli.Exit(cli.Undecided)
	}
	return nil
}
