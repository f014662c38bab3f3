package receipt

import (
	"fmt"
)

// settleScope says whether the receipts are what the bundle is about, and what
// it is complete in. Both are found out here; the manifest's claim is compared.
func (v *bundleVerifier) settleScope() {
	switch s := v.m.Scope; {
	case s.Receipt != "":
		if !v.found {
			v.add(Check{Check: CheckScope, Status: Failed, Expected: s.Receipt, Found: "no such receipt"})
		}
		v.settleIfRead(CheckScope, "receipt %s", s.Receipt)
		v.settleIfRead(CheckCompleteness, "one receipt and the key events of the log: nothing is shown about other receipts")
	case s.Rollout != "":
		v.settleRollout(s.Rollout)
	default:
		v.settleRange(*s.From, *s.To)
	}
}

func (v *bundleVerifier) settleRange(from, to int64) {
	if v.within != to-from {
		v.add(Check{
			Check: CheckCompleteness, Status: Failed, Expected: fmt.Sprintf("%d receipts, indexes %d to %d", to-from, from, to-1),
			Found: fmt.Sprintf("%d receipts", v.within), Detail: "the range is not whole",
		})
	}
	v.settleIfRead(CheckScope, "the log indexes %d to %d", from, to-1)
	rest := fmt.Sprintf("%d more were logged by then", v.m.Size-to)
	if to == v.m.Size {
		rest = "which was the end of the log"
	}
	if v.status[CheckLogIndex] == OK {
		v.settleIfRead(CheckCompleteness, "the whole index range: every receipt of the log from index %d to %d; %s", from, to-1, rest)
	}
}

func (v *bundleVerifier) settleRollout(id string) {
	end, ok := v.streams[id]
	if !ok {
		v.add(Check{Check: CheckScope, Status: Failed, Expected: "receipts of rollout " + quote(id), Found: "none"})
		return
	}
	v.settleIfRead(CheckScope, "rollout %s, and the runs and rollouts of its agent %s in %s", id, quote(v.agent.AppID), quote(v.agent.Environment))
	claim := v.m.Completeness
	if end.seq != *claim.LastSeq || end.ended != *claim.Ended {
		v.add(Check{
			Check: CheckCompleteness, Status: Failed, Expected: fmt.Sprintf("receipts up to number %d, ended %t", *claim.LastSeq, *claim.Ended),
			Found: fmt.Sprintf("up to number %d, ended %t", end.seq, end.ended), Detail: "the rollout's receipts are not all that the manifest claims",
		})
	}
	if !end.whole {
		v.add(Check{Check: CheckCompleteness, Status: Failed, Expected: "number 0", Detail: "the first receipts of the rollout are missing"})
	}
	if v.status[CheckStream] != OK {
		return
	}
	last := "the last one ended it"
	if !end.ended {
		last = "it was open then; that no later one was left out, only the whole range shows"
	}
	v.settleIfRead(CheckCompleteness, "all %d receipts of rollout %s among the first %d of the log: %s", end.seq+1, id, v.m.Size, last)
}
