package storetest

import (
	"fmt"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/stats"
)

// locked runs fn under the head's lock.
func (f *fixture) locked(org string, fn func(authority.Tx) error) {
	f.Helper()
	f.update(org, func(tx authority.Tx) error {
		if _, err := tx.LockHead(); err != nil {
			return err
		}
		return fn(tx)
	})
}

// summary adds up values, each of a unit of its own.
func summary(f *fixture, values ...float64) stats.Summary {
	var s stats.Summary
	for i, v := range values {
		if err := s.Add(v, uint64(i)<<40); err != nil {
			f.Fatal(err)
		}
	}
	return s
}

func testWritesNeedTheLock(f *fixture) {
	f.locked("acme", func(tx authority.Tx) error { return tx.CreateRollout(rollout("ro_1")) })
	for name, write := range map[string]func(authority.Tx) error{
		"epoch":  func(tx authority.Tx) error { return tx.SaveEpoch(authority.Epoch{Number: 1}) },
		"cohort": func(tx authority.Tx) error { return tx.SaveCohort(authority.Cohort{Span: 1}) },
		"block":  func(tx authority.Tx) error { return tx.SaveBlock(authority.BlockRecord{RolloutID: "ro_1", Number: 1}) },
		"judgment": func(tx authority.Tx) error {
			return tx.AddJudgments([]authority.JudgmentRecord{judgmentAt(1, "p1", "j1", true)})
		},
		"calibration": func(tx authority.Tx) error { return tx.AddCalibration("a", "production", "j1", 1) },
	} {
		if err := f.Update(f.ctx(), "acme", write); err == nil {
			f.Errorf("%s: saved without the lock", name)
		}
	}
}

func testEpochs(f *fixture) {
	open := func(s authority.Snapshot) (authority.Epoch, error) { return s.OpenEpoch("bot", "production") }
	absent(f, "acme", "open epoch", open)
	first := authority.Epoch{AppID: "bot", Environment: "production", Number: 9, Span: 9, FirstIndex: 4, StartedAt: at(1), Runs: 7}
	second := authority.Epoch{AppID: "bot", Environment: "production", Number: 10, Span: 9, FirstIndex: 11, StartedAt: at(2)}
	f.locked("acme", func(tx authority.Tx) error { return tx.SaveEpoch(first) })
	equal(f, "first", must(f, "acme", open), first)
	f.utc("epoch", must(f, "acme", open).StartedAt)
	f.locked("acme", func(tx authority.Tx) error {
		if err := tx.SaveEpoch(second); err != nil {
			return err
		}
		first.Runs = 8
		return tx.SaveEpoch(first)
	})
	equal(f, "second", must(f, "acme", open), second)
	second.Runs, second.Span, second.FirstIndex, second.StartedAt = 5, 10, 12, at(3)
	f.locked("acme", func(tx authority.Tx) error { return tx.SaveEpoch(second) })
	equal(f, "replaced", must(f, "acme", open), second)
	number := func(n int64) func(authority.Snapshot) (authority.Epoch, error) {
		return func(s authority.Snapshot) (authority.Epoch, error) { return s.Epoch("bot", "production", n) }
	}
	equal(f, "an ended one", must(f, "acme", number(9)), first)
	equal(f, "the open one by its number", must(f, "acme", number(10)), second)
	absent(f, "acme", "epoch 8", number(8))
	absent(f, "acme", "epoch of another environment", func(s authority.Snapshot) (authority.Epoch, error) { return s.OpenEpoch("bot", "staging") })
}

func testCohorts(f *fixture) {
	cohort := func(span int64, release string, metrics map[string]stats.Summary) authority.Cohort {
		return authority.Cohort{
			AppID: "bot", Environment: "production", Span: span, Release: release,
			Runs: 3, FirstIndex: span * 10, LastIndex: span*10 + 5, Metrics: metrics,
		}
	}
	read := func(span int64, release string) func(authority.Snapshot) (authority.Cohort, error) {
		return func(s authority.Snapshot) (authority.Cohort, error) {
			return s.Cohort("bot", "production", span, release)
		}
	}
	absent(f, "acme", "cohort", read(1, "v1"))
	v1 := cohort(1, "v1", map[string]stats.Summary{"success": summary(f, 1, 0, 1), "latency_ms": summary(f, 12.5, 1e9, 3)})
	v2 := cohort(1, "v2", map[string]stats.Summary{"success": summary(f, 0)})
	none := cohort(1, "", nil)
	later := cohort(2, "v1", map[string]stats.Summary{"success": summary(f, 1, 1)})
	upper := cohort(2, "V1", map[string]stats.Summary{"success": summary(f, 0, 0)})
	f.locked("acme", func(tx authority.Tx) error {
		for _, c := range []authority.Cohort{later, v2, none, v1, upper} {
			if err := tx.SaveCohort(c); err != nil {
				return err
			}
		}
		return nil
	})
	equal(f, "cohort", must(f, "acme", read(1, "v1")), v1)
	equal(f, "cohort without release", must(f, "acme", read(1, "")), none)
	absent(f, "acme", "cohort", read(3, "v1"))

	// A save replaces what it holds and leaves the other summaries.
	more := cohort(1, "v1", map[string]stats.Summary{"success": summary(f, 1, 1, 1, 0), "cost_usd": summary(f, 0.25)})
	more.Runs, more.FirstIndex, more.LastIndex = 4, 1, 99
	f.locked("acme", func(tx authority.Tx) error { return tx.SaveCohort(more) })
	more.Metrics["latency_ms"] = v1.Metrics["latency_ms"]
	equal(f, "folded cohort", must(f, "acme", read(1, "v1")), more)

	list := func(from int64, releases ...string) []authority.Cohort {
		return must(f, "acme", func(s authority.Snapshot) ([]authority.Cohort, error) {
			return s.Cohorts(authority.CohortFilter{AppID: "bot", Environment: "production", FromSpan: from, Releases: releases})
		})
	}
	equal(f, "all, by bytes", list(1, "v1", "v2", "", "V1"), []authority.Cohort{none, more, v2, upper, later})
	equal(f, "from a span", list(2, "v2", "v1"), []authority.Cohort{later})
	equal(f, "one release", list(0, "v2"), []authority.Cohort{v2})
	equal(f, "no release", list(0), nil)
	equal(f, "of another app", must(f, "acme", func(s authority.Snapshot) ([]authority.Cohort, error) {
		return s.Cohorts(authority.CohortFilter{AppID: "clerk", Environment: "production", Releases: []string{"v1"}})
	}), nil)

	some := func(metrics ...string) []authority.Cohort {
		return must(f, "acme", func(s authority.Snapshot) ([]authority.Cohort, error) {
			return s.Cohorts(authority.CohortFilter{AppID: "bot", Environment: "production", Releases: []string{"v1", ""}, Metrics: metrics})
		})
	}
	more.Metrics = map[string]stats.Summary{"cost_usd": more.Metrics["cost_usd"]}
	later.Metrics = nil
	equal(f, "some metrics", some("cost_usd", "nobody's"), []authority.Cohort{none, more, later})
}

// testCohortEpochs: the counts of a span's epochs are kept beside its cohorts.
func testCohortEpochs(f *fixture) {
	c := authority.Cohort{
		AppID: "bot", Environment: "production", Span: 1, Release: "v1", Runs: 4, FirstIndex: 1, LastIndex: 9,
		Metrics:      map[string]stats.Summary{"success": summary(f, 1, 0, 1), "cost_usd": summary(f, 0.5)},
		Epochs:       stats.EpochCounts{{Epoch: 1, Count: 3}, {Epoch: 4, Count: 1}},
		MetricEpochs: map[string]stats.EpochCounts{"success": {{Epoch: 1, Count: 2, Ones: 1}, {Epoch: 4, Count: 1, Ones: 1}}},
	}
	save := func(c authority.Cohort) {
		f.locked("acme", func(tx authority.Tx) error { return tx.SaveCohort(c) })
	}
	read := func(s authority.Snapshot) (authority.Cohort, error) { return s.Cohort("bot", "production", 1, "v1") }
	save(c)
	equal(f, "saved", must(f, "acme", read), c)
	more := c
	more.Metrics = map[string]stats.Summary{"success": summary(f, 1, 0, 1, 0)}
	more.Epochs = stats.EpochCounts{{Epoch: 1, Count: 3}, {Epoch: 4, Count: 1}, {Epoch: 5, Count: 1}}
	more.MetricEpochs = map[string]stats.EpochCounts{"success": {{Epoch: 1, Count: 2, Ones: 1}, {Epoch: 4, Count: 1, Ones: 1}, {Epoch: 5, Count: 1}}}
	save(more)
	more.Metrics["cost_usd"] = c.Metrics["cost_usd"]
	equal(f, "replaced", must(f, "acme", read), more)

	wrong := more
	wrong.MetricEpochs = map[string]stats.EpochCounts{"success": {{Epoch: 1, Count: 3, Ones: 2}}}
	save(wrong)
	if err := f.View(f.ctx(), "acme", func(s authority.Snapshot) error { _, err := read(s); return err }); err == nil {
		f.Error("counts that do not add up to the summary were read")
	}
}

// testCohortMixes: mixes are kept beside a cohort, by name and in groups, and
// their size is bounded.
func testCohortMixes(f *fixture) {
	named := authority.Cohort{AppID: "bot", Environment: "production", Span: 1, Release: "v1", Runs: 3, FirstIndex: 1, LastIndex: 9}
	for _, probe := range []string{"claim-0017", "", "claim-0017"} {
		named.Mixes.Add(probe, "model 2", "")
	}
	named.Mixes.Environments = stats.Mix{} // one, which is in the key
	grouped := authority.Cohort{AppID: "bot", Environment: "production", Span: 1, Release: "v2", Runs: 1000, FirstIndex: 2, LastIndex: 8}
	for i := range 1000 {
		grouped.Mixes.Probes.Add(fmt.Sprintf("probe-%d", i))
	}
	save := func(c authority.Cohort) {
		f.locked("acme", func(tx authority.Tx) error { return tx.SaveCohort(c) })
	}
	read := func(release string) authority.Cohort {
		return must(f, "acme", func(s authority.Snapshot) (authority.Cohort, error) { return s.Cohort("bot", "production", 1, release) })
	}
	save(named)
	save(grouped)
	equal(f, "by name", read("v1"), named)
	equal(f, "in groups", read("v2"), grouped)
	if data, _ := read("v2").Mixes.Probes.MarshalBinary(); len(data) > 1000 {
		f.Errorf("a mix of 1000 probes has %d bytes", len(data))
	}
	named.Runs++
	named.Mixes.Probes.Add("claim-0018")
	named.Mixes.Models.Add("")
	save(named)
	equal(f, "replaced", read("v1"), named)
	equal(f, "listed", must(f, "acme", func(s authority.Snapshot) ([]authority.Cohort, error) {
		return s.Cohorts(authority.CohortFilter{AppID: "bot", Environment: "production", Releases: []string{"v1", "v2"}})
	}), []authority.Cohort{named, grouped})
}

func testReleases(f *fixture) {
	f.locked("acme", func(tx authority.Tx) error {
		for _, c := range []authority.Cohort{
			{AppID: "bot", Environment: "production", Span: 1, Release: "v2", Runs: 5, FirstIndex: 2, LastIndex: 9, Metrics: map[string]stats.Summary{"b": summary(f, 1)}},
			{AppID: "bot", Environment: "production", Span: 2, Release: "v2", Runs: 6, FirstIndex: 12, LastIndex: 19, Metrics: map[string]stats.Summary{"a": summary(f, 1), "b": {}}},
			{AppID: "bot", Environment: "production", Span: 2, Release: "v1", Runs: 1, FirstIndex: 20, LastIndex: 20},
			{AppID: "bot", Environment: "canary", Span: 1, Release: "v9", Runs: 2, FirstIndex: 7, LastIndex: 8},
			{AppID: "agent", Environment: "production", Span: 1, Release: "", Runs: 3, FirstIndex: 30, LastIndex: 40},
		} {
			if err := tx.SaveCohort(c); err != nil {
				return err
			}
		}
		return nil
	})
	agent := api.Release{AppID: "agent", Environment: "production", Runs: 3, FirstIndex: 30, LastIndex: 40}
	canary := api.Release{AppID: "bot", Environment: "canary", Release: "v9", Runs: 2, FirstIndex: 7, LastIndex: 8}
	v2 := api.Release{AppID: "bot", Environment: "production", Release: "v2", Runs: 11, Metrics: []string{"a", "b"}, FirstIndex: 2, LastIndex: 19}
	v1 := api.Release{AppID: "bot", Environment: "production", Release: "v1", Runs: 1, FirstIndex: 20, LastIndex: 20}
	for _, c := range []struct {
		app, environment string
		want             []api.Release
	}{
		{"", "", []api.Release{agent, canary, v2, v1}},
		{"bot", "", []api.Release{canary, v2, v1}},
		{"bot", "production", []api.Release{v2, v1}},
		{"", "production", []api.Release{agent, v2, v1}},
		{"nobody", "", nil},
	} {
		got := must(f, "acme", func(s authority.Snapshot) ([]api.Release, error) { return s.Releases(c.app, c.environment) })
		equal(f, "releases of "+c.app+" "+c.environment, got, c.want)
	}
}
