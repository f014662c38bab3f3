package verifycmd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/replay"
	"github.com/cobound/prova/receipt"
)

// counting counts what is read, and ends when the person interrupts.
type counting struct {
	ctx  context.Context
	in   io.Reader
	read int64
}

func (c *counting) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.in.Read(p)
	c.read += int64(n)
	return n, err
}

// file verifies one file: a directory or a tar is a bundle, a file whose first
// line begins an export is one, and everything else is a receipt.
func (c Verify) file(ctx context.Context, env *cli.Env, name string, trust receipt.Trust) (receipt.Report, error) {
	source, size := env.Stdin, int64(0)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return receipt.Report{}, cli.Usagef("%w", err)
		}
		defer func() { _ = f.Close() }()
		info, err := f.Stat()
		if err != nil {
			return receipt.Report{}, cli.Usagef("%w", err)
		}
		if info.IsDir() {
			return c.directory(ctx, env, name, trust)
		}
		source, size = f, info.Size()
	}
	counted := &counting{ctx: ctx, in: source}
	in := bufio.NewReader(counted)
	// Peek returns what there is of a shorter file; its error comes again with the next read.
	head, _ := in.Peek(512)
	switch {
	case bytes.HasPrefix(head, []byte(exportHead)):
		progress := env.NewProgress()
		defer progress.Clear()
		report := receipt.VerifyExport(in, trust, func(done int64) {
			share := 0.0
			if size > 0 {
				share = float64(counted.read) / float64(size)
			}
			progress.Show(share, fmt.Sprintf("%d receipts of %s", done, name))
		})
		if c.Replay && name == "-" {
			return receipt.Report{}, cli.Usagef("--replay reads the evidence twice: save what comes from stdin to a file and give that")
		}
		if c.Replay && ctx.Err() == nil {
			progress.Clear()
			report = replayed(report, exportLog(func() (io.ReadCloser, error) { return os.Open(name) }))
		}
		return report, ctx.Err()
	case receipt.IsTar(head):
		return c.tarball(ctx, env, name, in, trust)
	}
	raw, err := io.ReadAll(io.LimitReader(in, receipt.MaxBytes+2))
	if err != nil {
		return receipt.Report{}, fmt.Errorf("%s: %w", name, err)
	}
	report := receipt.VerifyReceipt(raw, trust)
	if c.Replay { // a receipt brings no runs along
		report = replayed(report, func() iter.Seq2[replay.Item, error] { return func(func(replay.Item, error) bool) {} })
	}
	return report, nil
}

// directory verifies a bundle that was unpacked. No link in it is followed.
func (c Verify) directory(ctx context.Context, env *cli.Env, name string, trust receipt.Trust) (receipt.Report, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return receipt.Report{}, cli.Usagef("%w", err)
	}
	defer func() { _ = root.Close() }()
	return c.bundle(ctx, env, name, receipt.OpenBundleDir(root.FS()), trust)
}

// tarball verifies a bundle in a tar. Its parts are read side by side, so what
// comes from stdin is first kept in a temporary file.
func (c Verify) tarball(ctx context.Context, env *cli.Env, name string, in io.Reader, trust receipt.Trust) (receipt.Report, error) {
	var file *os.File
	var err error
	if name == "-" {
		if file, err = os.CreateTemp("", "prova-verify-*"); err != nil {
			return receipt.Report{}, err
		}
		defer func() { _ = os.Remove(file.Name()) }()
		_, err = io.Copy(file, in)
	} else {
		file, err = os.Open(name)
	}
	if file != nil {
		defer func() { _ = file.Close() }()
	}
	if err != nil {
		return receipt.Report{}, fmt.Errorf("%s: %w", name, err)
	}
	info, err := file.Stat()
	if err != nil {
		return receipt.Report{}, fmt.Errorf("%s: %w", name, err)
	}
	return c.bundle(ctx, env, name, receipt.OpenBundleTar(file, info.Size()), trust)
}

func (c Verify) bundle(ctx context.Context, env *cli.Env, name string, b *receipt.Bundle, trust receipt.Trust) (receipt.Report, error) {
	progress := env.NewProgress()
	defer progress.Clear()
	total := int64(0)
	if m, err := b.Manifest(); err == nil {
		for _, n := range m.Counts {
			total += n
		}
	}
	report := b.Verify(trust, func(done int64) {
		share := 0.0
		if total > 0 {
			share = float64(done) / float64(total)
		}
		progress.Show(share, fmt.Sprintf("%d receipts of %s", done, name))
	})
	if c.Replay && ctx.Err() == nil {
		progress.Clear()
		report = replayed(report, bundleLog(b))
	}
	return report, ctx.Err()
}

// exportHead begins every export.
const exportHead = `{"export":`
