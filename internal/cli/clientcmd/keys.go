package clientcmd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
)

// Keys is the family of commands for API keys.
type Keys struct {
	Create KeysCreate `cmd:"" help:"Make an API key; its secret is shown once."`
	List   KeysList   `cmd:"" help:"List the API keys, revoked ones too."`
	Revoke KeysRevoke `cmd:"" help:"End an API key at once."`
}

// KeysCreate makes a key.
type KeysCreate struct {
	Name        string       `required:"" placeholder:"NAME" help:"What the key is for."`
	Permission  []string     `required:"" placeholder:"NAME" help:"What it may do: rollout.manage, release.read, audit.ingest, audit.read, judge.write, webhook.manage, key.manage or org.manage. May be repeated."`
	Environment string       `placeholder:"NAME" help:"Limit it to one environment."`
	Expires     *cli.Seconds `placeholder:"TIME" help:"End it after this time, such as 720h."`
	JSON
}

// Help shows an example.
func (KeysCreate) Help() string {
	return "rollout.manage alone is enough for a pipeline: it includes release.read.\n\nExample:\n\n  prova keys create --name github-actions --permission rollout.manage"
}

// Run makes it.
func (c KeysCreate) Run(ctx context.Context, env *cli.Env) error {
	request := api.CreateAPIKey{Name: c.Name, Environment: c.Environment}
	for _, name := range c.Permission {
		if !slices.Contains(api.Permissions(), api.Permission(name)) {
			return cli.Usagef("--permission %s: want %s", name, joinPermissions(api.Permissions()))
		}
		request.Permissions = append(request.Permissions, api.Permission(name))
	}
	if c.Expires != nil {
		at := time.Now().Add(c.Expires.Duration()).UTC().Truncate(time.Second)
		request.ExpiresAt = &at
	}
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	key, err := client.CreateAPIKey(ctx, request)
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		return env.PrintJSON(key)
	}
	env.Talk("Key %s, %s. This is the only time that its secret is shown:", cli.Plain(key.ID), joinPermissions(key.Permissions))
	return env.Print(key.Secret + "\n")
}

func joinPermissions(list []api.Permission) string {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = string(p)
	}
	return strings.Join(names, ", ")
}

// KeysList lists the keys.
type KeysList struct{ JSON }

// Help shows an example.
func (KeysList) Help() string { return "Example:\n\n  prova keys list" }

// Run lists.
func (c KeysList) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	keys, err := client.APIKeys(ctx)
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		return env.PrintJSON(keys)
	}
	style := env.Out()
	t := cli.Table{Head: []string{"key", "name", "permissions", "environment", "created", "state"}}
	for _, k := range keys.Items {
		state := style.Green("live")
		switch {
		case k.RevokedAt != nil:
			state = style.Red("revoked " + when(*k.RevokedAt))
		case k.ExpiresAt != nil && k.ExpiresAt.Before(time.Now()):
			state = style.Red("expired " + when(*k.ExpiresAt))
		case k.ExpiresAt != nil:
			state = "until " + when(*k.ExpiresAt)
		}
		permissions := joinPermissions(k.Permissions)
		if len(k.Permissions) == len(api.Permissions()) {
			permissions = "all"
		}
		t.Add(cli.Plain(k.ID), cli.Plain(k.Name), permissions, orAll(k.Environment), when(k.CreatedAt), state)
	}
	return env.Print(t.Text(style))
}

// KeysRevoke ends a key.
type KeysRevoke struct {
	ID string `arg:"" help:"The key's id, from the list."`
	JSON
}

// Help shows an example.
func (KeysRevoke) Help() string { return "Example:\n\n  prova keys revoke key_…" }

// Run revokes.
func (c KeysRevoke) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	key, err := client.RevokeAPIKey(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		return env.PrintJSON(key)
	}
	return env.Print(fmt.Sprintf("%s  %s  revoked %s\n", cli.Plain(key.ID), cli.Plain(key.Name), whenOr(key.RevokedAt, "")))
}
