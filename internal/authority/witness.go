package authority

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// Witness is a witness that the server asks to cosign checkpoints.
type Witness struct {
	receipt.Witness
	// URL is its submission prefix, to which /add-checkpoint is appended.
	URL string
}

// witnessGap is the least time between two cosignatures of a witness for an
// org: checkpoints may be signed more often than witnesses like to be asked.
const witnessGap = time.Second

// witnessWait is how long a witness is left alone after so many failures in a
// row. Up to a quarter is added at random, so that servers do not ask in step.
func (a *Authority) witnessWait(failures int) time.Duration {
	waits := []time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute,
	}
	wait := waits[min(max(failures, 1), len(waits))-1]
	return wait + time.Duration(float64(wait)*0.25*a.fraction())
}

// absences are the witnesses that do not answer at all: that is nobody's log's
// fault, so none of them is asked again before its time.
type absences struct {
	mu sync.Mutex
	of map[string]absence // by verifier key
}

type absence struct {
	failures  int
	at, until time.Time
	reason    string
}

func (s *absences) get(vkey string) absence {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[vkey]
}

func (s *absences) set(vkey string, to absence) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]absence{}
	}
	s.of[vkey] = to
}

// SignHeads signs the log of each org that grew since its newest checkpoint, so
// that one that nobody asks for is witnessed too. A server with witnesses calls
// it now and then.
func (a *Authority) SignHeads(ctx context.Context) error {
	orgs, err := a.Store.Orgs(ctx)
	if err != nil {
		return storeError("org", err)
	}
	var failed error
	for _, o := range orgs {
		if a.anchors.refusal(o.Name) != nil {
			continue
		}
		grown := false
		err := a.Store.View(ctx, o.Name, func(s Snapshot) error {
			head, err := s.Head()
			if err != nil {
				return err
			}
			c, err := s.Checkpoint()
			if errors.Is(err, ErrNotFound) {
				c, err = api.Checkpoint{}, nil
			}
			grown = head.Tree.Size() > c.Size
			return err
		})
		if err == nil && grown {
			_, err = a.checkpoint(ctx, o.Name)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("org %s: %w", o.Name, storeError("checkpoint", err)))
		}
	}
	return failed
}

// askAtOnce bounds the orgs of one pass.
const askAtOnce = 256

// AskWitness makes one pass: it asks a witness to cosign the newest checkpoint
// of each org that it has not cosigned and may be asked about by now. It
// returns how many answers were kept. Passes for different witnesses may run at
// once; one that does not answer ends its own pass.
func (a *Authority) AskWitness(ctx context.Context, w Witness) (int, error) {
	now := a.now()
	if a.absent.get(w.VKey()).until.After(now) {
		return 0, nil
	}
	orgs, err := a.Store.NotCosigned(ctx, w.VKey(), now, askAtOnce)
	if err != nil {
		return 0, storeError("checkpoint", err)
	}
	kept := 0
	var failed error
	for _, org := range orgs {
		if a.anchors.refusal(org) != nil { // what a database that went back says of its log is not passed on
			continue
		}
		absent, err := a.askFor(ctx, org, w)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("org %s, witness %s: %w", org, w.Name(), err))
			continue
		}
		if kept++; absent {
			break
		}
	}
	return kept, failed
}

// said is what came of asking a witness.
type said struct {
	status      int
	cosignature *Cosignature
	// problem is why there is none; grave if the witness saw another history of the log.
	problem string
	grave   bool
	// absent: the witness did not answer, or not as one that is at work.
	absent bool
	// seen is the size of the log that the witness has seen, as far as it told.
	seen int64
}

// askFor asks a witness about an org and keeps what it said.
//
// A crash after the answer and before it is kept costs nothing: the witness
// then names a larger size than this server knows, and is asked again from there.
func (a *Authority) askFor(ctx context.Context, org string, w Witness) (absent bool, err error) {
	var c api.Checkpoint
	var before WitnessState
	err = a.Store.View(ctx, org, func(s Snapshot) (err error) {
		if c, err = s.Checkpoint(); err != nil {
			return err
		}
		before, err = stateOf(s, w, c.Origin)
		return err
	})
	if err != nil {
		return false, storeError("checkpoint", err)
	}
	result, err := a.ask(ctx, org, w, c, before.Seen)
	if err != nil || ctx.Err() != nil {
		return false, err
	}
	next := a.settleAbsence(w, result)
	a.logSaid(org, w, c, before, result)
	return result.absent, a.keepSaid(context.WithoutCancel(ctx), org, w, c.Origin, result, next)
}

// stateOf reads what a witness last said of the log of a name.
func stateOf(s Snapshot, w Witness, origin string) (WitnessState, error) {
	state, err := s.WitnessState(w.VKey())
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	if state.Origin != origin { // the log was given another name, under which it has seen nothing
		state.Seen, state.CosignedSize, state.CosignedAt = 0, 0, nil
	}
	return state, err
}

// ask asks for the cosignature of a checkpoint, from the size that the witness
// is believed to have seen and, if it names another one, once more from there.
// An error is an outage of the database.
func (a *Authority) ask(ctx context.Context, org string, w Witness, c api.Checkpoint, seen int64) (said, error) {
	old := seen
	if old > c.Size { // it will name what it has seen
		old = 0
	}
	answer, err := a.addCheckpoint(ctx, org, w, c, old)
	if err == nil && answer.StatusCode == http.StatusConflict && answer.Size >= 0 && answer.Size != old && answer.Size <= c.Size {
		if answer.Size < seen {
			a.Log.Warn("a witness has forgotten what it saw: it was restored from a backup or lost its data", "org", org, "witness", w.Name(), "saw", seen, "sees", answer.Size)
		}
		old = answer.Size
		answer, err = a.addCheckpoint(ctx, org, w, c, old)
	}
	if CodeOf(err) == CodeUnavailable && err != nil {
		return said{}, err
	}
	if err != nil {
		a.Log.Error("a witness was not asked", "org", org, "witness", w.Name(), "size", c.Size, "error", err)
		return said{seen: seen, problem: "it was not asked, because the stored log does not agree with itself: run prova log scrub, which names what is damaged"}, nil
	}
	result := a.judge(w, c, old, answer)
	if result.seen < 0 {
		result.seen = seen
	}
	return result, nil
}

// addCheckpoint makes one request, with a proof that was checked here before.
func (a *Authority) addCheckpoint(ctx context.Context, org string, w Witness, c api.Checkpoint, old int64) (WitnessAnswer, error) {
	var proof []tlog.Hash
	err := a.hashes(ctx, org, func(_ Snapshot, head Head, source receipt.HashSource) error {
		root, err := head.Tree.RootAt(c.Size, source)
		if err != nil {
			return err
		}
		if root.String() != c.RootHash {
			return fmt.Errorf("the checkpoint of size %d has root %s and the log %s", c.Size, c.RootHash, root)
		}
		if proof = nil; old == 0 || old == c.Size {
			return nil
		}
		oldRoot, err := head.Tree.RootAt(old, source)
		if err != nil {
			return err
		}
		if proof, err = receipt.ProveConsistency(old, c.Size, head.Tree.Hashes(source)); err != nil {
			return err
		}
		return receipt.VerifyConsistency(proof, old, oldRoot, c.Size, root)
	})
	if err != nil {
		return WitnessAnswer{}, err
	}
	return a.WitnessClient.AddCheckpoint(ctx, w.URL, WitnessRequest{Old: old, Proof: proof, Checkpoint: c.Note}), nil
}

// judge says what an answer means for a checkpoint that was sent with the old size.
func (a *Authority) judge(w Witness, c api.Checkpoint, old int64, answer WitnessAnswer) said {
	result := said{status: answer.StatusCode, seen: -1}
	if answer.Err != nil {
		result.absent, result.problem = true, answer.Err.Error()
		return result
	}
	switch answer.StatusCode {
	case http.StatusOK:
		found, err := readCosignature(w.Witness, c, answer.Lines, a.now())
		if err != nil {
			result.problem = err.Error()
			return result
		}
		result.cosignature, result.seen = &found, c.Size
	case http.StatusConflict:
		a.judgeConflict(&result, c, old, answer.Size)
	case http.StatusUnprocessableEntity:
		result.problem = "it refused the consistency proof: " + answer.Reason
		if result.grave = old > 0; result.grave {
			result.problem = fmt.Sprintf("it saw another history of this log: it refuses the proof that the log continues what it had at size %d, and the proof is good", old)
		}
	case http.StatusForbidden:
		result.problem = "it does not know the key that signed the checkpoint: give it every verifier key of this log, one for each server"
	case http.StatusNotFound:
		result.problem = "it does not follow this log, or its URL is another: give it the verifier key of this log"
	default:
		result.absent = answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= http.StatusInternalServerError
		result.problem = fmt.Sprintf("it answered %d: %s", answer.StatusCode, answer.Reason)
	}
	return result
}

func (a *Authority) judgeConflict(result *said, c api.Checkpoint, old, size int64) {
	if size >= 0 {
		result.seen = size
	}
	switch {
	case size < 0:
		result.problem = "it answered 409 and no size: is this the URL of a witness?"
	case size == old && old == c.Size:
		result.grave = true
		result.problem = fmt.Sprintf("it saw another history of this log: at size %d it has another root", size)
	case size == old:
		result.problem = fmt.Sprintf("it names %d as the size that it saw, and refuses to be asked from there", size)
	case size > c.Size:
		result.problem = fmt.Sprintf("it has seen size %d of this log, and the newest checkpoint has %d: it is asked again when there is a newer one", size, c.Size)
	default:
		result.problem = fmt.Sprintf("it named one size that it saw and then another, %d: do two processes answer for it?", size)
	}
}

// settleAbsence keeps whether a witness is there and returns when it may be asked again.
func (a *Authority) settleAbsence(w Witness, result said) (absentUntil time.Time) {
	before := a.absent.get(w.VKey())
	if !result.absent {
		a.absent.set(w.VKey(), absence{})
		if before.failures > 0 {
			a.Log.Info("a witness answers again", "witness", w.Name(), "url", w.URL)
		}
		return time.Time{}
	}
	now := a.now()
	after := absence{failures: before.failures + 1, at: now, reason: result.problem}
	after.until = now.Add(a.witnessWait(after.failures))
	a.absent.set(w.VKey(), after)
	if before.reason != after.reason {
		a.Log.Warn("a witness does not answer", "witness", w.Name(), "url", w.URL, "reason", after.reason)
	}
	return after.until
}

// logSaid says what a person should know, once for each change.
func (a *Authority) logSaid(org string, w Witness, c api.Checkpoint, before WitnessState, result said) {
	about := []any{"org", org, "witness", w.Name(), "size", c.Size, "status", result.status}
	switch {
	case result.cosignature != nil:
		a.Log.Debug("cosigned", about...)
	case result.absent || result.problem == before.Error:
	case result.grave:
		a.Log.Error("A WITNESS SAW ANOTHER HISTORY OF A LOG: the log was rewritten, a backup was restored, or two logs are shown. "+
			"Keep this line and ask the witness for its last head: together they are the proof", append(about, "reason", result.problem, "checkpoint", c.Note)...)
	default:
		a.Log.Warn("a witness did not cosign", append(about, "reason", result.problem)...)
	}
}

// keepSaid persists a cosignature and what is known of the witness. Servers
// that asked at once may do so in any order.
func (a *Authority) keepSaid(ctx context.Context, org string, w Witness, origin string, result said, absentUntil time.Time) error {
	now := a.now()
	err := a.Store.Update(ctx, org, func(tx Tx) error {
		state, err := stateOf(tx, w, origin)
		if err != nil {
			return err
		}
		state.VKey, state.Origin, state.AskedAt, state.StatusCode, state.Error, state.Seen = w.VKey(), origin, now, result.status, result.problem, result.seen
		if k := result.cosignature; k != nil {
			state.Failures, state.NextAt = 0, now.Add(witnessGap)
			if k.Size >= state.CosignedSize {
				state.CosignedSize, state.CosignedAt = k.Size, &k.At
			}
			if err := tx.SaveCosignature(*k); err != nil {
				return err
			}
			return tx.SaveWitnessState(state)
		}
		state.NextAt = absentUntil
		if !result.absent {
			state.Failures++
			state.NextAt = now.Add(a.witnessWait(state.Failures))
		}
		return tx.SaveWitnessState(state)
	})
	return storeError("cosignature", err)
}

// Witnesses lists the witnesses that the server asks, with what each last said
// of the org's log.
func (a *Authority) Witnesses(ctx context.Context, p Principal) ([]api.Witness, error) {
	if err := p.need(api.AuditRead); err != nil {
		return nil, err
	}
	out := []api.Witness{}
	err := a.Store.View(ctx, p.Org, func(s Snapshot) error {
		out = out[:0]
		c, err := s.Checkpoint()
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		for _, w := range a.Config.Witnesses {
			state, err := stateOf(s, w, c.Origin)
			if err != nil {
				return err
			}
			out = append(out, a.shown(w, state, c.Size))
		}
		return nil
	})
	return out, storeError("witness", err)
}

// shown is a witness as an org sees it, whose newest checkpoint has a size.
func (a *Authority) shown(w Witness, state WitnessState, newest int64) api.Witness {
	out := api.Witness{
		Name: w.Name(), VKey: w.VKey(), URL: w.URL, CosignedSize: state.CosignedSize, CosignedAt: state.CosignedAt, StatusCode: state.StatusCode, Error: state.Error,
	}
	if !state.AskedAt.IsZero() {
		out.AskedAt = &state.AskedAt
	}
	if away := a.absent.get(w.VKey()); away.failures > 0 && away.at.After(state.AskedAt) { // it was asked about another org's log
		out.AskedAt, out.StatusCode, out.Error = &away.at, 0, away.reason
	}
	next := a.nextTime(w, state)
	if newest > state.CosignedSize && !next.IsZero() {
		out.NextAt = &next
	}
	return out
}

// nextTime is the time from which a witness may be asked about an org's log.
func (a *Authority) nextTime(w Witness, state WitnessState) time.Time {
	if away := a.absent.get(w.VKey()); away.until.After(state.NextAt) {
		return away.until
	}
	return state.NextAt
}
