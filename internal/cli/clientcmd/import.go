package clientcmd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
	"github.com/cobound/prova/internal/cli/figures"
	"github.com/cobound/prova/internal/importer"
)

// RunsImport sends runs from files.
type RunsImport struct {
	File        []string `required:"" sep:"none" placeholder:"FILE" help:"Runs: simple lines, events or receipts, one in each line. May be repeated."`
	AppID       string   `name:"app-id" placeholder:"APP" help:"Record all runs under this agent instead of the one that they name."`
	Concurrency int      `default:"1" placeholder:"N" help:"Requests at a time (default ${default}). More is faster, and the log then has the runs in another order than the file."`
	JSON
}

// Help shows an example and the exit codes.
func (RunsImport) Help() string {
	return `A run's idempotency key is made of the file's digest and the line's number unless the line has one, so an import that broke off, or was done before, may be repeated: nothing is recorded twice. The exit code is 3 if some lines were refused; they are listed.

A line: {"app_id":"claims-agent","release":"v36","metrics":{"success":true,"latency_ms":812}}

Example:

  prova runs import --file runs.ndjson`
}

const (
	batchRuns  = 500
	batchBytes = 8 << 20 // half of what a request may hold: the envelope and other spellings take room too
	// maxConcurrency is far above what one server gains from.
	maxConcurrency = 64
	// shownRefusals is how many refused lines are listed for people.
	shownRefusals = 20
)

// Refusal is a line that was not recorded.
type Refusal struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Detail string `json:"detail"`
}

// Imported is what became of all lines.
type Imported struct {
	Created   int64     `json:"created"`
	Duplicate int64     `json:"duplicate"`
	Refused   []Refusal `json:"refused"`
	// NoRelease counts created runs without a release: kept, not counted.
	NoRelease int64 `json:"no_release"`
	// Others counts lines that hold no run.
	Others int64 `json:"others"`
}

// Run imports.
func (c RunsImport) Run(ctx context.Context, env *cli.Env) error {
	if c.Concurrency < 1 || c.Concurrency > maxConcurrency {
		return cli.Usagef("--concurrency: want 1 to %d", maxConcurrency)
	}
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	files, total, err := c.open()
	if err != nil {
		return err
	}
	s := newSender(ctx, env, client, c.Concurrency, total)
	for _, f := range files {
		if err := c.read(s, f); err != nil {
			s.give(err)
			break
		}
	}
	err = s.wait()
	if printing := c.print(env, s.sum); err == nil {
		err = printing
	}
	if err != nil {
		if ctx.Err() != nil || cli.Outage(err) {
			env.Talk("Not everything was sent. Run the same command again: nothing is recorded twice.")
		}
		return err
	}
	if len(s.sum.Refused) > 0 {
		return cli.Exit(cli.Undecided)
	}
	return nil
}

// source is a file to be imported.
type source struct{ name, digest string }

// open digests all files first: a missing one is found before anything is sent.
func (c RunsImport) open() (files []source, total int64, err error) {
	for _, name := range c.File {
		digest, size, err := digestOf(name)
		if err != nil {
			return nil, 0, cli.Usagef("--file: %w", err)
		}
		files, total = append(files, source{name, digest}), total+size
	}
	return files, total, nil
}

func digestOf(name string) (digest string, size int64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", 0, fmt.Errorf("%s: want a file; a pipe cannot be read twice, which the idempotency keys need", name)
	}
	h := sha256.New()
	if size, err = io.Copy(h, f); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

// read cuts one file into batches.
func (c RunsImport) read(s *sender, from source) error {
	f, err := os.Open(from.name)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	defer func() { _ = f.Close() }()
	r := importer.NewReader(f)
	next := batch{file: from.name}
	size, done := 0, int64(0)
	flush := func() error {
		next.bytes, done = r.Offset()-done, r.Offset()
		err := s.send(next)
		next, size = batch{file: from.name}, 0
		return err
	}
	for {
		run, err := r.Next()
		if bad, ok := errors.AsType[*importer.LineError](err); ok {
			s.refuse(Refusal{from.name, bad.Number, bad.Err.Error()})
			continue
		}
		if errors.Is(err, io.EOF) {
			s.others(r.Others())
			return flush()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", from.name, err)
		}
		e := c.event(run, from.digest)
		encoded, err := json.Marshal(e)
		if err != nil {
			s.refuse(Refusal{from.name, run.Number, err.Error()})
			continue
		}
		if len(next.events) == batchRuns || len(next.events) > 0 && size+len(encoded) > batchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		next.events, next.lines = append(next.events, e), append(next.lines, run.Number)
		size += len(encoded)
	}
}

// event is what is sent of a run.
func (c RunsImport) event(run importer.Run, digest string) api.Event {
	e := run.Event
	if c.AppID != "" {
		e.Source.AppID = c.AppID
	}
	if e.IdempotencyKey == "" {
		e.IdempotencyKey = "file:" + digest[:32] + ":" + strconv.Itoa(run.Number)
	}
	return e
}

// print says what became of the lines.
func (c RunsImport) print(env *cli.Env, sum Imported) error {
	if c.JSON.JSON {
		return env.PrintJSON(sum)
	}
	for i, r := range sum.Refused {
		if i == shownRefusals {
			env.Talk("… and %d more; --json lists all", len(sum.Refused)-i)
			break
		}
		env.Talk("%s:%d: %s", r.File, r.Line, cli.Plain(r.Detail))
	}
	if sum.NoRelease > 0 {
		env.Talk("Without a release, and so kept and not counted: %s.", figures.Runs(sum.NoRelease))
	}
	text := fmt.Sprintf("%d created, %d known before, %d refused", sum.Created, sum.Duplicate, len(sum.Refused))
	if sum.Others > 0 {
		text += fmt.Sprintf(", %d lines without a run", sum.Others)
	}
	return env.Print(text + "\n")
}
