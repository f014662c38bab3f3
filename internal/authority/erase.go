package authority

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// kindErasure is the kind of a receipt that says that payload fields were erased.
const kindErasure = "erasure"

// erasureBody is the body of an erasure receipt.
type erasureBody struct {
	common
	Erased erasedPayload `json:"erased"`
	Ground string        `json:"ground"`
}

// erasedPayload names the receipt, and the commitments whose values and salts are gone.
type erasedPayload struct {
	EventID     string            `json:"event_id"`
	LogIndex    int64             `json:"log_index"`
	Commitments map[string]string `json:"commitments"` // by field
}

// Erase deletes payload fields of a receipt, with their salts, and appends the
// receipt that says so, in one transaction. The receipt that they belong to
// stays as it is, and so does every decision: none rests on a payload. Erasing
// a field again changes nothing.
//
// When it returns, no file of an embedded database holds the values any more;
// if a crash or a long read comes in between, the server sees to it later.
func (a *Authority) Erase(ctx context.Context, p Principal, eventID string, r api.Erase) (api.Erasure, error) {
	if err := p.need(api.KeyManage); err != nil {
		return api.Erasure{}, err
	}
	ground := strings.TrimSpace(r.Ground)
	if ground == "" || len(ground) > maxReason || !utf8.ValidString(ground) || strings.ContainsRune(ground, 0) {
		return api.Erasure{}, invalid("/ground", "say why, in 1 to %d bytes of text: the ground stands in the signed receipt, so name nobody in it", maxReason)
	}
	var out api.Erasure
	err := a.Store.Update(ctx, p.Org, func(tx Tx) error {
		out = api.Erasure{EventID: eventID, Fields: []string{}, Ground: ground}
		if _, err := tx.LockHead(); err != nil {
			return err
		}
		e, err := tx.Entry(eventID)
		if err == nil && !p.sees(e.Environment) {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		return a.erase(tx, p, e, r.Fields, &out)
	})
	if err != nil {
		return api.Erasure{}, storeError("receipt", err)
	}
	a.forgetErased(ctx)
	return out, nil
}

func (a *Authority) erase(tx Tx, p Principal, e Entry, wanted []string, out *api.Erasure) error {
	there, err := commitmentsOf(e)
	if err != nil {
		return damaged(err)
	}
	if len(there) == 0 {
		return fail(CodeConflict, "the receipt %s has no payload: there is nothing to erase", e.EventID)
	}
	if len(wanted) == 0 {
		wanted = slices.Collect(maps.Keys(there))
	}
	wanted = slices.Compact(slices.Sorted(slices.Values(wanted)))
	for _, field := range wanted {
		if _, ok := there[field]; !ok {
			return invalid("/fields", "the receipt %s has no payload field %q; it has %s", e.EventID, field, strings.Join(slices.Sorted(maps.Keys(there)), ", "))
		}
	}
	erased, err := tx.ErasePayloads(e.Index, wanted)
	if err != nil {
		return err
	}
	gone := map[string]string{}
	for _, field := range wanted {
		if slices.Contains(erased, field) {
			out.Fields = append(out.Fields, field)
			gone[field] = there[field]
		} else {
			out.AlreadyErased = append(out.AlreadyErased, field)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	now := a.now()
	body := erasureBody{common: a.common(p, kindErasure, now), Erased: erasedPayload{EventID: e.EventID, LogIndex: e.Index, Commitments: gone}, Ground: out.Ground}
	if e.AppID != "" {
		body.Source = &api.EventSource{AppID: e.AppID, Environment: e.Environment}
	}
	entry, sealed, err := a.sealedEntry(body, now)
	if err != nil {
		return err
	}
	entry.AppID, entry.Environment = e.AppID, e.Environment
	head, err := tx.LockHead()
	if err != nil {
		return err
	}
	after, err := appendEntries(tx, head, []Entry{entry})
	out.Receipt = &api.ReceiptItem{LogIndex: after.Tree.Size() - 1, Receipt: sealed.Raw}
	return err
}

// commitmentsOf are the payload commitments of a receipt, by field.
func commitmentsOf(e Entry) (map[string]string, error) {
	var body struct {
		Commitments map[string]string `json:"payload_commitments"`
	}
	r, err := receipt.Parse(e.Raw)
	if err == nil {
		err = json.Unmarshal(r.Body, &body)
	}
	return body.Commitments, err
}

// forgetErased sees to it that the files of the database hold nothing that was
// erased, now or, while somebody reads, later.
func (a *Authority) forgetErased(ctx context.Context) {
	a.forget.Store(true)
	if err := a.Store.ForgetErased(context.WithoutCancel(ctx)); err != nil {
		a.Log.Warn("what was erased may stand in the write-ahead log of the database for a while; the server tries again", "error", err)
		return
	}
	a.forget.Store(false)
}

// samePayload reports whether a retry carries the payload of the first request,
// as far as that can still be known: a field that was erased is not compared.
func samePayload(tx Tx, first, again Entry) (bool, error) {
	stored := first.Payloads
	if stored == nil { // read from the log, not of this batch
		there, err := commitmentsOf(first)
		if err != nil {
			return false, damaged(err)
		}
		if len(there) != len(again.Payloads) {
			return false, nil
		}
		for _, pl := range again.Payloads {
			if _, ok := there[pl.Field]; !ok {
				return false, nil
			}
		}
		if len(there) == 0 {
			return true, nil
		}
		if stored, err = tx.Payloads(first.Index); err != nil {
			return false, err
		}
	} else if len(stored) != len(again.Payloads) {
		return false, nil
	}
	values := map[string][]byte{}
	for _, pl := range stored {
		values[pl.Field] = pl.Value
	}
	for _, pl := range again.Payloads {
		if value, ok := values[pl.Field]; ok && !bytes.Equal(value, pl.Value) {
			return false, nil
		}
	}
	return true, nil
}

// withoutPayload are the canonical bytes of an event without its payload: the
// digest of a request stays, and must not confirm a guess of what was erased.
func withoutPayload(canonical []byte) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(canonical, &members); err != nil {
		return nil, err
	}
	delete(members, "payload")
	text, err := json.Marshal(members)
	if err != nil {
		return nil, err
	}
	return receipt.Canonical(text)
}
