package authority

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/receipt"
)

const (
	// PairedRuns is how many runs of each release, the newest, are read to pair them.
	PairedRuns = 200_000
	// pairPage is how many receipts are read at once, and the newest runs that
	// must hold a probe before more are read to decide whether to pair.
	pairPage = 1000
)

// pairing reads the runs of both releases back from the log to pair them by
// probe. Summaries of cohorts know no partners.
type pairing struct {
	a     *Authority
	ctx   context.Context
	org   string
	app   string
	place string
	most  int64 // runs and outcomes of each release that are read
	pairs compare.PairUp
	sides [2]pairedSide
}

// pairedSide is what was read of one release.
type pairedSide struct {
	release string
	// from and before bound the log indexes of its runs; end is the size of the log.
	from, before, end int64
	runs, probes      int64
	older             bool // runs were left out
	outcomes          map[string][]map[string]api.Metric
	probeOf           map[string]string // of the first run of an id that has outcomes
}

// span bounds the log indexes of the runs of a release.
func (s *pairedSide) span(c Cohort) {
	if s.before == 0 || c.FirstIndex < s.from {
		s.from = c.FirstIndex
	}
	s.before = max(s.before, c.LastIndex+1)
}

// prepare settles which gates are compared on pairs and reads these, if that
// or a gate asks for it.
func (p *pairing) prepare(how string, gates *[]api.Gate, stratum *compare.Stratum) ([]api.Check, error) {
	asked := how == api.PairAuto || how == api.PairProbe
	if !asked && !compare.NeedsPairs(*gates) {
		return nil, nil
	}
	if err := p.read(how == api.PairAuto && !compare.NeedsPairs(*gates)); err != nil {
		return nil, err
	}
	stratum.Pairs = p.pairs.Pairs()
	candidate, baseline := p.pairs.Partners()
	paired, check := compare.PairGates(how, *gates, candidate, baseline)
	*gates = paired
	check.Detail += p.note()
	return []api.Check{check}, nil
}

// read pairs what the log holds. If it is only to find out whether there are
// enough partners, it stops where the newest runs of a release carry no probe.
func (p *pairing) read(auto bool) error {
	for side := range p.sides {
		if err := p.readOutcomes(&p.sides[side]); err != nil {
			return err
		}
	}
	for _, first := range []bool{true, false} {
		for side := range p.sides {
			if err := p.readRuns(compare.Side(side), first); err != nil {
				return err
			}
		}
		if auto && (p.sides[0].probes == 0 || p.sides[1].probes == 0) {
			return nil
		}
	}
	for side := range p.sides {
		s := &p.sides[side]
		for id, probe := range s.probeOf {
			for _, metrics := range s.outcomes[id] {
				if err := p.pairs.AddMetrics(probe, compare.Side(side), metrics); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// readOutcomes keeps what became known of the runs later, by their ids.
func (p *pairing) readOutcomes(s *pairedSide) error {
	s.outcomes, s.probeOf = map[string][]map[string]api.Metric{}, map[string]string{}
	before := s.end
	for read := int64(0); read < p.most; read += pairPage {
		page, err := p.page(EntryFilter{Kind: api.KindOutcome, Release: s.release, From: s.from, Before: before})
		if err != nil {
			return err
		}
		for _, e := range page {
			if e.Epoch == 0 { // it belongs to no run
				continue
			}
			body, err := runOf(e)
			if err != nil {
				return err
			}
			s.outcomes[e.RunID] = append(s.outcomes[e.RunID], body.Metrics)
		}
		if len(page) < pairPage {
			break
		}
		before = page[len(page)-1].Index
	}
	return nil
}

// readRuns takes the newest page of runs of a release, or the rest up to the limit.
func (p *pairing) readRuns(side compare.Side, first bool) error {
	s := &p.sides[side]
	for s.before > s.from && (first || s.runs < p.most) {
		page, err := p.page(EntryFilter{Kind: api.KindAgentRun, Release: s.release, From: s.from, Before: s.before})
		if err != nil {
			return err
		}
		for _, e := range page {
			if err := p.take(side, e); err != nil {
				return err
			}
			s.before = e.Index
		}
		if len(page) < pairPage {
			s.before = s.from
		}
		if first {
			break
		}
	}
	s.older = s.before > s.from
	return nil
}

func (p *pairing) take(side compare.Side, e Entry) error {
	s := &p.sides[side]
	body, err := runOf(e)
	if err != nil {
		return err
	}
	s.runs++
	if e.ProbeID != "" {
		s.probes++
	}
	if _, ok := s.outcomes[e.RunID]; ok && e.RunID != "" { // newest first, so the first run of the id comes last and stays
		s.probeOf[e.RunID] = e.ProbeID
	}
	return p.pairs.Add(e.ProbeID, side, body.Metrics)
}

func (p *pairing) page(f EntryFilter) (page []Entry, err error) {
	f.AppID, f.Environment, f.Newest = p.app, p.place, true
	err = p.a.Store.View(p.ctx, p.org, func(s Snapshot) (err error) {
		page, err = s.Entries(f, pairPage)
		return err
	})
	return page, err
}

// note says what was left out.
func (p *pairing) note() string {
	var left []string
	for side := range p.sides {
		if s := p.sides[side]; s.older {
			left = append(left, fmt.Sprintf("the newest %d runs of %s", s.runs, s.release))
		}
	}
	if len(left) == 0 {
		return ""
	}
	return "; read were " + strings.Join(left, " and ")
}

// runOf reads a run or an outcome back from its receipt.
func runOf(e Entry) (runBody, error) {
	r, err := receipt.Parse(e.Raw)
	if err != nil {
		return runBody{}, fmt.Errorf("receipt %s: %w", e.EventID, err)
	}
	var body runBody
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return runBody{}, fmt.Errorf("receipt %s: %w", e.EventID, err)
	}
	return body, nil
}
