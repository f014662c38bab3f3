package authority

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// each reads the entries of a filter in log order, a page at a time.
func (b *bundle) each(ctx context.Context, f EntryFilter, fn func(Entry) error) error {
	for {
		var page []Entry
		err := b.a.Store.View(ctx, b.org, func(s Snapshot) (err error) {
			page, err = s.Entries(f, exportPage)
			return err
		})
		if err != nil {
			return err
		}
		for _, e := range page {
			if err := fn(e); err != nil {
				return err
			}
		}
		if len(page) < exportPage {
			return nil
		}
		f.From = page[len(page)-1].Index + 1
	}
}

// eachReceipt reads the receipts of the bundle in log order: those that were
// picked, and between them the key events.
func (b *bundle) eachReceipt(ctx context.Context, fn func(Entry) error) error {
	events := b.keyEvents
	before := func(index int64) error {
		for len(events) > 0 && events[0].Index < index {
			if err := fn(events[0]); err != nil {
				return err
			}
			events = events[1:]
		}
		return nil
	}
	err := b.each(ctx, b.pick, func(e Entry) error {
		if e.Kind == api.KindKeyEvent || b.kinds != nil && !b.kinds[e.Kind] {
			return nil
		}
		if err := before(e.Index); err != nil {
			return err
		}
		return fn(e)
	})
	if err != nil {
		return err
	}
	return before(b.manifest.Size)
}

// leavesAtOnce is how many leaf hashes are read at once.
const leavesAtOnce = 8192

// writeLeaves writes the hashes of the leaves from the manifest's tree to its size.
func (b *bundle) writeLeaves(ctx context.Context, w io.Writer) error {
	for next := b.manifest.Tree.Size(); next < b.manifest.Size; {
		var leaves []tlog.Hash
		err := b.a.Store.View(ctx, b.org, func(s Snapshot) (err error) {
			leaves, err = s.Hashes(0, next, int(min(leavesAtOnce, b.manifest.Size-next)))
			return err
		})
		if err != nil {
			return err
		}
		if len(leaves) == 0 {
			return damaged(fmt.Errorf("the log has no receipt %d", next))
		}
		for _, leaf := range leaves {
			if _, err := w.Write(leaf[:]); err != nil {
				return err
			}
		}
		next += int64(len(leaves))
	}
	return nil
}

// sum reads everything once and describes it in the manifest.
func (b *bundle) sum(ctx context.Context) error {
	m := &b.manifest
	for _, name := range b.smallFiles() {
		sum := receipt.NewFileSum(name)
		_, _ = sum.Write(b.small[name]) // it never fails
		m.Files = append(m.Files, sum.File())
	}
	if m.Tree != nil {
		sum := receipt.NewFileSum(receipt.FileLeaves)
		if err := b.writeLeaves(ctx, sum); err != nil {
			return err
		}
		m.Files = append(m.Files, sum.File())
	}
	sum := receipt.NewFileSum(receipt.FileReceipts)
	erased, err := b.erasures(ctx)
	if err != nil {
		return err
	}
	var line []byte
	err = b.eachReceipt(ctx, func(e Entry) error {
		for _, field := range erased[e.Index] {
			m.Redactions = append(m.Redactions, receipt.Redaction{EventID: e.EventID, Field: field})
		}
		m.Counts[e.Kind]++
		line = receipt.AppendLine(line[:0], e.Index, e.Raw)
		_, _ = sum.Write(line)
		return b.follow(e)
	})
	m.Files = append(m.Files, sum.File())
	if err == nil {
		err = m.Check()
	}
	return err
}

// erasures are the fields that were erased of the receipts that were picked, by log index.
func (b *bundle) erasures(ctx context.Context) (map[int64][]string, error) {
	out := map[int64][]string{}
	err := b.a.Store.View(ctx, b.org, func(s Snapshot) error {
		clear(out)
		list, err := s.Erasures(b.pick.From, b.pick.Before)
		for _, e := range list {
			out[e.Index] = append(out[e.Index], e.Field)
		}
		return err
	})
	return out, err
}

// follow notes where the rollout of the bundle stands.
func (b *bundle) follow(e Entry) error {
	if id := b.manifest.Scope.Rollout; id == "" || e.RolloutID != id {
		return nil
	}
	r, err := receipt.Parse(e.Raw)
	if err != nil {
		return damaged(err)
	}
	c := &b.manifest.Completeness
	ended := r.Terminal || c.Ended != nil && *c.Ended
	c.LastSeq, c.Ended = &r.Stream.Seq, &ended
	return nil
}

// smallFiles are those that are held in memory, in their order.
func (b *bundle) smallFiles() []string {
	names := []string{receipt.FileReadme, receipt.FileKeys, receipt.FileCheckpoint}
	for _, id := range b.proofs {
		names = append(names, receipt.ProofFile(id))
	}
	return names
}

// write reads everything again and writes the tar, which refuses what is not as it was summed up.
func (b *bundle) write(ctx context.Context, to io.Writer, manifest []byte) error {
	out := bufio.NewWriterSize(to, 256<<10)
	w, err := receipt.NewBundleWriter(out, manifest)
	if err != nil {
		return err
	}
	for _, name := range b.smallFiles() {
		if err := w.Write(name, b.small[name]); err != nil {
			return err
		}
	}
	if b.manifest.Tree != nil {
		leaves, err := w.Create(receipt.FileLeaves)
		if err != nil {
			return err
		}
		if err := b.writeLeaves(ctx, leaves); err != nil {
			return err
		}
	}
	receipts, err := w.Create(receipt.FileReceipts)
	if err != nil {
		return err
	}
	var line []byte
	err = b.eachReceipt(ctx, func(e Entry) error {
		line = receipt.AppendLine(line[:0], e.Index, e.Raw)
		_, err := receipts.Write(line)
		return err
	})
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = out.Flush()
	}
	return err
}
