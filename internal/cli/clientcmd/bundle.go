package clientcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
	"github.com/cobound/prova/receipt"
)

// ReceiptsBundle writes a bundle.
type ReceiptsBundle struct {
	Rollout string `xor:"scope" required:"" placeholder:"ID" help:"Of this rollout: its receipts, and the runs that its decisions rest on."`
	Receipt string `xor:"scope" required:"" placeholder:"ID" help:"Of this one receipt."`
	From    *int64 `xor:"scope" required:"" placeholder:"INDEX" help:"Of the log from this index on."`
	To      *int64 `placeholder:"INDEX" help:"With --from, up to this index (exclusive). Without it to the end of the log."`
	Out     string `required:"" placeholder:"FILE.tar|DIR" help:"Where to write: a tar, or a new directory if the name does not end in .tar."`
	CosignWait
}

// Help shows an example.
func (ReceiptsBundle) Help() string {
	return "The server records, as a receipt, that it handed the bundle out.\n\nExample:\n\n  prova receipts bundle --rollout ro_… --out evidence.tar && prova verify --key keys.json evidence.tar"
}

// Run writes it.
func (c ReceiptsBundle) Run(ctx context.Context, env *cli.Env) error {
	if c.To != nil && c.From == nil {
		return cli.Usagef("--to goes with --from")
	}
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(c.Out); err == nil && !c.isTar() {
		return cli.Usagef("--out: %s is there already; give the name of a new directory, or of a file that ends in .tar", c.Out)
	}
	stream, err := client.Bundle(ctx, receipt.Scope{Rollout: c.Rollout, Receipt: c.Receipt, From: c.From, To: c.To}, c.options()...)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	// A half bundle in the place of a whole one would be taken for it.
	file, err := os.CreateTemp(filepath.Dir(c.Out), filepath.Base(c.Out)+".part-*")
	if err != nil {
		return cli.Usagef("--out: %w", err)
	}
	defer func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}()
	size, err := io.Copy(file, stream)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return brokeOff(err)
	}
	bundle := receipt.OpenBundleTar(file, size)
	m, err := bundle.Manifest()
	if err != nil {
		return brokeOff(err)
	}
	if c.isTar() {
		if err = errors.Join(file.Sync(), file.Close()); err == nil {
			err = os.Rename(file.Name(), c.Out)
		}
	} else {
		err = unpack(bundle, c.Out)
	}
	if err != nil {
		return err
	}
	receipts := int64(0)
	for _, n := range m.Counts {
		receipts += n
	}
	env.Talk("%s: %d receipts about %s, in a log of %d.", c.Out, receipts, m.Scope, m.Size)
	return nil
}

func (c ReceiptsBundle) isTar() bool { return strings.HasSuffix(c.Out, ".tar") }

func brokeOff(err error) error {
	return &cli.ExitError{Code: cli.Unreachable, Err: fmt.Errorf("the bundle broke off: %w; try again", err)}
}

// unpack writes the files of a bundle into a new directory, which gets its name when it is whole.
func unpack(b *receipt.Bundle, dir string) error {
	names, err := b.Names()
	if err != nil {
		return err
	}
	part, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".part-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(part) }()
	for _, name := range names { // names of a bundle's files lead nowhere else
		if err := unpackFile(b, name, filepath.Join(part, filepath.FromSlash(path.Clean(name)))); err != nil {
			return err
		}
	}
	if err := os.Chmod(part, 0o755); err != nil { //nolint:gosec // evidence to hand on
		return err
	}
	return os.Rename(part, dir)
}

func unpackFile(b *receipt.Bundle, name, to string) error {
	from, err := b.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // evidence to hand on
		return err
	}
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // evidence to hand on
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Close())
}
