package authority

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// cosigned appends to the notes of checkpoints, in ascending or descending
// order of size, the cosignatures that were collected for them. What was signed
// before stays as it is.
func cosigned(s Snapshot, checkpoints ...*api.Checkpoint) error {
	if len(checkpoints) == 0 {
		return nil
	}
	first, last := checkpoints[0].Size, checkpoints[len(checkpoints)-1].Size
	collected, err := s.Cosignatures(min(first, last), max(first, last)+1)
	if err != nil {
		return err
	}
	lines := map[int64]string{}
	for _, c := range collected {
		lines[c.Size] += c.Line
	}
	for _, c := range checkpoints {
		c.Note += lines[c.Size]
	}
	return nil
}

// cosignLook is how often is looked whether cosignatures have come in.
const cosignLook = 100 * time.Millisecond

// CosignedCheckpoint signs the present head, as Checkpoint does, and waits up
// to a time until the witnesses have cosigned it, or a later one that was signed
// meanwhile. It does not wait for one that will not be asked in that time.
func (a *Authority) CosignedCheckpoint(ctx context.Context, p Principal, wait time.Duration) (api.Checkpoint, error) {
	if err := p.need(api.AuditRead); err != nil {
		return api.Checkpoint{}, err
	}
	c, err := a.checkpoint(ctx, p.Org)
	if err != nil {
		return c, err
	}
	return a.awaitCosignatures(ctx, p.Org, c, wait)
}

func (a *Authority) awaitCosignatures(ctx context.Context, org string, c api.Checkpoint, wait time.Duration) (api.Checkpoint, error) {
	if wait <= 0 || len(a.Config.Witnesses) == 0 {
		return c, nil
	}
	until := a.now().Add(wait)
	over := time.NewTimer(wait)
	defer over.Stop()
	again := time.NewTicker(cosignLook)
	defer again.Stop()
	for waiting := true; waiting; {
		best, complete, err := a.mostCosigned(ctx, org, c, until)
		if err != nil {
			return c, storeError("checkpoint", err)
		}
		if c = best; complete {
			break
		}
		select {
		case <-again.C:
		case <-over.C:
			waiting = false
		case <-ctx.Done():
			waiting = false
		}
	}
	var err error
	c.VKey, err = a.verifierKey(ctx, c)
	return c, err
}

// mostCosigned finds, among the checkpoints from c on, the one that most of the
// witnesses have cosigned, the newest of several. It is complete if every other
// witness would be asked only after a time.
func (a *Authority) mostCosigned(ctx context.Context, org string, c api.Checkpoint, until time.Time) (best api.Checkpoint, complete bool, err error) {
	err = a.Store.View(ctx, org, func(s Snapshot) error {
		newest, err := s.Checkpoint()
		if err != nil {
			return err
		}
		collected, err := s.Cosignatures(c.Size, newest.Size+1)
		if err != nil {
			return err
		}
		by := map[int64]map[string]bool{c.Size: {}}
		size := c.Size
		for _, k := range collected {
			if by[k.Size] == nil {
				by[k.Size] = map[string]bool{}
			}
			if by[k.Size][k.VKey] = true; len(by[k.Size]) >= len(by[size]) {
				size = k.Size
			}
		}
		complete = true
		for _, w := range a.Config.Witnesses {
			state, err := stateOf(s, w, c.Origin)
			if err != nil {
				return err
			}
			if next := a.nextTime(w, state); !by[size][w.VKey()] && !next.After(until) {
				complete = false
			}
		}
		if best, err = s.CheckpointAt(size); err == nil {
			err = cosigned(s, &best)
		}
		return err
	})
	return best, complete, err
}

// maxCarried bounds the note in a header of a delivery, in bytes: its base64 is
// a third longer, and receivers take some 8 KiB of a header.
const maxCarried = 3 << 10

// shortened is a note without the last cosignatures of one that is longer than
// most bytes. The log's own signature comes first and stays.
func shortened(note string, most int) string {
	if len(note) <= most {
		return note
	}
	first := strings.LastIndex(note, "\n\n") + 2
	first += strings.Index(note[first:], "\n") + 1
	for len(note) > max(first, most) {
		note = note[:strings.LastIndex(note[:len(note)-1], "\n")+1]
	}
	return note
}

// cosignatureTolerance is how far the time of a cosignature may be from the time
// at which it was asked for: an auditor will read it.
const cosignatureTolerance = 5 * time.Minute

// readCosignature finds the cosignature of a witness among the lines that it
// answered with, and verifies it over the very checkpoint that it was asked
// about. Lines by other keys say nothing.
func readCosignature(w receipt.Witness, c api.Checkpoint, lines string, now time.Time) (Cosignature, error) {
	for line := range strings.Lines(lines) {
		if !strings.HasPrefix(line, "— ") || !strings.HasSuffix(line, "\n") {
			continue
		}
		at, found, err := w.Cosigned(c.Note + line)
		if errors.Is(err, receipt.ErrNotCosigned) {
			continue
		}
		if err != nil {
			return Cosignature{}, err
		}
		if at.Before(now.Add(-cosignatureTolerance)) || at.After(now.Add(cosignatureTolerance)) {
			return Cosignature{}, errors.New("its cosignature states the time " + at.Format(time.RFC3339) + ", and this server has " + now.UTC().Format(time.RFC3339) + ": one of the clocks is wrong")
		}
		return Cosignature{Size: c.Size, VKey: w.VKey(), At: at, Line: found}, nil
	}
	return Cosignature{}, errors.New("its answer holds no cosignature by the key that it is configured with")
}
