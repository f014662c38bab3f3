package replay

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/receipt"
)

// signed is what the receipt of a decision says beside what is recomputed.
type signed struct {
	Subject  subject            `json:"subject"`
	Engine   string             `json:"engine"`
	Action   string             `json:"action"`
	Decision api.Action         `json:"decision"`
	Mode     api.Mode           `json:"mode"`
	Reason   api.Reason         `json:"reason"`
	Evidence *evidence.Evidence `json:"evidence"`
}

// decide holds a decision's receipt against what was recomputed, and lets it happen.
func (p *player) decide(item Item) error {
	var s signed
	if err := json.Unmarshal(item.Receipt.Body, &s); err != nil {
		return fmt.Errorf("receipt %s: %w", item.Receipt.EventID, err)
	}
	r := p.rollouts[s.Subject.RolloutID]
	if r != nil && s.Engine != api.Engine { // what another engine decided, this one cannot recompute
		r.broken = true
	}
	if r == nil || r.broken {
		p.report.Skipped++
		return p.happens(item, s, r)
	}
	if s.Action != "" && s.Evidence == nil {
		if err := p.operate(r, s); err != nil {
			p.find(Finding{RolloutID: r.core.ID, Index: item.Index, EventID: item.Receipt.EventID, What: "action", Found: s.Action, Detail: err.Error()})
			r.broken = true
			return p.happens(item, s, r)
		}
	}
	if r.next == nil {
		p.find(Finding{RolloutID: r.core.ID, Index: item.Index, EventID: item.Receipt.EventID, What: "log_size", Detail: "the tick had seen a log that had not come so far"})
		r.broken = true
		return p.happens(item, s, r)
	}
	r.next.decided.PolicyDigest, r.next.decided.SpentBefore = r.PolicyDigest, r.SpentBefore
	differs, err := p.compare(item, r, s)
	if err != nil {
		return err
	}
	if r.broken = differs; !differs {
		p.report.Decisions++
	}
	r.core, r.next = r.next.after, nil
	r.done++
	if f := p.memory.fills(r.core.ID); f != nil { // what was looked at is not needed any more
		f.Closed = slices.DeleteFunc(f.Closed, func(b rollout.Block) bool { return b.Number <= r.core.Ledger.Block })
	}
	return p.happens(item, s, r)
}

// operate carries out what an operator did.
func (p *player) operate(r *played, s signed) error {
	why, _ := s.Reason.Params["operator_reason"].(string)
	next, d, err := r.core.Operate(s.Action, why)
	if err != nil {
		return err
	}
	decided, err := evidence.Decide(r.core, next, d, evidence.Seen{})
	r.next = &computed{after: next, decided: decided}
	return err
}

// happens does to epochs and blocks what a decision does.
func (p *player) happens(item Item, s signed, r *played) error {
	if s.Decision == api.Hold {
		return nil
	}
	recorded, err := recordedAt(item)
	if err != nil {
		return err
	}
	index := item.Index + 1
	weight := 0
	if r != nil && r.core.ID != "" { // one that continues what is not there has no state
		r.core.StepFrom, r.stepAt = index, recorded
		weight = r.core.Weight()
		switch {
		case r.core.State == api.StateAborted:
			p.leave(r)
		case r.core.State.Finished():
			p.memory.forget(r.core.ID)
		}
	}
	fold := evidence.NewFold(p.memory)
	t, err := fold.Target(p.app, p.environment, index, recorded)
	if err != nil {
		return err
	}
	if err := fold.EndStep(t, s.Subject.RolloutID, s.Mode, weight, index, recorded); err != nil {
		return err
	}
	p.memory.apply(fold.Changes())
	return nil
}

// compare holds each member that was recomputed against the bytes that were
// signed. It returns whether any differs.
func (p *player) compare(item Item, r *played, s signed) (bool, error) {
	text, err := json.Marshal(r.next.decided)
	if err != nil {
		return false, err
	}
	canonical, err := receipt.Canonical(text)
	if err != nil {
		return false, err
	}
	var expected, found map[string]json.RawMessage
	if err := json.Unmarshal(canonical, &expected); err != nil {
		return false, err
	}
	if err := json.Unmarshal(item.Receipt.Body, &found); err != nil {
		return false, err
	}
	for _, header := range []string{
		"schema", "event_id", "org", "kind", "occurred_at", "recorded_at", "actor", "key_id", "idempotency_key", "source", "subject", "stream",
	} {
		delete(found, header)
	}
	differs := false
	names := slices.Sorted(maps.Keys(found))
	for name := range expected {
		if _, ok := found[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if bytes.Equal(expected[name], found[name]) {
			continue
		}
		differs = true
		f := Finding{
			RolloutID: r.core.ID, Index: item.Index, EventID: item.Receipt.EventID, What: name,
			Expected: short(expected[name]), Found: short(found[name]), Detail: "recomputed from the runs it comes out otherwise",
		}
		if name == "evidence" && s.Evidence != nil && r.next.decided.Evidence != nil {
			f.What, f.Expected, f.Found, f.Detail = p.explain(r, *r.next.decided.Evidence, *s.Evidence)
		}
		p.find(f)
	}
	return differs, nil
}

func short(text json.RawMessage) string {
	if len(text) > 300 {
		return string(text[:300]) + "…"
	}
	return string(text)
}

// explain says which evidence differs: the first block, else the first cohort, else the ledger.
func (p *player) explain(r *played, here, signed evidence.Evidence) (what, expected, found, detail string) {
	for i, b := range signed.Blocks {
		if i >= len(here.Blocks) || here.Blocks[i] != b {
			detail = fmt.Sprintf("the runs of block %d, log indexes %d to %d, are not those that were signed", b.Number, b.FirstIndex, b.LastIndex)
			if index, ok := p.absent(r, b); ok {
				detail = fmt.Sprintf("the run at log index %d, of block %d, is missing", index, b.Number)
			}
			if i < len(here.Blocks) {
				expected = fmt.Sprintf("%+v", here.Blocks[i])
			}
			return "block", expected, fmt.Sprintf("%+v", b), detail
		}
	}
	for i, s := range signed.Strata {
		if i >= len(here.Strata) || here.Strata[i] != s {
			if i < len(here.Strata) {
				expected = fmt.Sprintf("%+v", here.Strata[i])
			}
			return "stratum", expected, fmt.Sprintf("%+v", s), fmt.Sprintf("the runs of span %d add up to something else than what was signed", s.Span)
		}
	}
	return "ledger", here.LedgerDigest + " " + here.StateDigest, signed.LedgerDigest + " " + signed.StateDigest, "the looks or the state of the tests come out otherwise"
}

// The most runs of a block, and the most log indexes, among which a missing one is searched for.
const (
	mostSearched = 512
	mostIndexes  = 1 << 14
)

// absent finds the one run whose absence explains the digest of a block: the
// chain over the runs that are here and that one is the chain that was signed.
func (p *player) absent(r *played, b evidence.Block) (int64, bool) {
	here := p.runsOf(r, b)
	if len(here) > mostSearched || b.LastIndex-b.FirstIndex < 0 || b.LastIndex-b.FirstIndex > mostIndexes { // it takes as long as the one times the other
		return 0, false
	}
	for index := b.FirstIndex; index <= b.LastIndex; index++ {
		if slices.ContainsFunc(here, func(l link) bool { return l.index == index }) {
			continue
		}
		for _, side := range []rollout.Side{rollout.Candidate, rollout.Baseline} {
			with := append(slices.Clone(here), link{index, side})
			slices.SortFunc(with, func(a, b link) int { return int(a.index - b.index) })
			if chain(with) == b.RunsDigest {
				return index, true
			}
		}
	}
	return 0, false
}

// link is a run in the chain of a block.
type link struct {
	index int64
	side  rollout.Side
}

// runsOf are the runs of both releases in the index range of a block.
func (p *player) runsOf(r *played, b evidence.Block) []link {
	var out []link
	for _, e := range p.runs {
		if e.index < b.FirstIndex || e.index > b.LastIndex || e.run < r.since {
			continue
		}
		switch e.release {
		case r.Subject.Candidate:
			out = append(out, link{e.index, rollout.Candidate})
		case r.Subject.Baseline:
			out = append(out, link{e.index, rollout.Baseline})
		}
	}
	return out
}

func chain(links []link) string {
	var digest []byte
	for _, l := range links {
		sum := sha256.Sum256(append(binary.BigEndian.AppendUint64(slices.Clone(digest), uint64(l.index)), byte(l.side)))
		digest = sum[:]
	}
	return hex.EncodeToString(digest)
}

func recordedAt(item Item) (time.Time, error) {
	return time.Parse(time.RFC3339Nano, item.Receipt.RecordedAt)
}
