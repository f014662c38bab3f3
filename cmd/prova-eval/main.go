// Prova-eval compares releases, computes intervals and simulates rollouts, from
// files or from what a server has recorded. Its exit code is the verdict.
package main

import (
	"context"
	"io"
	"os"

	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/evalcmd"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	return cli.Run(ctx, cli.Program{
		Name:        "prova-eval",
		Description: "Did the candidate get worse? Compare releases with the engine that decides rollouts.",
		Grammar:     &evalcmd.Commands{},
	}, &cli.Env{Args: args, Stdin: stdin, Stdout: stdout, Stderr: stderr, Getenv: getenv})
}
