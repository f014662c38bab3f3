package clientcmd

import (
	"context"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
)

// ReceiptsErase erases payload fields.
type ReceiptsErase struct {
	ID     string   `arg:"" help:"The receipt's event id."`
	Field  []string `placeholder:"NAME" help:"A payload field, such as input; may be repeated (default all)."`
	Ground string   `required:"" placeholder:"TEXT" help:"Why: it is signed and stays in the log, so name nobody in it."`
	JSON
}

// Help shows an example.
func (ReceiptsErase) Help() string {
	return "Value and salt are deleted and cannot be brought back. The receipt keeps its commitment and verifies as before; the log says what was erased and why. It needs the permission key.manage.\n\nExample:\n\n  prova receipts erase evt_… --field input --ground 'request of the person concerned, case 4711'"
}

// Run erases.
func (c ReceiptsErase) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	done, err := client.Erase(ctx, c.ID, api.Erase{Fields: c.Field, Ground: c.Ground})
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		return env.PrintJSON(done)
	}
	for _, line := range []struct {
		what   string
		fields []string
	}{{"erased", done.Fields}, {"erased before", done.AlreadyErased}} {
		if len(line.fields) == 0 {
			continue
		}
		if err := env.Print(cli.Plain(done.EventID) + "  " + line.what + "  " + cli.Plain(strings.Join(line.fields, ", ")) + "\n"); err != nil {
			return err
		}
	}
	return nil
}
