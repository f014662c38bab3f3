package verifycmd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/cobound/prova/internal/cli"
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

// file verifies one file: an export if its first line begins one, else a receipt.
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
			return receipt.Report{}, cli.Usagef("%s is a directory; give the files in it", name)
		}
		source, size = f, info.Size()
	}
	counted := &counting{ctx: ctx, in: source}
	in := bufio.NewReader(counted)
	// Peek returns what there is of a shorter file; its error comes again with the next read.
	head, _ := in.Peek(len(exportHead))
	if bytes.Equal(head, []byte(exportHead)) {
		progress := env.NewProgress()
		defer progress.Clear()
		report := receipt.VerifyExport(in, trust, func(done int64) {
			share := 0.0
			if size > 0 {
				share = float64(counted.read) / float64(size)
			}
			progress.Show(share, fmt.Sprintf("%d receipts of %s", done, name))
		})
		return report, ctx.Err()
	}
	raw, err := io.ReadAll(io.LimitReader(in, receipt.MaxBytes+2))
	if err != nil {
		return receipt.Report{}, fmt.Errorf("%s: %w", name, err)
	}
	return receipt.VerifyReceipt(raw, trust), nil
}

// exportHead begins every export.
const exportHead = `{"export":`
