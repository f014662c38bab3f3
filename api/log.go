package api

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
