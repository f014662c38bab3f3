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
	a.signing.Store(&signers{current: signer, all: []receipt.Signer{signer}})
	add := func(e Entry, metric string) {
		e.Index, e.Environment = int64(len(s.entries)), "production"
		data, err := json.Marshal(runBody{
			common:  a.common(Principal{Org: "default"}, e.Kind, time.Date(2026, 5, 15, 18, 42, 0, 0, time.UTC)),
			Metrics: map[string]api.Metric{metric: api.Bool(e.Index%3 > 0)},
		})
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
	for i := range 3500 { // the newest 500 runs of the candidate have no probe
		probe := strconv.Itoa(i)
		add(Entry{Kind: api.KindAgentRun, Release: "v36", ProbeID: probe, RunID: probe}, "success")
		if i >= 3000 {
			probe = ""
		}
		add(Entry{Kind: api.KindAgentRun, Release: "v37", ProbeID: probe}, "success")
	}
	for i := range 3500 { // of which the last 2000 are read, for the 2000 runs that are
		add(Entry{Kind: api.KindOutcome, Release: "v36", RunID: strconv.Itoa(i), Epoch: 1}, "solved")
	}
	p := &pairing{a: a, ctx: t.Context(), most: 2000}
	p.sides[compare.BaselineSide] = pairedSide{release: "v36", from: 0, before: 6999, end: 10500}
	p.sides[compare.CandidateSide] = pairedSide{release: "v37", from: 1, before: 7000, end: 10500}
	if err := p.read(false); err != nil {
		t.Fatal(err)
	}
	pairs := p.pairs.Pairs()["success"]
	if pairs.Count() != 1500 || pairs.UnpairedCandidate != 500 || pairs.UnpairedBaseline != 500 {
		t.Errorf("%d pairs, %d and %d runs without a partner", pairs.Count(), pairs.UnpairedCandidate, pairs.UnpairedBaseline)
	}
	if solved := p.pairs.Pairs()["solved"]; solved.UnpairedBaseline != 2000 || len(p.sides[compare.BaselineSide].outcomes) != 2000 {
		t.Errorf("%d outcomes were counted of %d runs", solved.UnpairedBaseline, len(p.sides[compare.BaselineSide].outcomes))
	}
	if note := p.note(); !strings.Contains(note, "the newest 2000 runs of v36 and the newest 2000 runs of v37") {
		t.Error(note)
	}
	if s.asked != 3+2*2 { // two pages of outcomes and one that is empty, and two pages of runs a side
		t.Errorf("%d pages were read", s.asked)
	}
}
