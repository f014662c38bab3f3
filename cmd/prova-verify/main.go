// Prova-verify checks receipts, exports and bundles with no server, no account and no
// network, for those who trust none.
package main

import (
	"context"
	"io"
	"os"

	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/verifycmd"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	return cli.Run(ctx, cli.Program{
		Name:        "prova-verify",
		Description: "Check that receipts were signed and that nothing was removed or rewritten.",
		Grammar:     &verifycmd.Verify{},
	}, &cli.Env{Args: args, Stdin: stdin, Stdout: stdout, Stderr: stderr, Getenv: getenv})
}
