package clientcmd

import (
	"context"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
)

// Orgs is the family of commands for tenants.
type Orgs struct {
	Create OrgsCreate `cmd:"" help:"Make a tenant; its owner's key is shown once."`
	List   OrgsList   `cmd:"" help:"List the tenants."`
}

// OrgsCreate makes a tenant.
type OrgsCreate struct {
	Name string `arg:"" help:"The tenant's name."`
	JSON
}

// Help shows an example.
func (OrgsCreate) Help() string { return "Example:\n\n  prova orgs create acme" }

// Run makes it.
func (c OrgsCreate) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	org, err := client.CreateOrg(ctx, api.CreateOrg{Name: c.Name})
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		return env.PrintJSON(org)
	}
	env.Talk("Org %s. This is the only time that its owner's key is shown:", cli.Plain(org.Name))
	return env.Print(org.OwnerKey + "\n")
}

// OrgsList lists the tenants.
type OrgsList struct{ JSON }

// Help shows an example.
func (OrgsList) Help() string { return "Example:\n\n  prova orgs list" }

// Run lists.
func (c OrgsList) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	orgs, err := client.Orgs(ctx)
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		return env.PrintJSON(orgs)
	}
	t := cli.Table{Head: []string{"org", "created"}}
	for _, o := range orgs.Items {
		t.Add(cli.Plain(o.Name), when(o.CreatedAt))
	}
	return env.Print(t.Text(env.Out()))
}
