package authority

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/receipt"
)

// shelf is a store that has nothing but the entries of two releases.
type shelf struct {
	Store
	Snapshot
	entries []Entry
	asked   int
}

func (s *shelf) View(_ context.Context, _ string, fn func(Snapshot) error) error { return fn(s) }

func (s *shelf) Entries(f EntryFilter, limit int) ([]Entry, error) {
	s.asked++
	var page []Entry
	for i := len(s.entries) - 1; i >= 0 && len(page) < limit; i-- {
		if e := s.entries[i]; e.Kind == f.Kind && e.Release == f.Release && e.Index < f.Before && e.Index >= f.From {
			page = append(page, e)
		}
	}
	return page, nil
}

// TestPairingIsBounded: the newest runs of each release are read, page by page, and what was left out is said.
func TestPairingIsBounded(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := receipt.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{}
	a := &Authority{Config: Config{Store: s, Signer: signer, Random: func([]byte) {}}, ids: &sequence{}}
	for i := range 2 * 3500 { // the first 500 probes of the candidate are its oldest
		e := Entry{Index: int64(i), Kind: api.KindAgentRun, Release: []string{"v36", "v37"}[i%2], ProbeID: strconv.Itoa(i / 2), Environment: "production"}
		if i%2 == 1 && i/2 >= 3000 {
			e.ProbeID = ""
		}
		data, err := json.Marshal(runBody{common: a.common(Principal{Org: "default"}, e.Kind, time.Date(2026, 5, 15, 18, 42, 0, 0, time.UTC)), Metrics: map[string]api.Metric{"success": api.Bool(i%3 > 0)}})
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := signer.Seal(data)
		if err != nil {
			t.Fatal(err)
		}
		e.Raw = sealed.Raw
		s.entries = append(s.entries, e)
	}
	p := &pairing{a: a, ctx: t.Context(), most: 2000}
	p.sides[compare.BaselineSide] = pairedSide{release: "v36", from: 0, before: 6999, end: 7000}
	p.sides[compare.CandidateSide] = pairedSide{release: "v37", from: 1, before: 7000, end: 7000}
	if err := p.read(false); err != nil {
		t.Fatal(err)
	}
	pairs := p.pairs.Pairs()["success"]
	if pairs.Count() != 1500 || pairs.UnpairedCandidate != 500 || pairs.UnpairedBaseline != 500 {
		t.Errorf("%d pairs, %d and %d runs without a partner", pairs.Count(), pairs.UnpairedCandidate, pairs.UnpairedBaseline)
	}
	if note := p.note(); !strings.Contains(note, "the newest 2000 runs of v36 and the newest 2000 runs of v37") {
		t.Error(note)
	}
	if s.asked != 2+2*2 { // outcomes, and two pages a side
		t.Errorf("%d pages were read", s.asked)
	}
}
