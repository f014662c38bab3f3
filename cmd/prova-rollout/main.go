// Prova-rollout declares, watches and steers rollouts. Its exit code is the
// verdict, so that a pipeline is a gate.
package main

import (
	"context"
	"io"
	"os"

	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/rolloutcmd"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	return cli.Run(ctx, cli.Program{
		Name:        "prova-rollout",
		Description: "Ramp a candidate release and let the verdict decide. The server is that of PROVA_BASE_URL, the key that of PROVA_API_KEY.",
		Grammar:     &rolloutcmd.Commands{},
	}, &cli.Env{Args: args, Stdin: stdin, Stdout: stdout, Stderr: stderr, Getenv: getenv})
}
