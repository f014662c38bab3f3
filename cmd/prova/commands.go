package main

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/clientcmd"
	"github.com/cobound/prova/internal/cli/evalcmd"
	"github.com/cobound/prova/internal/cli/rolloutcmd"
	"github.com/cobound/prova/internal/cli/verifycmd"
	"github.com/cobound/prova/receipt"
)

// commands is the grammar: one field for each family.
type commands struct {
	Demo     Demo                `cmd:"" help:"See it work on this machine, in less than a minute."`
	Serve    Serve               `cmd:"" help:"Run the server."`
	Rollout  rolloutcmd.Commands `cmd:"" help:"Declare, watch and steer rollouts."`
	Eval     evalcmd.Commands    `cmd:"" help:"Compare releases and compute intervals."`
	Judge    clientcmd.Judge     `cmd:"" help:"Have an LLM compare the answers of two releases, and calibrate it."`
	Verify   verifycmd.Verify    `cmd:"" help:"Verify receipts and exports, offline."`
	Runs     clientcmd.Runs      `cmd:"" help:"Import runs, and follow them."`
	Receipts clientcmd.Receipts  `cmd:"" help:"Read and export the evidence."`
	Log      Log                 `cmd:"" help:"Check the stored log, and recover from a lost database."`
	Witness  Witness             `cmd:"" help:"Cosign the checkpoints of other people's logs."`
	Webhooks clientcmd.Webhooks  `cmd:"" help:"Subscribe receivers, and be one."`
	Keys     clientcmd.Keys      `cmd:"" help:"API keys, and the keys that sign."`
	Orgs     clientcmd.Orgs      `cmd:"" help:"Make and list tenants."`

	Completion cli.Completion `cmd:"" help:"Print a completion script for a shell."`
	Version    Version        `cmd:"" help:"Print the versions of the program, the engine and the receipts."`
}

// Version prints what an auditor needs to know of a program.
type Version struct {
	JSON bool `name:"json" help:"Print it as JSON."`
}

// Help shows an example.
func (Version) Help() string { return "Example:\n\n  prova version --json" }

// version is the version of the program as it was built.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// Run prints it.
func (c Version) Run(_ context.Context, env *cli.Env) error {
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				revision = setting.Value
			}
		}
	}
	if c.JSON {
		return env.PrintJSON(map[string]string{"version": version(), "revision": revision, "engine": api.Engine, "receipt": receipt.Schema, "go": runtime.Version()})
	}
	return env.Print("prova " + version() + "\nengine " + api.Engine + "\nreceipt " + receipt.Schema + "\n" + runtime.Version() + "\n")
}

// built is the version and the revision that the program was built from.
func built() (program, revision string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown", ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return info.Main.Version, revision
}
