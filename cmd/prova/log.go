package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/anchor"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
	"github.com/cobound/prova/internal/keyfile"
	"github.com/cobound/prova/internal/store"
	"github.com/cobound/prova/internal/webhook"
	"github.com/cobound/prova/prova"
	"github.com/cobound/prova/receipt"
)

// Log is the family of commands about the log itself.
type Log struct {
	Checkpoint  LogCheckpoint  `cmd:"" help:"Print the signed head of the log, to keep where the server's owner cannot write."`
	Witnesses   LogWitnesses   `cmd:"" help:"List the witnesses that the server asks, and how far each has cosigned."`
	Scrub       LogScrub       `cmd:"" help:"Verify every receipt as it is stored, and name what is damaged."`
	ResetAnchor LogResetAnchor `cmd:"" help:"Go on with a database that lost receipts for good; says so in the log."`
}

// LogCheckpoint prints a checkpoint.
type LogCheckpoint struct {
	Size int64         `placeholder:"SIZE" xor:"size" help:"The checkpoint of this earlier size; without it, of the present one."`
	Wait time.Duration `placeholder:"TIME" xor:"size" help:"Wait so long, such as 5s and at most 10s, until the server's witnesses have cosigned it."`
	JSON bool          `name:"json" help:"Print the whole answer, with the key that verifies it, as JSON."`
}

// Help shows an example.
func (LogCheckpoint) Help() string {
	return "Whoever keeps one can show later whether the log was rewritten since: prova verify --head FILE.\n\nExample:\n\n  prova log checkpoint > 2026-11.checkpoint"
}

// Run prints the signed note as it is, so that a file of it verifies.
func (c LogCheckpoint) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	var checkpoint api.Checkpoint
	switch {
	case c.Size != 0:
		checkpoint, err = client.CheckpointAt(ctx, c.Size)
	case c.Wait > 0:
		checkpoint, err = client.Checkpoint(ctx, prova.Cosigned(c.Wait))
	default:
		checkpoint, err = client.Checkpoint(ctx)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return env.PrintJSON(checkpoint)
	}
	return env.Print(checkpoint.Note)
}

// LogWitnesses lists the witnesses of the log.
type LogWitnesses struct {
	JSON bool `name:"json" help:"Print the list as JSON."`
}

// Help shows an example.
func (LogWitnesses) Help() string {
	return "A witness that does not cosign is shown with its last answer, and when it is asked again.\n\nExample:\n\n  prova log witnesses"
}

// Run lists.
func (c LogWitnesses) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	list, err := client.Witnesses(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return env.PrintJSON(list)
	}
	if len(list.Items) == 0 {
		env.Talk("The server asks no witness: start it with --witnesses FILE.")
		return nil
	}
	style := env.Out()
	t := cli.Table{Head: []string{"witness", "url", "cosigned", "at", "last answer"}, Right: map[int]bool{2: true}}
	for _, w := range list.Items {
		answer := style.Green("cosigned")
		switch {
		case w.Error != "":
			answer = style.Red(cli.Plain(w.Error))
		case w.AskedAt == nil:
			answer = "not asked yet"
		}
		if w.Error != "" && w.NextAt != nil {
			answer += "; next " + moment(w.NextAt)
		}
		t.Add(cli.Plain(w.Name), cli.Plain(w.URL), fmt.Sprint(w.CosignedSize), moment(w.CosignedAt), answer)
	}
	return env.Print(t.Text(style))
}

// moment is a time to the second, or a dash.
func moment(at *time.Time) string {
	if at == nil {
		return "–"
	}
	return at.UTC().Format(time.RFC3339)
}

// LogScrub asks the server to verify its log.
type LogScrub struct {
	JSON bool `name:"json" help:"Print the lines of the answer as JSON."`
}

// Help shows an example.
func (LogScrub) Help() string {
	return "Ends 0 if all is as it was logged, 1 if something is damaged.\n\nExample:\n\n  prova log scrub"
}

// Run scrubs.
func (c LogScrub) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	progress := env.NewProgress()
	var printed error
	result, err := client.Scrub(ctx, func(l api.ScrubLine) {
		switch {
		case l.Progress != nil:
			progress.Show(float64(l.Progress.Done)/float64(max(l.Progress.Size, 1)), fmt.Sprintf("%d of %d receipts", l.Progress.Done, l.Progress.Size))
		case c.JSON:
			printed = errors.Join(printed, env.PrintJSON(l))
		case l.Damage != nil:
			progress.Clear()
			d := l.Damage
			printed = errors.Join(printed, env.Print(fmt.Sprintf("damaged: index %d %s: %s: %s\n", d.LogIndex, d.EventID, d.Check, cli.Plain(d.Detail))))
		}
	})
	progress.Clear()
	if err = errors.Join(err, printed); err != nil {
		return err
	}
	if c.JSON {
		err = env.PrintJSON(api.ScrubLine{Result: &result})
	} else {
		err = env.Print(fmt.Sprintf("%d receipts verified, %d damages.\n", result.Receipts, result.Damages))
	}
	if err == nil && result.Damages > 0 {
		err = &cli.ExitError{Code: 1}
	}
	return err
}

// LogResetAnchor accepts a database that went back.
type LogResetAnchor struct {
	Data        string `help:"Directory of the database and the signing keys." default:"./prova-data" env:"PROVA_DATA" type:"path"`
	DatabaseURL string `help:"PostgreSQL instead of the embedded database: postgres://…" env:"PROVA_DATABASE_URL" placeholder:"URL"`
	Origin      string `help:"Name that begins the origin of checkpoints, as the server has it." default:"prova"`
	Yes         bool   `help:"Do it. Without it the command only says what it would do."`
}

// Help says when.
func (LogResetAnchor) Help() string {
	return "For a log that the server refuses to write to because its database lost receipts, when those are lost for good. " +
		"Stop the server first. The log goes on under a new name, and a receipt in it says for ever what was lost.\n\nExample:\n\n  prova log reset-anchor --data /var/lib/prova --yes"
}

// Run resets.
func (c *LogResetAnchor) Run(ctx context.Context, env *cli.Env) error {
	var s *store.Store
	var err error
	if c.DatabaseURL != "" {
		s, err = store.OpenPostgres(ctx, c.DatabaseURL, nil)
	} else {
		s, err = store.OpenSQLite(ctx, filepath.Join(c.Data, "prova.db"), nil)
	}
	if err != nil {
		return cli.Configf("%w", err)
	}
	err = c.reset(ctx, env, s)
	return errors.Join(err, s.Close())
}

func (c *LogResetAnchor) reset(ctx context.Context, env *cli.Env, s *store.Store) error {
	passphrase, err := keyfile.Passphrase(env.Getenv)
	if err != nil {
		return cli.Configf("%w", err)
	}
	files := keyfile.Dir{Path: c.Data, Passphrase: passphrase}
	keys, err := files.Load()
	if err != nil {
		return cli.Configf("%w", err)
	}
	signer, err := receipt.NewSigner(keys.Receipt)
	if err != nil {
		return err
	}
	a, err := authority.New(authority.Config{
		Store: s, Deliverer: webhook.New(webhook.Options{}), Signer: signer, KeyRing: files, CheckpointKey: keys.Checkpoint, Anchor: anchor.In(c.Data),
		Origin: c.Origin, Now: time.Now, Random: func(p []byte) { _, _ = rand.Read(p) }, Log: logger(env, "error", "text"),
	})
	if err != nil {
		return err
	}
	all, err := a.ResetAnchor(ctx, c.Yes)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		env.Talk("Every log continues what this server has seen: there is nothing to reset.")
		return nil
	}
	for _, r := range all {
		text := fmt.Sprintf("log %s: seen with %s; the database does not hold it\n", r.Log, r.Seen)
		if r.Org != "" {
			text = fmt.Sprintf("org %s, log %s: seen with %s; found with %s\n", r.Org, r.Log, r.Seen, r.Found)
		}
		if err := env.Print(text); err != nil {
			return err
		}
	}
	if !c.Yes {
		return cli.Usagef("nothing was changed; add --yes to go on without the lost receipts, for good")
	}
	env.Talk("Done. Start the server.")
	return nil
}
