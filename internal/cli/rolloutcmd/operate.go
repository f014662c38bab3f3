package rolloutcmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
	"github.com/cobound/prova/internal/cli/figures"
	"github.com/cobound/prova/prova"
)

// Operator is what an operator's action takes.
type Operator struct {
	ID
	Reason string `placeholder:"TEXT" help:"Why; it is signed with the action. On a terminal you are asked for it if it is missing."`
	JSON
}

// Pause stops a rollout from advancing.
type Pause struct{ Operator }

// Help shows an example.
func (Pause) Help() string {
	return "Example:\n\n  prova-rollout pause --id ro_… --reason \"waiting for the incident review\""
}

// Run pauses.
func (c Pause) Run(ctx context.Context, env *cli.Env) error {
	return c.operate(ctx, env, "pause", (*prova.Client).Pause)
}

// Resume lets a rollout advance again.
type Resume struct{ Operator }

// Help shows an example.
func (Resume) Help() string {
	return "Example:\n\n  prova-rollout resume --id ro_… --reason \"the review is done\""
}

// Run resumes.
func (c Resume) Run(ctx context.Context, env *cli.Env) error {
	return c.operate(ctx, env, "resume", (*prova.Client).Resume)
}

// Promote overrides the verdict for one step.
type Promote struct{ Operator }

// Help shows an example.
func (Promote) Help() string {
	return "The receipt of this says that a person decided, not the verdict.\n\nExample:\n\n  prova-rollout promote --id ro_… --reason \"hotfix, traffic is too thin to wait\""
}

// Run promotes.
func (c Promote) Run(ctx context.Context, env *cli.Env) error {
	return c.operate(ctx, env, "promote", (*prova.Client).Promote)
}

// Abort ends a rollout.
type Abort struct{ Operator }

// Help shows an example.
func (Abort) Help() string {
	return "It is final and tells the CD system to set the weight to 0.\n\nExample:\n\n  prova-rollout abort --id ro_… --reason \"wrong build\""
}

// Run aborts.
func (c Abort) Run(ctx context.Context, env *cli.Env) error {
	return c.operate(ctx, env, "abort", (*prova.Client).Abort)
}

func (o Operator) operate(ctx context.Context, env *cli.Env, action string, act func(*prova.Client, context.Context, string, string) (api.Rollout, error)) error {
	reason := strings.TrimSpace(o.Reason)
	if reason == "" {
		var err error
		if reason, err = env.Ask("Why " + action + " it? The reason is signed: "); err != nil && !errors.Is(err, cli.ErrNoAnswer) {
			return err
		}
	}
	if reason == "" {
		return cli.Usagef("--reason is missing: say why, it is signed with the %s", action)
	}
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	rollout, err := act(client, ctx, o.ID.ID, reason)
	if err != nil {
		return err
	}
	if o.JSON.JSON {
		return env.PrintJSON(rollout)
	}
	style := env.Out()
	return env.Print(fmt.Sprintf("%s  %s  %s at %s\n", cli.Plain(rollout.ID), title(rollout), figures.State(rollout, style), figures.Weight(rollout)))
}
