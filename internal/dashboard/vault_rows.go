package dashboard

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// receiptRow is a receipt in a line.
type receiptRow struct {
	Index                              int64
	ID, Kind                           string
	At                                 moment
	App, Environment, Release, Rollout string
	// About is what it says, in a few words.
	About string
}

// rowBody is what a row is made of; a receipt holds more.
type rowBody struct {
	EventID    string    `json:"event_id"`
	Kind       string    `json:"kind"`
	RecordedAt time.Time `json:"recorded_at"`
	Actor      string    `json:"actor"`
	Source     struct {
		AppID       string `json:"app_id"`
		Environment string `json:"environment"`
		Release     string `json:"release"`
	} `json:"source"`
	Subject struct {
		RolloutID        string `json:"rollout_id"`
		CandidateRelease string `json:"candidate_release"`
	} `json:"subject"`
	RunID   string                `json:"run_id"`
	ProbeID string                `json:"probe_id"`
	Metrics map[string]api.Metric `json:"metrics"`
	Reason  json.RawMessage       `json:"reason"`
	Action  string                `json:"action"`
	Event   string                `json:"event"`
	// Manifest is of an export.
	Manifest *receipt.Manifest `json:"manifest"`
}

func (h *Handler) receiptRow(item api.ReceiptItem) receiptRow {
	row := receiptRow{Index: item.LogIndex, Kind: "unreadable"}
	var body rowBody
	sealed, err := receipt.Parse(item.Receipt)
	if err == nil {
		err = json.Unmarshal(sealed.Body, &body)
	}
	if err != nil { // a damaged log is looked at here too
		return row
	}
	row.ID, row.Kind, row.At = body.EventID, body.Kind, h.moment(body.RecordedAt)
	row.App, row.Environment, row.Release, row.Rollout = body.Source.AppID, body.Source.Environment, body.Source.Release, body.Subject.RolloutID
	if row.Release == "" {
		row.Release = body.Subject.CandidateRelease
	}
	row.About = body.about()
	return row
}

// about is what a receipt says: the reason of a decision, the run of a run.
func (b rowBody) about() string {
	var parts []string
	for _, part := range []string{b.Action, b.Event, b.reason(), b.scope()} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if value, ok := b.Metrics["success"]; ok && value.Boolean {
		parts = append(parts, map[bool]string{true: "success", false: "no success"}[value.Value != 0])
	} else if len(b.Metrics) > 0 {
		parts = append(parts, plural(int64(len(b.Metrics)), "metric"))
	}
	if b.ProbeID != "" {
		parts = append(parts, "probe "+b.ProbeID)
	}
	if b.RunID != "" {
		parts = append(parts, "run "+b.RunID)
	}
	return strings.Join(parts, ", ")
}

// reason is a sentence: decisions have it with its code, other receipts as a text.
func (b rowBody) reason() string {
	var decided api.Reason
	if json.Unmarshal(b.Reason, &decided) == nil && decided.Text != "" {
		return decided.Text
	}
	var text string
	_ = json.Unmarshal(b.Reason, &text) // of another form there is nothing to say
	return text
}

func (b rowBody) scope() string {
	if b.Manifest == nil {
		return ""
	}
	return "handed out: " + b.Manifest.Scope.String()
}

// headRow is a signed head of the log.
type headRow struct {
	api.Checkpoint
	// Last is when the last receipt that it holds was recorded; nil where the key may not see that.
	Last *moment
	// Cosigned are the witnesses that cosigned it; Others counts cosignatures of witnesses that are not asked any more.
	Cosigned []cosigned
	Others   int
}

type cosigned struct {
	Name string
	At   moment
}

// witnessRow is a witness with what became of asking it.
type witnessRow struct {
	api.Witness
	// Status is ok, warn or hold, Word says it.
	Status, Word string
	Cosigned     *moment
	Asked        *moment
	// Behind is how many receipts of the newest head it has not cosigned.
	Behind int64
}

// fillHeads reads the signed heads of the log, and the witnesses.
func (h *Handler) fillHeads(r *request, page *vaultPage) error {
	witnesses, err := h.Cases.Witnesses(r.Context(), r.who)
	if err != nil {
		return err
	}
	heads, err := h.Cases.Checkpoints(r.Context(), r.who, r.Query("heads"), pageOfHeads)
	if err != nil {
		return err
	}
	if heads.NextCursor != "" {
		page.Earlier = page.Filter.address("heads", heads.NextCursor) + "#heads"
	}
	for _, c := range heads.Items {
		row := headRow{Checkpoint: c}
		row.Cosigned, row.Others = h.cosignedBy(c.Note, witnesses)
		last, err := h.Cases.Receipts(r.Context(), r.who, authority.EntryFilter{From: c.Size - 1, Before: c.Size}, "", 1)
		if err != nil {
			return err
		}
		for _, item := range last.Items {
			at := h.receiptRow(item).At
			row.Last = &at
		}
		page.Heads = append(page.Heads, row)
	}
	newest, err := h.Cases.Checkpoints(r.Context(), r.who, "", 1)
	if err != nil {
		return err
	}
	for _, c := range newest.Items {
		page.Signed = c.Size
	}
	for _, w := range witnesses {
		page.Witnesses = append(page.Witnesses, h.witnessRow(w, page.Signed))
	}
	return nil
}

// cosignedBy verifies the cosignatures of a checkpoint by the witnesses that are asked.
func (h *Handler) cosignedBy(checkpoint string, witnesses []api.Witness) (by []cosigned, others int) {
	for _, w := range witnesses {
		key, err := receipt.ParseWitness(w.VKey)
		if err != nil {
			continue
		}
		if at, _, err := key.Cosigned(checkpoint); err == nil {
			by = append(by, cosigned{w.Name, h.moment(at)})
		}
	}
	_, signatures, _ := strings.Cut(checkpoint, "\n\n")
	own := 1
	return by, max(strings.Count(signatures, "\n")-own-len(by), 0)
}

func (h *Handler) momentOf(t *time.Time) *moment {
	if t == nil {
		return nil
	}
	at := h.moment(*t)
	return &at
}

func (h *Handler) witnessRow(w api.Witness, newest int64) witnessRow {
	row := witnessRow{Witness: w, Cosigned: h.momentOf(w.CosignedAt), Asked: h.momentOf(w.AskedAt), Behind: max(newest-w.CosignedSize, 0)}
	switch {
	case w.Error != "":
		row.Status, row.Word = api.CheckWarn, "does not cosign"
	case newest > 0 && w.CosignedSize >= newest:
		row.Status, row.Word = api.CheckOK, "up to date"
	case w.AskedAt == nil:
		row.Status, row.Word = api.CheckHold, "not asked yet"
	default:
		row.Status, row.Word = api.CheckHold, "to be asked again"
	}
	return row
}
