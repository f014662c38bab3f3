package clientcmd

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
	"github.com/cobound/prova/prova"
	"github.com/cobound/prova/receipt"
)

// Receipts is the family of commands for evidence.
type Receipts struct {
	Get    ReceiptsGet    `cmd:"" help:"Print one receipt, byte for byte as it was signed."`
	List   ReceiptsList   `cmd:"" help:"List receipts, newest first."`
	Export ReceiptsExport `cmd:"" help:"Write the log with its signed checkpoint, for an auditor."`
	Bundle ReceiptsBundle `cmd:"" help:"Write a receipt, a rollout or a range of the log with all that verifies it offline."`
	Erase  ReceiptsErase  `cmd:"" help:"Erase payload fields of a receipt for good; the receipt stays."`
}

// ReceiptsGet prints one receipt.
type ReceiptsGet struct {
	ID string `arg:"" help:"The receipt's event id."`
	JSON
}

// Help shows an example.
func (ReceiptsGet) Help() string {
	return "With --json the receipt's place in the log stands around it.\n\nExample:\n\n  prova receipts get evt_… > receipt.json && prova verify --key keys.json receipt.json"
}

// Run prints it.
func (c ReceiptsGet) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	item, err := client.Receipt(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		return env.PrintJSON(item)
	}
	return env.Print(string(item.Receipt) + "\n")
}

// ReceiptsList lists receipts.
type ReceiptsList struct {
	Kind        string `placeholder:"KIND" help:"Of this kind only, such as rollout_decision."`
	AppID       string `name:"app-id" placeholder:"APP" help:"Of this agent only."`
	Environment string `placeholder:"NAME" help:"Of this environment only."`
	Release     string `placeholder:"RELEASE" help:"Of this release only."`
	Rollout     string `placeholder:"ID" help:"Of this rollout only."`
	Probe       string `placeholder:"ID" help:"Of this probe only."`
	Pages
	JSON
}

// Help shows an example.
func (ReceiptsList) Help() string {
	return "Example:\n\n  prova receipts list --kind rollout_decision --rollout ro_…"
}

// Run lists.
func (c ReceiptsList) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	list, err := client.Receipts(ctx, prova.ReceiptFilter{
		Kind: c.Kind, AppID: c.AppID, Environment: c.Environment, Release: c.Release,
		RolloutID: c.Rollout, ProbeID: c.Probe, Page: c.page(),
	})
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		return env.PrintJSON(list)
	}
	t := cli.Table{Head: []string{"index", "receipt", "recorded", "kind", "app", "release"}, Right: map[int]bool{0: true}}
	for _, item := range list.Items {
		r, err := receipt.Parse(item.Receipt)
		if err != nil {
			t.Add(strconv.FormatInt(item.LogIndex, 10), "not a receipt: "+cli.Plain(err.Error()))
			continue
		}
		t.Add(strconv.FormatInt(item.LogIndex, 10), r.EventID, cli.Plain(r.RecordedAt), r.Kind, cli.Plain(r.Source.AppID), cli.Plain(r.Source.Release))
	}
	if err := env.Print(t.Text(env.Out())); err != nil {
		return err
	}
	more(env, list.NextCursor)
	return nil
}

// ReceiptsExport writes the log.
type ReceiptsExport struct {
	From int64  `default:"0" placeholder:"INDEX" help:"The log index to begin at (default ${default})."`
	Out  string `placeholder:"FILE" help:"Where to write (default stdout). An existing file is replaced when the export is whole."`
	CosignWait
}

// CosignWait is embedded by commands that take a checkpoint along.
type CosignWait struct {
	Wait time.Duration `placeholder:"TIME" help:"Wait so long, such as 5s and at most 10s, until the server's witnesses have cosigned the head of the log."`
}

// options are those of the client.
func (c CosignWait) options() []prova.EvidenceOption {
	if c.Wait <= 0 {
		return nil
	}
	return []prova.EvidenceOption{prova.Cosigned(c.Wait)}
}

// Help shows an example.
func (ReceiptsExport) Help() string {
	return "Example:\n\n  prova receipts export --out log.ndjson && prova verify --key keys.json log.ndjson"
}

// Run writes it.
func (c ReceiptsExport) Run(ctx context.Context, env *cli.Env) error {
	if c.From < 0 {
		return cli.Usagef("--from: want a log index of at least 0")
	}
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	stream, err := client.Export(ctx, c.From, c.options()...)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	if c.Out == "" {
		_, err := copyExport(env, env.Stdout, stream)
		return err
	}
	// A half export in the place of a whole one would be taken for it.
	file, err := os.CreateTemp(filepath.Dir(c.Out), filepath.Base(c.Out)+".part-*")
	if err != nil {
		return cli.Usagef("--out: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	lines, err := copyExport(env, file, stream)
	if err == nil {
		err = file.Sync()
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(file.Name(), c.Out)
	}
	if err != nil {
		return err
	}
	env.Talk("%s: %d receipts and the checkpoint.", c.Out, max(lines-2, 0))
	return nil
}

// copyExport copies the lines of an export and checks that it ends with its
// checkpoint: a stream that breaks off says so nowhere else.
func copyExport(env *cli.Env, to io.Writer, from io.Reader) (lines int64, err error) {
	progress := env.NewProgress()
	defer progress.Clear()
	in, out := bufio.NewReaderSize(from, 1<<20), bufio.NewWriterSize(to, 1<<20)
	var last []byte
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			last = line
			lines++
			if _, err := out.Write(line); err != nil {
				return lines, err
			}
			progress.Show(0, fmt.Sprintf("%d receipts", max(lines-1, 0)))
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return lines, &cli.ExitError{Code: cli.Unreachable, Err: fmt.Errorf("the export broke off after %d lines: %w", lines, err)}
		}
	}
	var end struct {
		Checkpoint *string `json:"checkpoint"`
	}
	if json.Unmarshal(last, &end) != nil || end.Checkpoint == nil {
		_ = out.Flush()
		return lines, &cli.ExitError{Code: cli.Unreachable, Err: fmt.Errorf("the export broke off after %d lines: it lacks its checkpoint; try again", lines)}
	}
	return lines, out.Flush()
}
