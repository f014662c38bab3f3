package clientcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
	"github.com/cobound/prova/internal/keyfile"
	"github.com/cobound/prova/prova"
	"github.com/cobound/prova/receipt"
)

// KeysRotate rotates.
type KeysRotate struct {
	Reason string `required:"" placeholder:"TEXT" help:"Why: it is signed and stays in the log."`
	JSON
}

// Help shows an example.
func (KeysRotate) Help() string {
	return "The server that answers makes a new receipt key in its data directory; the old key signs its addition, the new one the retirement of the old. Auditors who pinned the old key follow. Of several servers each has a key of its own and is asked by its own address.\n\nExample:\n\n  prova keys rotate --reason 'yearly rotation'"
}

// Run rotates.
func (c KeysRotate) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	change, err := client.RotateKey(ctx, c.Reason)
	return printChange(env, c.JSON, change, err)
}

// KeysRetire retires.
type KeysRetire struct {
	ID     string `arg:"" help:"The receipt key's id, 64 hex digits."`
	Reason string `required:"" placeholder:"TEXT" help:"Why: it is signed and stays in the log."`
	JSON
}

// Help shows an example.
func (KeysRetire) Help() string {
	return "What the key signed stays good.\n\nExample:\n\n  prova keys retire 4f1c… --reason 'the server is taken down'"
}

// Run retires.
func (c KeysRetire) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	change, err := client.RetireKey(ctx, c.ID, c.Reason)
	return printChange(env, c.JSON, change, err)
}

// KeysAdd adds another server's key.
type KeysAdd struct {
	PublicKey string `arg:"" help:"The receipt key in base64 or hex, as prova keys new prints it."`
	Reason    string `required:"" placeholder:"TEXT" help:"Why: it is signed and stays in the log."`
	JSON
}

// Help shows an example.
func (KeysAdd) Help() string {
	return "Do it before the other server's first start: nothing is added for the past.\n\nExample:\n\n  prova keys add \"$(prova keys new --data ./second)\" --reason 'a second server'"
}

// Run adds.
func (c KeysAdd) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	change, err := client.AddKey(ctx, api.AddKey{PublicKey: c.PublicKey, Reason: c.Reason})
	return printChange(env, c.JSON, change, err)
}

func printChange(env *cli.Env, form JSON, change api.KeyChange, err error) error {
	if err != nil {
		return err
	}
	if form.JSON {
		return env.PrintJSON(change)
	}
	id := cli.Plain(change.Key.KeyID)
	switch {
	case change.Event == "rotate":
		return env.Print(fmt.Sprintf("%s  signs from now on\n%s  retired\n", id, cli.Plain(change.Ended)))
	case change.Event == "add":
		return env.Print(id + "  added\n")
	case change.FromIndex == nil:
		return env.Print(id + "  had ended already\n")
	}
	return env.Print(fmt.Sprintf("%s  %s: it signs nothing from log index %d on\n", id, ended(change.Event), *change.FromIndex))
}

// ended is what a key is after an event.
func ended(event string) string {
	switch event {
	case "retire":
		return "retired"
	case "revoke":
		return "revoked"
	}
	return cli.Plain(event)
}

// keyLine is a signing key with what the log says of it.
type keyLine struct {
	api.SigningKey
	// Events are those of the log, in its order.
	Events []keyEventLine `json:"events"`
}

type keyEventLine struct {
	Event     string `json:"event"`
	LogIndex  int64  `json:"log_index"`
	FromIndex *int64 `json:"from_index,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

func (c KeysList) signing(ctx context.Context, env *cli.Env, client *prova.Client) error {
	keys, err := client.SigningKeys(ctx)
	if err != nil {
		return err
	}
	events := map[string][]keyEventLine{}
	page := prova.Page{Limit: 1000}
	for {
		list, err := client.Receipts(ctx, prova.ReceiptFilter{Kind: api.KindKeyEvent, Page: page})
		if err != nil {
			return err
		}
		for _, item := range list.Items {
			var body struct {
				keyEventLine
				Key struct {
					KeyID string `json:"key_id"`
				} `json:"key"`
			}
			r, err := receipt.Parse(item.Receipt)
			if err != nil || json.Unmarshal(r.Body, &body) != nil {
				continue
			}
			body.LogIndex = item.LogIndex
			events[body.Key.KeyID] = append([]keyEventLine{body.keyEventLine}, events[body.Key.KeyID]...) // the list is newest first
		}
		if page.Cursor = list.NextCursor; page.Cursor == "" {
			break
		}
	}
	var lines []keyLine
	for _, k := range keys.Items {
		lines = append(lines, keyLine{SigningKey: k, Events: events[k.KeyID]})
	}
	if c.JSON.JSON {
		return env.PrintJSON(api.List[keyLine]{Items: lines})
	}
	style := env.Out()
	t := cli.Table{Head: []string{"key", "purpose", "created", "state", "because"}}
	for _, l := range lines {
		state, because := style.Green("holds"), ""
		for _, e := range l.Events {
			if e.Event == "add" {
				because = e.Reason
				continue
			}
			from := e.LogIndex + 1
			if e.FromIndex != nil {
				from = *e.FromIndex
			}
			state, because = style.Red(fmt.Sprintf("%s from index %d on", ended(e.Event), from)), e.Reason
		}
		t.Add(cli.Plain(l.KeyID), cli.Plain(l.Purpose), when(l.CreatedAt), state, cli.Plain(because))
	}
	return env.Print(t.Text(style))
}

// KeysNew makes key files.
type KeysNew struct {
	Data string `help:"The server's data directory." default:"./prova-data" env:"PROVA_DATA" type:"path"`
}

// Help shows an example.
func (KeysNew) Help() string {
	return "It prints the public receipt key, which prova keys add wants. Keys that are there stay. With PROVA_KEY_PASSPHRASE or PROVA_KEY_PASSPHRASE_FILE the files are encrypted.\n\nExample:\n\n  prova keys new --data ./second"
}

// Run makes them.
func (c KeysNew) Run(_ context.Context, env *cli.Env) error {
	dir, err := keyDir(env, c.Data)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return cli.Configf("data directory: %w", err)
	}
	keys, err := dir.Load()
	if err != nil {
		return cli.Configf("%w", err)
	}
	signer, err := receipt.NewSigner(keys.Receipt)
	if err != nil {
		return err
	}
	return env.Print(receipt.NewReceiptPublicKey(signer.Public()).PublicKey + "\n")
}

// KeysEncrypt encrypts key files.
type KeysEncrypt struct {
	Data string `help:"The server's data directory." default:"./prova-data" env:"PROVA_DATA" type:"path"`
}

// Help shows an example.
func (KeysEncrypt) Help() string {
	return "The passphrase is that of PROVA_KEY_PASSPHRASE, or of the file that PROVA_KEY_PASSPHRASE_FILE names; the server needs it at each start. Without it, and without a backup, the keys are lost.\n\nExample:\n\n  PROVA_KEY_PASSPHRASE_FILE=/run/secrets/prova prova keys encrypt --data /var/lib/prova"
}

// Run encrypts.
func (c KeysEncrypt) Run(_ context.Context, env *cli.Env) error {
	dir, err := keyDir(env, c.Data)
	if err != nil {
		return err
	}
	names, err := dir.Encrypt()
	if err != nil {
		return cli.Configf("%w", err)
	}
	for _, name := range names {
		if err := env.Print(name + "  encrypted\n"); err != nil {
			return err
		}
	}
	if len(names) == 0 {
		env.Talk("Every key file is encrypted already.")
	}
	return nil
}

// KeysReplaceCheckpoint replaces the checkpoint key.
type KeysReplaceCheckpoint struct {
	Data string `help:"The server's data directory." default:"./prova-data" env:"PROVA_DATA" type:"path"`
}

// Help shows an example.
func (KeysReplaceCheckpoint) Help() string {
	return "Stop the server first. Nobody follows by himself: a checkpoint key counts for those who were given it. So start the server again, and hand its new verifier key (prova log checkpoint --json) to auditors and witnesses as you did on the first day. What the old key signed stays as it is.\n\nExample:\n\n  prova keys replace-checkpoint --data /var/lib/prova"
}

// Run replaces it.
func (c KeysReplaceCheckpoint) Run(_ context.Context, env *cli.Env) error {
	dir, err := keyDir(env, c.Data)
	if err != nil {
		return err
	}
	pub, kept, err := dir.ReplaceCheckpoint()
	if err != nil {
		return cli.Configf("%w", err)
	}
	env.Talk("The old key is kept as " + kept + ", and is of no use any more. Start the server, and hand the new verifier key to auditors and witnesses: prova log checkpoint --json.")
	return env.Print(receipt.KeyID(pub) + "  signs checkpoints from the next start on\n")
}

func keyDir(env *cli.Env, data string) (keyfile.Dir, error) {
	passphrase, err := keyfile.Passphrase(env.Getenv)
	if err != nil {
		return keyfile.Dir{}, cli.Configf("%w", err)
	}
	return keyfile.Dir{Path: data, Passphrase: passphrase}, nil
}
