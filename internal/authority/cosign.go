package authority

import (
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
