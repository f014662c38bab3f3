package api

import "time"

// InclusionProof shows that a receipt stands in an org's log. Hashes and roots
// are in base64.
type InclusionProof struct {
	EventID  string `json:"event_id"`
	LogIndex int64  `json:"log_index"`
	// Size is that of the tree that the proof is for, RootHash its root.
	Size     int64  `json:"size"`
	RootHash string `json:"root_hash"`
	// LeafHash is the SHA-256 of a zero byte, the event id, a dot and the integrity hash.
	LeafHash string `json:"leaf_hash"`
	// Hashes are the RFC 6962 audit path, from the leaf's sibling upwards.
	Hashes []string `json:"hashes"`
	// Proof is the same with the signed checkpoint of the size as the text of a
	// C2SP tlog-proof; empty where no checkpoint of the size was signed.
	Proof string `json:"proof,omitempty"`
}

// ConsistencyProof shows that a log of size To begins with the log of size From.
// Hashes and roots are in base64.
type ConsistencyProof struct {
	From         int64  `json:"from"`
	To           int64  `json:"to"`
	FromRootHash string `json:"from_root_hash"`
	ToRootHash   string `json:"to_root_hash"`
	// Hashes are the RFC 6962 consistency proof.
	Hashes []string `json:"hashes"`
}

// Damage is one thing in a stored log that is not as it was logged.
type Damage struct {
	LogIndex int64 `json:"log_index"`
	// EventID names the receipt; empty if the damage is not that of one.
	EventID string `json:"event_id,omitempty"`
	// Check is what failed: a check of the verifier, or leaf, columns, node, checkpoint or head.
	Check  string `json:"check"`
	Detail string `json:"detail"`
}

// ScrubResult sums up a scrub.
type ScrubResult struct {
	Size     int64 `json:"size"`     // of the log
	Receipts int64 `json:"receipts"` // that were verified
	Damages  int64 `json:"damages"`
}

// ScrubProgress says how far a scrub is.
type ScrubProgress struct {
	Done int64 `json:"done"`
	Size int64 `json:"size"`
}

// ScrubLine is a line of the answer to a scrub; one member is set. The last
// line holds Result; an answer without it was cut off.
type ScrubLine struct {
	Progress *ScrubProgress `json:"progress,omitempty"`
	Damage   *Damage        `json:"damage,omitempty"`
	Result   *ScrubResult   `json:"result,omitempty"`
}

// Witness is a witness that the server asks to cosign the checkpoints of an org's log.
type Witness struct {
	Name string `json:"name"`
	// VKey is the verifier key of its cosignatures, for an auditor's policy.
	VKey string `json:"vkey"`
	URL  string `json:"url"`
	// CosignedSize is that of the largest checkpoint that it cosigned, 0 before
	// the first; CosignedAt is the time that its cosignature states.
	CosignedSize int64      `json:"cosigned_size"`
	CosignedAt   *time.Time `json:"cosigned_at,omitempty"`
	// AskedAt is when it was asked last, StatusCode what it answered, absent if
	// it did not; Error says why that was no cosignature.
	AskedAt    *time.Time `json:"asked_at,omitempty"`
	StatusCode int        `json:"status_code,omitempty"`
	Error      string     `json:"error,omitempty"`
	// NextAt is the time from which it is asked again, absent while there is nothing to ask.
	NextAt *time.Time `json:"next_at,omitempty"`
}
