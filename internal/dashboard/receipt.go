package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// receiptPage is one receipt: what it says, and its bytes. Whether it verifies
// is found out by the reader's browser.
type receiptPage struct {
	ID, Kind, KeyID, Actor string
	RecordedAt             time.Time
	LogIndex               int64
	// Sentence is the reason of a decision; empty for other kinds.
	Sentence, Decision, State string
	// Rollout is the one it belongs to; empty for none.
	Rollout string
	Body    []value
	Raw     string
	Checks  []check
}

func (h *Handler) receipt(r *request) error {
	item, err := h.Cases.Receipt(r.Context(), r.who, r.PathValue("id"))
	if err != nil {
		return err
	}
	page, err := receiptOf(item.Receipt)
	if err != nil {
		return err
	}
	page.LogIndex = item.LogIndex
	return r.page(http.StatusOK, "receipt", "Receipt "+page.ID, "inspect.js", page)
}

// receiptProof is the proof that the receipt stands in the log, as the text of a
// tlog-proof. It is asked for when somebody verifies, since it signs the log's head.
func (h *Handler) receiptProof(r *request) error {
	proof, err := h.Cases.ProveInclusion(r.Context(), r.who, authority.InclusionQuery{EventID: r.PathValue("id")})
	if err != nil {
		return err
	}
	r.out.Header().Set("Content-Type", "text/plain; charset=utf-8")
	r.out.Header().Set("Cache-Control", "no-store")
	r.out.Header().Set("Content-Length", strconv.Itoa(len(proof.Proof)))
	_, _ = r.out.Write([]byte(proof.Proof)) //nolint:gosec // plain text with nosniff
	return nil
}

// receiptOf reads an envelope for the page. What cannot be read is shown raw.
func receiptOf(raw []byte) (receiptPage, error) {
	page := receiptPage{Raw: string(raw), Checks: verifyChecks()}
	parsed, err := receipt.Parse(raw)
	if err != nil {
		return page, fmt.Errorf("stored receipt: %w", err)
	}
	var body struct {
		EventID    string    `json:"event_id"`
		Kind       string    `json:"kind"`
		KeyID      string    `json:"key_id"`
		Actor      string    `json:"actor"`
		RecordedAt time.Time `json:"recorded_at"`
		Decision   string    `json:"decision"`
		State      string    `json:"state"`
		Reason     struct {
			Text string `json:"text"`
		} `json:"reason"`
		Subject struct {
			RolloutID string `json:"rollout_id"`
		} `json:"subject"`
	}
	// A receipt of a stranger's event may hold anything under these names.
	_ = json.Unmarshal(parsed.Body, &body)
	page.ID, page.Kind, page.KeyID, page.Actor, page.RecordedAt = parsed.EventID, body.Kind, body.KeyID, body.Actor, body.RecordedAt
	page.Sentence, page.Decision, page.State, page.Rollout = body.Reason.Text, body.Decision, body.State, body.Subject.RolloutID
	dec := json.NewDecoder(bytes.NewReader(parsed.Body))
	dec.UseNumber()
	root, err := valueOf(dec, "")
	page.Body = root.Items
	return page, err
}

// value is a node of a JSON text, in the order of the text.
type value struct {
	Name string
	// Text is the spelling of a value that holds no others.
	Text  string
	Items []value
	// Nested says that Items count, none as well.
	Nested bool
	// Open: short ones are shown at once.
	Open bool
}

// fewItems is how many items are shown without asking.
const fewItems = 12

func valueOf(dec *json.Decoder, name string) (value, error) {
	token, err := dec.Token()
	if err != nil {
		return value{}, err
	}
	delim, nested := token.(json.Delim)
	if !nested {
		var spelt bytes.Buffer
		enc := json.NewEncoder(&spelt)
		enc.SetEscapeHTML(false)
		err := enc.Encode(token)
		return value{Name: name, Text: strings.TrimSpace(spelt.String())}, err
	}
	v := value{Name: name, Nested: true}
	for dec.More() {
		key := strconv.Itoa(len(v.Items))
		if delim == '{' {
			token, err := dec.Token()
			if err != nil {
				return v, err
			}
			key, _ = token.(string)
		}
		item, err := valueOf(dec, key)
		if err != nil {
			return v, err
		}
		v.Items = append(v.Items, item)
	}
	v.Open = len(v.Items) <= fewItems
	_, err = dec.Token()
	return v, err
}
