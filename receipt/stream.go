package receipt

import (
	"fmt"
	"strings"
)

// streams are the streams met so far by id, each with its last receipt.
type streams map[string]streamEnd

type streamEnd struct {
	seq   int64
	hash  string // integrity hash of the receipt
	whole bool   // it began with its first receipt
	ended bool   // a decision ended the rollout
	final bool   // and nothing may follow: a rollout that takes no action goes on being looked at
}

// next adds a receipt, in log order. With fromStart, every stream must begin
// with its first receipt. The error is a *VerifyError.
func (s streams) next(r Receipt, fromStart bool) error {
	id := r.Stream.ID
	if id == "" {
		if strings.HasPrefix(r.Kind, "rollout_") {
			return &VerifyError{Check: CheckStream, Detail: "a rollout's receipt that stands in no stream"}
		}
		return nil
	}
	before, known := s[id]
	if r.Kind == kindRolloutCreated != (r.Stream.Seq == 0) {
		return &VerifyError{
			Check: CheckStream, Expected: "a stream that begins with " + kindRolloutCreated + ", and only there",
			Found: fmt.Sprintf("%s as number %d", r.Kind, r.Stream.Seq), Detail: "rollout " + quote(id),
		}
	}
	s[id] = streamEnd{
		seq: r.Stream.Seq, hash: r.IntegrityHash, whole: before.whole || r.Stream.Seq == 0, ended: before.ended || r.Terminal, final: before.final || r.Terminal && !r.Advisory,
	}
	switch {
	case !known && fromStart && r.Stream.Seq != 0:
		return &VerifyError{Check: CheckStream, Expected: "number 0", Found: fmt.Sprintf("number %d", r.Stream.Seq), Detail: "the first receipts of rollout " + quote(id) + " are missing"}
	case !known:
		return nil
	case r.Stream.Seq != before.seq+1:
		return &VerifyError{Check: CheckStream, Expected: fmt.Sprintf("number %d", before.seq+1), Found: fmt.Sprintf("number %d", r.Stream.Seq), Detail: "a receipt of rollout " + quote(id) + " is missing, moved or repeated here"}
	case r.Stream.Prev != before.hash:
		return &VerifyError{Check: CheckStream, Expected: before.hash, Found: r.Stream.Prev, Detail: "the receipt before in the stream of rollout " + quote(id) + " is another one"}
	case before.final:
		return &VerifyError{Check: CheckStream, Detail: "rollout " + quote(id) + " goes on after its end"}
	}
	return nil
}

// kindRolloutCreated is the kind of the first receipt of a stream.
const kindRolloutCreated = "rollout_created"

// String sums up streams that are in order.
func (s streams) String() string {
	ended := 0
	for _, e := range s {
		if e.ended {
			ended++
		}
	}
	return fmt.Sprintf("%d rollouts, numbered without a gap, each receipt naming the one before; %d have ended", len(s), ended)
}
