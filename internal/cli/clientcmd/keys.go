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

// Keys is the family of commands for API keys, which callers show, and for the
// server's receipt keys, which sign.
type Keys struct {
	Create KeysCreate `cmd:"" help:"Make an API key; its secret is shown once."`
	List   KeysList   `cmd:"" help:"List the API keys, or with --signing the server's keys."`
	Revoke KeysRevoke `cmd:"" help:"End an API key at once, or a receipt key that others may have."`

	Rotate  KeysRotate  `cmd:"" help:"Give the server a new receipt key."`
	Retire  KeysRetire  `cmd:"" help:"End a receipt key, as planned."`
	Add     KeysAdd     `cmd:"" help:"Add another server's receipt key."`
	New     KeysNew     `cmd:"" help:"Make the key files of a server before its first start."`
	Encrypt KeysEncrypt `cmd:"" help:"Encrypt the key files under a passphrase."`

	ReplaceCheckpoint KeysReplaceCheckpoint `cmd:"" help:"Put a new checkpoint key in the place of the present one, of a server that is down."`
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
type KeysList struct {
	Signing bool `help:"List the keys that sign receipts and checkpoints instead."`
	JSON
}

// Help shows an example.
func (KeysList) Help() string { return "Example:\n\n  prova keys list\n  prova keys list --signing" }

// Run lists.
func (c KeysList) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	if c.Signing {
		return c.signing(ctx, env, client)
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
	ID     string     `arg:"" help:"The key's id, from the list: prv_… of an API key, 64 hex digits of a receipt key."`
	Reason string     `placeholder:"TEXT" help:"Why, for a receipt key: it is signed and stays in the log."`
	Since  *time.Time `placeholder:"TIME" help:"When others may have got a receipt key, such as 2026-05-15T18:42:00Z (default now): what it signed since is bad."`
	JSON
}

// Help shows an example.
func (KeysRevoke) Help() string {
	return "The receipt key that the server signs with is rotated first.\n\nExample:\n\n  prova keys revoke prv_…\n  prova keys revoke 4f1c… --since 2026-05-15T18:42:00Z --reason 'copied with a stolen backup'"
}

// Run revokes.
func (c KeysRevoke) Run(ctx context.Context, env *cli.Env) error {
	signing := !strings.HasPrefix(c.ID, "prv_")
	if signing && c.Reason == "" {
		return cli.Usagef("%s is no API key; to revoke a receipt key say why with --reason", c.ID)
	}
	if !signing && (c.Reason != "" || c.Since != nil) {
		return cli.Usagef("--reason and --since are for receipt keys; an API key ends at once")
	}
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	if signing {
		change, err := client.RevokeKey(ctx, c.ID, api.RevokeKey{Reason: c.Reason, Since: c.Since})
		return printChange(env, c.JSON, change, err)
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
