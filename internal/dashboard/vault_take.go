package dashboard

import (
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// cosignWait is how long a download waits for witnesses to cosign its checkpoint.
const cosignWait = 5 * time.Second

// takeBundle sends a bundle as a file. It is a form that is posted, because the
// log keeps that evidence was handed out, and to whom.
func (h *Handler) takeBundle(r *request) error {
	take := takeForm{Receipt: r.field("receipt"), Rollout: r.field("rollout"), From: r.field("from"), To: r.field("to")}
	scope, err := take.scope()
	if err == nil {
		err = r.download(bundleName(scope), "application/x-tar", func(w io.Writer) error {
			return h.Cases.Bundle(r.Context(), r.who, scope, cosignWait, w)
		})
	}
	return h.taken(r, take, err)
}

// takeExport sends the log from an index on as a file.
func (h *Handler) takeExport(r *request) error {
	take := takeForm{Export: r.field("from")}
	from, err := logIndex("from", take.Export)
	if err == nil {
		err = r.download("prova-export-from-"+strconv.FormatInt(from, 10)+".ndjson", "application/x-ndjson", func(w io.Writer) error {
			return h.Cases.Export(r.Context(), r.who, from, cosignWait, w)
		})
	}
	return h.taken(r, take, err)
}

// taken shows above the forms what was wrong with one of them.
func (h *Handler) taken(r *request, take takeForm, err error) error {
	if code := authority.CodeOf(err); err == nil || code != authority.CodeInvalid && code != authority.CodeNotFound {
		return err
	}
	page, failed := h.vaultPage(r)
	if failed != nil {
		return failed
	}
	page.Take, page.Problem = take, formProblem(err)
	return r.page(page.Problem.Status, "vault", "Vault", "live.js", page)
}

// field is what a form holds, without spaces around it.
func (r *request) field(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }

// scope is what a bundle is to be about; a range without an end goes to the end of the log.
func (t takeForm) scope() (receipt.Scope, error) {
	switch {
	case t.Receipt != "":
		return receipt.Scope{Receipt: t.Receipt}, nil
	case t.Rollout != "":
		return receipt.Scope{Rollout: t.Rollout}, nil
	case t.From == "":
		return receipt.Scope{}, &authority.Error{Code: authority.CodeInvalid, Detail: "name what the bundle is about: a rollout, a receipt, or the log index that a range begins with"}
	}
	from, err := logIndex("from", t.From)
	if err != nil {
		return receipt.Scope{}, err
	}
	out := receipt.Scope{From: &from}
	if t.To != "" {
		to, err := logIndex("to", t.To)
		if err != nil {
			return receipt.Scope{}, err
		}
		out.To = &to
	}
	return out, nil
}

func logIndex(name, text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		detail := name + " is a log index: a whole number from 0, such as those in the first column"
		return 0, &authority.Error{Code: authority.CodeInvalid, Detail: detail, Fields: []api.FieldError{{Pointer: "/" + name, Detail: detail}}}
	}
	return n, nil
}

func bundleName(s receipt.Scope) string {
	name := "prova-log"
	switch {
	case s.Receipt != "":
		name = "prova-" + s.Receipt
	case s.Rollout != "":
		name = "prova-" + s.Rollout
	case s.From != nil:
		name += "-" + strconv.FormatInt(*s.From, 10)
		if s.To != nil {
			name += "-" + strconv.FormatInt(*s.To, 10)
		}
	}
	return name + ".tar"
}
