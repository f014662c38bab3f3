package authority

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

func item(e Entry) api.ReceiptItem { return api.ReceiptItem{LogIndex: e.Index, Receipt: e.Raw} }

// Receipt reads one receipt by its event id.
func (a *Authority) Receipt(ctx context.Context, p Principal, eventID string) (api.ReceiptItem, error) {
	if err := p.need(api.AuditRead); err != nil {
		return api.ReceiptItem{}, err
	}
	var e Entry
	err := a.Store.View(ctx, p.Org, func(s Snapshot) (err error) {
		if e, err = s.Entry(eventID); err == nil && !p.sees(e.Environment) {
			err = ErrNotFound
		}
		return err
	})
	if err != nil {
		return api.ReceiptItem{}, storeError("receipt", err)
	}
	return item(e), nil
}

// Receipts lists receipts, newest first.
func (a *Authority) Receipts(ctx context.Context, p Principal, f EntryFilter, cursor string, limit int) (api.List[api.ReceiptItem], error) {
	if err := p.need(api.AuditRead); err != nil {
		return api.List[api.ReceiptItem]{}, err
	}
	return a.entries(ctx, p, f, cursor, limit)
}

// Runs lists runs, newest first.
func (a *Authority) Runs(ctx context.Context, p Principal, f EntryFilter, cursor string, limit int) (api.List[api.ReceiptItem], error) {
	if err := p.need(api.ReleaseRead); err != nil {
		return api.List[api.ReceiptItem]{}, err
	}
	f.Kind = api.KindAgentRun
	return a.entries(ctx, p, f, cursor, limit)
}

// RunsAfter lists runs from f.From on in log order, to follow them as they arrive.
func (a *Authority) RunsAfter(ctx context.Context, p Principal, f EntryFilter, limit int) (api.List[api.ReceiptItem], error) {
	if err := p.need(api.ReleaseRead); err != nil {
		return api.List[api.ReceiptItem]{}, err
	}
	f, err := p.limit(f)
	if err != nil {
		return api.List[api.ReceiptItem]{}, err
	}
	f.Kind = api.KindAgentRun
	out := api.List[api.ReceiptItem]{Items: []api.ReceiptItem{}}
	err = a.Store.View(ctx, p.Org, func(s Snapshot) error {
		found, err := s.Entries(f, limit)
		for _, e := range found {
			out.Items = append(out.Items, item(e))
		}
		return err
	})
	return out, storeError("run", err)
}

// limit narrows a filter to what the key may see.
func (p Principal) limit(f EntryFilter) (EntryFilter, error) {
	if p.Environment == "" {
		return f, nil
	}
	if f.Environment != "" && f.Environment != p.Environment {
		return f, fail(CodeForbidden, "this key is limited to the environment %q", p.Environment)
	}
	f.Environment = p.Environment
	return f, nil
}

func (a *Authority) entries(ctx context.Context, p Principal, f EntryFilter, cursor string, limit int) (api.List[api.ReceiptItem], error) {
	var none api.List[api.ReceiptItem]
	f, err := p.limit(f)
	if err != nil {
		return none, err
	}
	f.Newest = true
	if cursor != "" {
		if f.Before, err = cursorNumber(cursor); err != nil {
			return none, err
		}
		if f.Before == 0 { // the page before was the last
			return api.List[api.ReceiptItem]{Items: []api.ReceiptItem{}}, nil
		}
	}
	var items []api.ReceiptItem
	err = a.Store.View(ctx, p.Org, func(s Snapshot) error {
		found, err := s.Entries(f, limit+1)
		for _, e := range found {
			items = append(items, item(e))
		}
		return err
	})
	if err != nil {
		return none, storeError("receipt", err)
	}
	return page(items, limit, func(i api.ReceiptItem) string { return strconv.FormatInt(i.LogIndex, 10) }), nil
}

// exportPage is how many receipts an export reads at once.
const exportPage = 1000

// Export streams the org's log from an index on, with the tree before it and a
// checkpoint over exactly what it holds. An error before the first byte leaves
// w untouched; one after it leaves an export without its last line, which a
// verifier calls cut off. It waits for cosignatures as [Authority.CosignedCheckpoint] does.
func (a *Authority) Export(ctx context.Context, p Principal, from int64, wait time.Duration, w io.Writer) error {
	if err := p.need(api.AuditRead); err != nil {
		return err
	}
	if p.Environment != "" {
		return fail(CodeForbidden, "an export holds the whole log; this key is limited to the environment %q", p.Environment)
	}
	checkpoint, err := a.CosignedCheckpoint(ctx, p, wait)
	if CodeOf(err) == CodeReadOnly && err != nil { // what was signed before can still be carried away
		checkpoint, err = a.newestCheckpoint(ctx, p.Org)
	}
	if err != nil {
		return err
	}
	if from < 0 || from > checkpoint.Size {
		return invalid("/from", "from is %d and the log has %d receipts", from, checkpoint.Size)
	}
	head, err := a.exportHead(ctx, p, from, checkpoint)
	if err != nil {
		return err
	}
	writer := receipt.NewExportWriter(w, head)
	err = a.eachEntry(ctx, p, from, checkpoint.Size, func(e Entry) error { return writer.Receipt(e.Index, e.Raw) })
	if err != nil {
		return storeError("log", err)
	}
	last, err := a.lateCosigned(ctx, p.Org, checkpoint)
	if err != nil {
		return err
	}
	if err := writer.Close(last); err != nil {
		return &Error{Code: CodeInternal, Detail: "the export could not be ended", Cause: err}
	}
	return nil
}

// lateCosigned is the note of a checkpoint with what came in while it was worked with.
func (a *Authority) lateCosigned(ctx context.Context, org string, c api.Checkpoint) (string, error) {
	err := a.Store.View(ctx, org, func(s Snapshot) (err error) {
		if c, err = s.CheckpointAt(c.Size); err == nil {
			err = cosigned(s, &c)
		}
		return err
	})
	return c.Note, storeError("checkpoint", err)
}

// eachEntry reads entries [from, to) in log order, a page at a time.
func (a *Authority) eachEntry(ctx context.Context, p Principal, from, to int64, fn func(Entry) error) error {
	for from < to {
		var page []Entry
		err := a.Store.View(ctx, p.Org, func(s Snapshot) (err error) {
			page, err = s.Entries(EntryFilter{From: from, Before: to}, exportPage)
			return err
		})
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return fmt.Errorf("the log has no receipt %d", from)
		}
		for _, e := range page {
			if err := fn(e); err != nil {
				return err
			}
		}
		from = page[len(page)-1].Index + 1
	}
	return nil
}

func (a *Authority) exportHead(ctx context.Context, p Principal, from int64, c api.Checkpoint) (receipt.ExportHead, error) {
	head := receipt.ExportHead{Org: p.Org, From: from}
	err := a.eachEntry(ctx, p, 0, from, func(e Entry) error {
		head.Tree = head.Tree.Append(e.Leaf)
		return nil
	})
	if err != nil {
		return head, storeError("log", err)
	}
	head.Keys, err = a.evidenceKeys(ctx, c)
	return head, err
}
