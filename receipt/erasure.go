package receipt

import (
	"strings"

	"github.com/go-json-experiment/json"
)

// kindErasure is the kind of a receipt that says that payload fields of an
// earlier one were erased, with their salts.
const kindErasure = "erasure"

// erasure is what the body of such a receipt adds.
type erasure struct {
	Erased struct {
		EventID     string            `json:"event_id"`
		LogIndex    int64             `json:"log_index"`
		Commitments map[string]string `json:"commitments"` // by field, as they stand in the receipt
	} `json:"erased"`
}

// erasure counts the fields that an erasure receipt names, and wants it to name
// commitments of an earlier receipt. The earlier receipt was passed already; a
// bundle looks at the commitments themselves.
func (v *logVerifier) erasure(r Receipt, place int64) {
	if r.Kind != kindErasure {
		return
	}
	var body erasure
	err := json.Unmarshal(r.Body, &body)
	e := body.Erased
	good := err == nil && validEventID(e.EventID) && e.LogIndex >= 0 && e.LogIndex < place && len(e.Commitments) > 0
	for _, c := range e.Commitments {
		good = good && isCommitment(c)
	}
	if !good {
		v.add(Check{Check: CheckRedactions, Status: Failed, Detail: "an erasure that does not name commitments of an earlier receipt", LogIndex: &place, EventID: r.EventID})
		return
	}
	v.erased += int64(len(e.Commitments))
}

// isCommitment reports whether text has the form of a commitment.
func isCommitment(text string) bool {
	digest, ok := strings.CutPrefix(text, commitmentPrefix)
	return ok && len(digest) == 64 && all(digest, isHexDigit)
}
