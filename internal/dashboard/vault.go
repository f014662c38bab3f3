package dashboard

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// Vault reads the log and hands parts of it out.
type Vault interface {
	Receipts(ctx context.Context, p authority.Principal, f authority.EntryFilter, cursor string, limit int) (api.List[api.ReceiptItem], error)
	Checkpoints(ctx context.Context, p authority.Principal, cursor string, limit int) (api.List[api.Checkpoint], error)
	Witnesses(ctx context.Context, p authority.Principal) ([]api.Witness, error)
	Bundle(ctx context.Context, p authority.Principal, scope receipt.Scope, wait time.Duration, w io.Writer) error
	Export(ctx context.Context, p authority.Principal, from int64, wait time.Duration, w io.Writer) error
}

// How many receipts and checkpoints the page shows at once.
const (
	pageOfReceipts = 50
	pageOfHeads    = 8
)

// vaultPage is the receipts that a filter finds, the log's signed heads with
// their witnesses, and the forms to take a part of it along.
type vaultPage struct {
	Filter vaultFilter
	Kinds  []string
	// Newest is the newest receipt that the key may see; nil before there is one.
	Newest *receiptRow
	Rows   []receiptRow
	// Older is the address of the next page; Later says that this is not the first.
	Older string
	Later bool
	// Limited is the environment that the key is limited to; it gets no range of the log.
	Limited string
	// Signed is how many receipts the newest signed head covers; 0 before there is one.
	Signed    int64
	Heads     []headRow
	Earlier   string
	Witnesses []witnessRow
	// Take is what the forms to download were filled with.
	Take    takeForm
	Problem *api.Problem
}

// vaultFilter is what the form above the receipts asks for; empty members ask for nothing.
type vaultFilter struct{ Kind, App, Environment, Release, Rollout, Probe, Since, Until string }

func vaultFilterOf(q url.Values) vaultFilter {
	return vaultFilter{
		Kind: q.Get("kind"), App: q.Get("app"), Environment: q.Get("environment"), Release: q.Get("release"), Rollout: q.Get("rollout"),
		Probe: q.Get("probe"), Since: q.Get("since"), Until: q.Get("until"),
	}
}

func (f vaultFilter) address(more ...string) string {
	q := url.Values{}
	for name, value := range map[string]string{
		"kind": f.Kind, "app": f.App, "environment": f.Environment, "release": f.Release, "rollout": f.Rollout, "probe": f.Probe, "since": f.Since, "until": f.Until,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return "/vault?" + q.Encode()
}

// First is the address of the first page.
func (f vaultFilter) First() string { return f.address() }

// Any reports whether something is asked for.
func (f vaultFilter) Any() bool { return f != vaultFilter{} }

// Rare reports whether something is asked for that the form keeps folded.
func (f vaultFilter) Rare() bool { return f.Environment+f.Probe+f.Since+f.Until != "" }

// entries is the filter of the use case. The times are UTC.
func (f *vaultFilter) entries() (authority.EntryFilter, []api.FieldError) {
	out := authority.EntryFilter{Kind: f.Kind, AppID: f.App, Environment: f.Environment, Release: f.Release, RolloutID: f.Rollout, ProbeID: f.Probe}
	var faults []api.FieldError
	for _, t := range []struct {
		name string
		text *string
		at   *time.Time
	}{{"since", &f.Since, &out.Since}, {"until", &f.Until, &out.Until}} {
		var err error
		if *t.at, err = fieldTime(*t.text); err != nil {
			faults = append(faults, api.FieldError{Pointer: "/" + t.name, Detail: t.name + " is no time; want one in UTC such as 2026-05-15T18:42"})
		} else if !t.at.IsZero() {
			*t.text = t.at.Format(fieldForm)
		}
	}
	return out, faults
}

// fieldForm is how a field of a form holds a time.
const fieldForm = "2006-01-02T15:04:05"

// fieldTime reads a time of a form's field, or of RFC 3339; the zero time for an empty one.
func fieldTime(text string) (t time.Time, err error) {
	if text == "" {
		return t, nil
	}
	for _, form := range []string{time.RFC3339Nano, fieldForm, "2006-01-02T15:04", time.DateOnly} {
		if t, err = time.Parse(form, text); err == nil {
			return t.UTC(), nil
		}
	}
	return t, err
}

// vaultKinds are suggested; any other kind can be asked for too.
func vaultKinds() []string {
	return []string{
		api.KindAgentRun, api.KindOutcome, api.KindRolloutCreated, api.KindRolloutDecision, api.KindRolloutAction, api.KindKeyEvent, api.KindOperatorAction, receipt.KindExport,
	}
}

func (h *Handler) vault(r *request) error {
	page, err := h.vaultPage(r)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if page.Problem != nil {
		status = page.Problem.Status
	}
	return r.page(status, "vault", "Vault", "live.js", page)
}

// vaultPage reads what the address asks for. What is wrong with that stands on the page.
func (h *Handler) vaultPage(r *request) (vaultPage, error) {
	q := r.URL.Query()
	page := vaultPage{Filter: vaultFilterOf(q), Kinds: vaultKinds(), Limited: r.who.Environment, Later: q.Get("before") != ""}
	page.Take.Rollout = page.Filter.Rollout
	newest, err := h.Cases.Receipts(r.Context(), r.who, authority.EntryFilter{}, "", 1)
	if err != nil {
		return page, err
	}
	for _, item := range newest.Items {
		row := h.receiptRow(item)
		page.Newest = &row
	}
	if err := h.findReceipts(r, &page); err != nil {
		if authority.CodeOf(err) != authority.CodeInvalid {
			return page, err
		}
		page.Problem = formProblem(err)
	}
	return page, h.fillHeads(r, &page)
}

func (h *Handler) findReceipts(r *request, page *vaultPage) error {
	filter, faults := page.Filter.entries()
	if len(faults) > 0 {
		return &authority.Error{Code: authority.CodeInvalid, Detail: faults[0].Detail, Fields: faults}
	}
	list, err := h.Cases.Receipts(r.Context(), r.who, filter, r.Query("before"), pageOfReceipts)
	if err != nil {
		return err
	}
	for _, item := range list.Items {
		page.Rows = append(page.Rows, h.receiptRow(item))
	}
	if list.NextCursor != "" {
		page.Older = page.Filter.address("before", list.NextCursor)
	}
	return nil
}

// Size is how many receipts the log holds, as far as the key may see.
func (p vaultPage) Size() int64 {
	if p.Newest == nil {
		return 0
	}
	return p.Newest.Index + 1
}

// takeForm is what a form to download was filled with.
type takeForm struct{ Receipt, Rollout, From, To, Export string }

// Since is where a range begins unless somebody says otherwise.
func (t takeForm) Since() string { return cmp.Or(t.From, "0") }

// ExportFrom is where an export begins unless somebody says otherwise.
func (t takeForm) ExportFrom() string { return cmp.Or(t.Export, "0") }
