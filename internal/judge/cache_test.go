package judge_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/judge"
	"github.com/cobound/prova/internal/judge/judgetest"
)

func in(dir string) func(*judge.Config) { return func(c *judge.Config) { c.CacheDir = dir } }

// entries are the files of a cache, checked to be private.
func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if name != dir && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		if !d.IsDir() {
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestCached: what was asked once is not asked again, by another process
// either; what changes the question is.
func TestCached(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	count := func(options ...func(*judge.Config)) (requests int, sum judge.Summary, kept []api.Judgment) {
		e, b := &judgetest.Endpoint{Mode: judgetest.Fair}, &book{}
		sum, err := asker(t, e, append(options, in(dir))...).Run(t.Context(), judge.Work{Pages: pages(mixed()...), Record: b.record})
		if err != nil {
			t.Fatal(err)
		}
		return e.Requests(), sum, b.kept
	}
	if n, sum, _ := count(); n != 10 || sum.Cached != 0 {
		t.Fatalf("%d requests, %+v", n, sum)
	}
	n, sum, kept := count()
	if n != 0 || sum.Cached != 10 || sum.Calls != 0 || *sum.CostUSD != 0 || sum.Figures.Wins != 3 || !kept[0].Answers[1].Cached || *kept[0].CostUSD != 0 {
		t.Errorf("again: %d requests, %+v", n, sum)
	}
	if len(entries(t, dir)) != 10 {
		t.Errorf("%d entries", len(entries(t, dir)))
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", info.Mode(), err)
	}
	for name, change := range map[string]func(*judge.Config){
		"version":  func(c *judge.Config) { c.Version = "2" },
		"criteria": func(c *judge.Config) { c.Criteria = "Which is shorter?" },
		"tokens":   func(c *judge.Config) { c.MaxTokens = 77 },
	} {
		if n, _, _ := count(change); n != 10 {
			t.Errorf("another %s: %d requests", name, n)
		}
	}
}

// TestCorruptCache: an entry that cannot be read, or stands in another's place, is not there.
func TestCorruptCache(t *testing.T) {
	dir := t.TempDir()
	ask := func() int {
		e, b := &judgetest.Endpoint{Mode: judgetest.Fair}, &book{}
		if _, err := asker(t, e, in(dir)).Run(t.Context(), judge.Work{Pages: pages(pair(1, "bad", "GOOD")), Record: b.record}); err != nil || b.kept[0].Verdict != api.PreferCandidate {
			t.Fatalf("%+v, %v", b.kept, err)
		}
		return e.Requests()
	}
	ask()
	names := entries(t, dir)
	one, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(names[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, []byte("{"), one[:len(one)-1], other, []byte(`{"v":2}`), []byte(`{"v":1,"verdict":"none"}`)} {
		if err := os.WriteFile(names[0], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if n := ask(); n != 1 {
			t.Errorf("%q: %d requests, want 1", bad, n)
		}
	}
	if n := ask(); n != 0 {
		t.Errorf("mended: %d requests", n)
	}
}

// TestCacheFails: a cache that cannot be written is said, and costs nothing within the run.
func TestCacheFails(t *testing.T) {
	dir := t.TempDir()
	e, b := &judgetest.Endpoint{Mode: judgetest.Fair}, &book{}
	a := asker(t, e, in(dir), func(c *judge.Config) { c.Concurrency = 1 })
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the folder was
		t.Fatal(err)
	}
	again := pair(1, "bad MARK", "GOOD "+judgetest.Mark)
	again.ProbeID = "again"
	sum, err := a.Run(t.Context(), judge.Work{Pages: pages(append(mixed(), again)...), Record: b.record})
	if err != nil || sum.CacheProblem == "" || sum.Recorded != 6 || e.Requests() != 10 {
		t.Errorf("%d requests, %+v, %v", e.Requests(), sum, err)
	}
	if _, err := judge.New(judge.Config{URL: "http://judge.test/v1", Model: "m", CacheDir: filepath.Join(dir, "below")}); judge.KindOf(err) != judge.BadConfig {
		t.Errorf("a folder that cannot be: %v", err)
	}
}

// TestNotCached: what is no verdict is asked again.
func TestNotCached(t *testing.T) {
	for _, mode := range []judgetest.Mode{judgetest.Malformed, judgetest.Refusing, judgetest.CutOff, judgetest.TooLong} {
		dir := t.TempDir()
		for range 2 {
			e, b := &judgetest.Endpoint{Mode: mode}, &book{}
			if _, err := asker(t, e, in(dir)).Run(t.Context(), judge.Work{Pages: pages(mixed()...), Record: b.record}); err != nil || e.Requests() < 10 {
				t.Errorf("%s: %d requests, %v", mode, e.Requests(), err)
			}
		}
		if len(entries(t, dir)) != 0 {
			t.Errorf("%s was kept", mode)
		}
	}
}

// TestSameTexts: pairs with the same texts are one question, also while it is under way.
func TestSameTexts(t *testing.T) {
	e, b := &judgetest.Endpoint{Mode: judgetest.Fair}, &book{}
	one, two, three := pair(1, "bad", "GOOD"), pair(1, "bad", "GOOD"), pair(1, "GOOD", "bad")
	two.ProbeID, three.ProbeID = "probe-two", "probe-three"
	sum, err := asker(t, e).Run(t.Context(), judge.Work{Pages: pages(one, two, three), Record: b.record})
	if err != nil || e.Requests() != 2 || sum.Recorded != 3 || sum.Figures.Wins != 2 || sum.Figures.Losses != 1 || sum.Cached != 4 {
		t.Errorf("%d requests, %+v, %v", e.Requests(), sum, err)
	}
	e, b = &judgetest.Endpoint{Mode: judgetest.First}, &book{}
	if sum, err = asker(t, e).Run(t.Context(), judge.Work{Pages: pages(pair(1, "same", "same")), Record: b.record}); err != nil || e.Requests() != 1 || sum.Figures.Ties != 1 {
		t.Errorf("equal answers: %d requests, %+v, %v", e.Requests(), sum, err)
	}
}

// TestFresh: a retest asks again and leaves the cache alone.
func TestFresh(t *testing.T) {
	dir := t.TempDir()
	run := func(mode judgetest.Mode, fresh bool) (int, judge.Summary) {
		e, b := &judgetest.Endpoint{Mode: mode}, &book{}
		sum, err := asker(t, e, in(dir)).Run(t.Context(), judge.Work{Pages: pages(mixed()...), Record: b.record, Fresh: fresh})
		if err != nil {
			t.Fatal(err)
		}
		return e.Requests(), sum
	}
	run(judgetest.Fair, false)
	if n, sum := run(judgetest.First, true); n != 10 || sum.Figures.Ties != 5 {
		t.Errorf("fresh: %d, %+v", n, sum)
	}
	if n, sum := run(judgetest.First, false); n != 0 || sum.Figures.Wins != 3 {
		t.Errorf("after it: %d, %+v", n, sum)
	}
}
