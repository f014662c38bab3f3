// Prova is a rollout verdict authority for releases of AI agents: the server
// and all commands in one program.
package main

import (
	"context"
	"io"
	"os"

	"github.com/cobound/prova/internal/cli"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	return cli.Run(ctx, cli.Program{
		Name:        "prova",
		Description: "Did the new release of the agent get worse? Ramp it and let the verdict decide, with a receipt for every decision.",
		Grammar:     &commands{},
	}, &cli.Env{Args: args, Stdin: stdin, Stdout: stdout, Stderr: stderr, Getenv: getenv})
}
