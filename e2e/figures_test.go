package e2e

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cobound/prova/api"
)

// dataset is real runs with counts and intervals that were computed elsewhere.
type dataset struct {
	name string
	runs string
	expected
}

type expected struct {
	Rows  int64          `json:"rows"`
	Pairs []expectedPair `json:"pairs"`
}

type expectedPair struct {
	AppID     string                     `json:"app_id"`
	Baseline  string                     `json:"baseline"`
	Candidate string                     `json:"candidate"`
	Binary    map[string]expectedBinary  `json:"binary"`
	Numeric   map[string]expectedNumeric `json:"numeric"`
}

type expectedBinary struct {
	Baseline   expectedRate `json:"baseline"`
	Candidate  expectedRate `json:"candidate"`
	Difference float64      `json:"difference"`
	Newcombe   [2]float64   `json:"newcombe95"`
	Table      struct {
		Both          int64 `json:"n11"`
		BaselineOnly  int64 `json:"n10"`
		CandidateOnly int64 `json:"n01"`
		Neither       int64 `json:"n00"`
	} `json:"paired_2x2"`
}

type expectedRate struct {
	Ones   float64    `json:"ones"`
	N      int64      `json:"n"`
	Rate   float64    `json:"rate"`
	Wilson [2]float64 `json:"wilson95"`
}

type expectedNumeric struct {
	Baseline  expectedMean `json:"baseline"`
	Candidate expectedMean `json:"candidate"`
}

type expectedMean struct {
	N    int64   `json:"n"`
	Mean float64 `json:"mean"`
}

func datasets(t *testing.T) []dataset {
	t.Helper()
	var list []dataset
	for _, name := range []string{"llmdrift", "bfcl"} {
		dir := shared(t, filepath.Join("data", name))
		d := dataset{name: name, runs: filepath.Join(dir, "runs.ndjson")}
		text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
		if err == nil {
			err = json.Unmarshal(text, &d.expected)
		}
		if err != nil {
			t.Fatal(err)
		}
		var pairs []expectedPair
		if text, err = os.ReadFile(filepath.Join(dir, "pairs.json")); err == nil {
			err = json.Unmarshal(text, &pairs)
		}
		if err != nil || len(pairs) != len(d.Pairs) || len(pairs) == 0 {
			t.Fatalf("%s: %d pairs, %d expected (%v)", name, len(pairs), len(d.Pairs), err)
		}
		list = append(list, d)
	}
	return list
}

// TestRealDataFigures imports real runs and compares every pair of releases,
// at the server and on the file, with figures that were computed elsewhere.
func TestRealDataFigures(t *testing.T) {
	list := datasets(t)
	t.Parallel()
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		for _, d := range list {
			d.compare(t, func(args ...string) result {
				return run(t, "prova-eval", append([]string{"compare", "--file", d.runs}, args...)...)
			})
		}
	})
	onBoth(t, func(t *testing.T, b backend) {
		s := newServer(t, b)
		s.program = program("prova") // the race detector makes tens of thousands of signatures slow
		s.start()
		for _, d := range list {
			if d.name == "bfcl" && b.url != "" {
				d = d.only(t, "fc-gpt4o") // all of it is compared on SQLite; here it would take a minute
			}
			began := time.Now()
			sum := decode[struct{ Created, Duplicate int64 }](s.run("prova", "runs", "import", "--json", "--concurrency", "2", "--file", d.runs).exits(0))
			if sum.Created != d.Rows {
				t.Errorf("%s: %d created of %d", d.name, sum.Created, d.Rows)
			}
			t.Logf("%s: %d runs imported in %.1f s", d.name, sum.Created, time.Since(began).Seconds())
			d.compare(t, func(args ...string) result { return s.run("prova-eval", append([]string{"compare"}, args...)...) })
		}
		again := decode[struct{ Created, Duplicate int64 }](s.run("prova", "runs", "import", "--json", "--file", list[0].runs).exits(0))
		if again.Created != 0 || again.Duplicate != list[0].Rows {
			t.Errorf("the second import: %+v", again)
		}
	})
}

// only is the part of a dataset that belongs to one agent.
func (d dataset) only(t *testing.T, app string) dataset {
	t.Helper()
	data, err := os.ReadFile(d.runs)
	if err != nil {
		t.Fatal(err)
	}
	d.runs, d.Rows = filepath.Join(t.TempDir(), "runs.ndjson"), 0
	var part []byte
	for line := range bytes.Lines(data) {
		if bytes.Contains(line, []byte(`"app_id":"`+app+`"`)) {
			part = append(part, line...)
			d.Rows++
		}
	}
	if err := os.WriteFile(d.runs, part, 0o600); err != nil {
		t.Fatal(err)
	}
	d.Pairs = slices.DeleteFunc(slices.Clone(d.Pairs), func(p expectedPair) bool { return p.AppID != app })
	if len(d.Pairs) == 0 {
		t.Fatalf("%s has no pair of %s", d.name, app)
	}
	return d
}

// compare compares all pairs, two at a time.
func (d dataset) compare(t *testing.T, command func(args ...string) result) {
	t.Helper()
	var group sync.WaitGroup
	work := make(chan expectedPair, len(d.Pairs))
	for range 2 {
		group.Go(func() {
			for p := range work {
				p.check(t, command)
			}
		})
	}
	for _, p := range d.Pairs {
		work <- p
	}
	close(work)
	group.Wait()
}

func (p expectedPair) check(t *testing.T, command func(args ...string) result) {
	args := []string{"--json", "--app-id", p.AppID, "--baseline", p.Baseline, "--candidate", p.Candidate}
	for name := range p.Binary {
		args = append(args, "--gate", name+":rate:better=higher")
	}
	for name := range p.Numeric {
		args = append(args, "--gate", name+":mean:better=lower")
	}
	r := command(append(args, "--pair", "none")...)
	var answer api.Comparison
	if err := json.Unmarshal([]byte(r.stdout), &answer); err != nil {
		t.Errorf("%s ended with %d: %s", r.command, r.code, r.stderr)
		return
	}
	codes := map[api.Outcome]int{api.Clean: 0, api.Regressed: 1, api.Insufficient: 3}
	if r.code != codes[answer.Verdict.Verdict] {
		t.Errorf("%s ended with %d, its verdict is %s", r.command, r.code, answer.Verdict.Verdict)
	}
	p.paired(t, command(append(args, "--pair", "auto")...))
	if got, want := len(answer.Verdict.Gates), len(p.Binary)+len(p.Numeric); got != want {
		t.Errorf("%s: %d gates of %d", r.command, got, want)
	}
	for _, g := range answer.Verdict.Gates {
		f := figures{t, p.AppID + " " + p.Baseline + " " + p.Candidate + " " + g.ID()}
		if g.Statistic == api.StatisticRate {
			f.binary(g, p.Binary[g.Metric])
		} else {
			f.numeric(g, p.Numeric[g.Metric])
		}
	}
}

// paired checks the four counts of each rate: in these sets each probe has one
// run of each release, so auto pairs them.
func (p expectedPair) paired(t *testing.T, r result) {
	var answer api.Comparison
	if err := json.Unmarshal([]byte(r.stdout), &answer); err != nil {
		t.Errorf("%s ended with %d: %s", r.command, r.code, r.stderr)
		return
	}
	for _, g := range answer.Verdict.Gates {
		want, binary := p.Binary[g.Metric]
		switch {
		case g.Pairs == nil:
			t.Errorf("%s: %s is not paired", r.command, g.ID())
		case !binary:
		case g.Pairs.PairTable == nil || *g.Pairs.PairTable != api.PairTable{
			Both: want.Table.Both, CandidateOnly: want.Table.CandidateOnly, BaselineOnly: want.Table.BaselineOnly, Neither: want.Table.Neither,
		}:
			t.Errorf("%s: %s has %+v, want %+v", r.command, g.ID(), g.Pairs.PairTable, want.Table)
		case g.Difference.Method != "newcombe-paired":
			t.Errorf("%s: the method is %s", r.command, g.Difference.Method)
		}
	}
}

// figures compares figures and names what differs.
type figures struct {
	t    *testing.T
	what string
}

// tolerance is absolute for rates; the expected figures have nine digits.
const tolerance = 1e-9

func (f figures) near(name string, got *float64, want, within float64) {
	switch {
	case got == nil:
		f.t.Errorf("%s: no %s", f.what, name)
	case !(math.Abs(*got-want) <= within):
		f.t.Errorf("%s: %s is %.12g, want %.12g", f.what, name, *got, want)
	}
}

func (f figures) binary(g api.GateResult, want expectedBinary) {
	for _, c := range []struct {
		side string
		got  api.CohortFigure
		want expectedRate
	}{{"baseline", g.Baseline, want.Baseline}, {"candidate", g.Candidate, want.Candidate}} {
		if c.got.N != c.want.N {
			f.t.Errorf("%s: %s has %d runs, want %d", f.what, c.side, c.got.N, c.want.N)
		}
		if c.got.Value != nil && math.Round(*c.got.Value*float64(c.got.N)) != c.want.Ones {
			f.t.Errorf("%s: %s has %v of %d, want %v ones", f.what, c.side, *c.got.Value, c.got.N, c.want.Ones)
		}
		f.near(c.side+" rate", c.got.Value, c.want.Rate, tolerance)
		f.near(c.side+" Wilson lo", c.got.Lo, c.want.Wilson[0], tolerance)
		f.near(c.side+" Wilson hi", c.got.Hi, c.want.Wilson[1], tolerance)
	}
	d := g.Difference
	if d == nil {
		f.t.Errorf("%s: no difference", f.what)
		return
	}
	if d.Method != "newcombe" {
		f.t.Errorf("%s: the method is %s", f.what, d.Method)
	}
	f.near("difference", &d.Estimate, want.Difference, tolerance)
	f.near("Newcombe lo", &d.Lo, want.Newcombe[0], tolerance)
	f.near("Newcombe hi", &d.Hi, want.Newcombe[1], tolerance)
}

func (f figures) numeric(g api.GateResult, want expectedNumeric) {
	if g.Baseline.N != want.Baseline.N || g.Candidate.N != want.Candidate.N {
		f.t.Errorf("%s: %d and %d runs, want %d and %d", f.what, g.Baseline.N, g.Candidate.N, want.Baseline.N, want.Candidate.N)
	}
	f.near("baseline mean", g.Baseline.Value, want.Baseline.Mean, 1e-8*math.Abs(want.Baseline.Mean))
	f.near("candidate mean", g.Candidate.Value, want.Candidate.Mean, 1e-8*math.Abs(want.Candidate.Mean))
}
