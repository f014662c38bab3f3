package authority

import (
	"encoding/json"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// common are the members that every body begins with.
type common struct {
	Schema         string           `json:"schema"`
	EventID        string           `json:"event_id"`
	Org            string           `json:"org"`
	Kind           string           `json:"kind"`
	OccurredAt     string           `json:"occurred_at"`
	RecordedAt     string           `json:"recorded_at"`
	Actor          string           `json:"actor"`
	KeyID          string           `json:"key_id"`
	IdempotencyKey string           `json:"idempotency_key,omitempty"`
	Source         *api.EventSource `json:"source,omitempty"`
}

// keyed is a body that names the key that it is to be signed with.
type keyed interface{ signingKey() string }

func (c common) signingKey() string { return c.KeyID }

// stamp is how times stand in receipts.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func (a *Authority) common(p Principal, kind string, now time.Time) common {
	return common{
		Schema: receipt.Schema, EventID: a.newID("evt_", now), Org: p.Org, Kind: kind,
		OccurredAt: stamp(now), RecordedAt: stamp(now), Actor: p.Actor(), KeyID: a.signer().KeyID(),
	}
}

// stream chains the receipts of a rollout, so that leaving one out shows.
type stream struct {
	ID  string `json:"id"`
	Seq int64  `json:"seq"`
	// Prev is the integrity hash of the receipt before; empty in the first.
	Prev string `json:"prev"`
}

// subject names what a rollout's receipt is about.
type subject struct {
	RolloutID        string `json:"rollout_id"`
	BaselineRelease  string `json:"baseline_release"`
	CandidateRelease string `json:"candidate_release"`
}

// sealedEntry signs a body of the server's own and makes its log entry; the index is the caller's to set.
func (a *Authority) sealedEntry(body keyed, now time.Time) (Entry, receipt.Sealed, error) {
	signer, ok := a.signing.Load().find(body.signingKey())
	if !ok {
		return Entry{}, receipt.Sealed{}, fail(CodeInternal, "the receipt names a key that is not at hand")
	}
	data, err := json.Marshal(body)
	if err != nil {
		return Entry{}, receipt.Sealed{}, &Error{Code: CodeInternal, Detail: "the receipt could not be written", Cause: err}
	}
	sealed, err := signer.Seal(data)
	if err != nil {
		return Entry{}, receipt.Sealed{}, &Error{Code: CodeInternal, Detail: "the receipt could not be signed", Cause: err}
	}
	return Entry{EventID: sealed.EventID, Kind: sealed.Kind, KeyID: signer.KeyID(), Raw: sealed.Raw, Leaf: sealed.LeafHash, RecordedAt: now}, sealed, nil
}

// appendEntries gives entries the next indexes of the locked head and writes them.
func appendEntries(tx Tx, head Head, entries []Entry) (Head, error) {
	leaves := make([]tlog.Hash, len(entries))
	for i := range entries {
		entries[i].Index = head.Tree.Size() + int64(i)
		leaves[i] = entries[i].Leaf
	}
	if err := checkSigners(tx, entries); err != nil {
		return head, err
	}
	head.Tree = head.Tree.Append(leaves...)
	return head, tx.Append(entries, head)
}
