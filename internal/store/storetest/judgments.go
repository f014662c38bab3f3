package storetest

import (
	"fmt"
	"slices"

	"github.com/cobound/prova/internal/authority"
)

// judgmentAt is a judgment at a log index, on the pair of a probe.
func judgmentAt(index int64, probe, judge string, decided bool) authority.JudgmentRecord {
	return authority.JudgmentRecord{
		Index: index, AppID: "a", Environment: "production", Baseline: "v1", Candidate: "v2", ProbeID: probe, Judge: judge, Decided: decided,
		Doc: fmt.Appendf(nil, `{"index":%d}`, index),
	}
}

func (f *fixture) judge(org string, records ...authority.JudgmentRecord) {
	f.Helper()
	f.locked(org, func(tx authority.Tx) error { return tx.AddJudgments(records) })
}

func testJudgments(f *fixture) {
	on := authority.JudgmentFilter{AppID: "a", Environment: "production", Baseline: "v1", Candidate: "v2"}
	f.judge("acme",
		judgmentAt(1, "p1", "j1", true), judgmentAt(2, "p1", "j1", true), judgmentAt(3, "p2", "j1", false), judgmentAt(4, "p2", "j1", true),
		judgmentAt(5, "p1", "j2", true), judgmentAt(6, "p2", "j1", false))
	others := []authority.JudgmentRecord{judgmentAt(7, "p1", "j1", true), judgmentAt(8, "p1", "j1", true), judgmentAt(9, "p1", "j1", true), judgmentAt(10, "p1", "j1", true)}
	others[0].AppID, others[1].Environment, others[2].Baseline, others[3].Candidate = "b", "staging", "v0", "v3"
	f.judge("acme", others...)
	f.judge("other", judgmentAt(1, "p9", "j1", true))
	read := func(filter authority.JudgmentFilter, limit int) (indexes, repeats []int64) {
		f.Helper()
		for _, j := range must(f, "acme", func(s authority.Snapshot) ([]authority.JudgmentRecord, error) { return s.Judgments(filter, limit) }) {
			indexes = append(indexes, j.Index)
			if j.Repeat {
				repeats = append(repeats, j.Index)
			}
		}
		return indexes, repeats
	}
	for _, c := range []struct {
		name             string
		since, from, to  int64
		newest           bool
		limit            int
		indexes, repeats []int64
	}{
		{"all", 0, 0, 0, false, 99, []int64{1, 2, 3, 4, 5, 6}, []int64{2, 6}}, // none is no verdict that another could repeat
		{"since", 2, 2, 0, false, 99, []int64{2, 3, 4, 5, 6}, []int64{6}},
		{"from", 0, 4, 0, false, 99, []int64{4, 5, 6}, []int64{6}},
		{"before", 0, 0, 3, false, 99, []int64{1, 2}, []int64{2}},
		{"newest", 0, 0, 0, true, 2, []int64{6, 5}, []int64{6}},
		{"none", 0, 0, 0, false, 0, nil, nil},
	} {
		filter := on
		filter.Since, filter.From, filter.Before, filter.Newest = c.since, c.from, c.to, c.newest
		indexes, repeats := read(filter, c.limit)
		equal(f, c.name, indexes, c.indexes)
		equal(f, c.name+", repeats", repeats, c.repeats)
	}
	whole := must(f, "acme", func(s authority.Snapshot) ([]authority.JudgmentRecord, error) { return s.Judgments(on, 1) })
	equal(f, "one", whole, []authority.JudgmentRecord{judgmentAt(1, "p1", "j1", true)})
	for judge, want := range map[string][]string{"j1": {"p1", "p2"}, "j2": {"p1"}, "j3": nil} {
		probes := must(f, "acme", func(s authority.Snapshot) ([]string, error) {
			return s.JudgedProbes(on, judge, []string{"p1", "p2", "p3"})
		})
		slices.Sort(probes)
		equal(f, judge, probes, want)
	}
	late := on
	late.Since = 5
	equal(f, "since then", must(f, "acme", func(s authority.Snapshot) ([]string, error) { return s.JudgedProbes(late, "j1", []string{"p1", "p2"}) }), []string(nil))
	equal(f, "of nothing", must(f, "acme", func(s authority.Snapshot) ([]string, error) { return s.JudgedProbes(on, "j1", nil) }), []string(nil))
}

func testCalibrations(f *fixture) {
	add := func(org, app, judge string, index int64) {
		f.Helper()
		f.locked(org, func(tx authority.Tx) error { return tx.AddCalibration(app, "production", judge, index) })
	}
	add("acme", "a", "j1", 3)
	add("acme", "a", "j1", 9)
	add("acme", "a", "j2", 11)
	add("acme", "b", "j1", 12)
	add("other", "a", "j1", 99)
	equal(f, "the newest", must(f, "acme", func(s authority.Snapshot) (int64, error) { return s.Calibration("a", "production", "j1") }), int64(9))
	f.refused(authority.ErrNotFound, "acme", func(tx authority.Tx) error { _, err := tx.Calibration("a", "staging", "j1"); return err })
	f.refused(authority.ErrNotFound, "acme", func(tx authority.Tx) error { _, err := tx.Calibration("a", "production", "j3"); return err })
}

func testProbeRuns(f *fixture) {
	var entries []authority.Entry
	for i, r := range []struct{ probe, release, kind string }{
		{"b", "v1", "agent_run"},
		{"a", "v2", "agent_run"},
		{"a", "v1", "agent_run"},
		{"a", "v1", "agent_run"},
		{"", "v1", "agent_run"},
		{"c", "v3", "agent_run"},
		{"b", "v2", "tool_call"},
		{"c", "v1", "agent_run"},
		{"d", "v2", "agent_run"},
	} {
		e := entry(fmt.Sprint("e", i))
		e.Kind, e.Release, e.ProbeID, e.AppID, e.Environment = r.kind, r.release, r.probe, "a", "production"
		entries = append(entries, e)
	}
	f.update("acme", func(tx authority.Tx) error { return add(tx, entries...) })
	runs := func(after string, limit int) []authority.ProbeRun {
		f.Helper()
		return must(f, "acme", func(s authority.Snapshot) ([]authority.ProbeRun, error) {
			return s.ProbeRuns("a", "production", []string{"v1", "v2"}, after, limit)
		})
	}
	a, rest := []authority.ProbeRun{{ProbeID: "a", Release: "v1", Index: 2}, {ProbeID: "a", Release: "v2", Index: 1}}, []authority.ProbeRun{
		{ProbeID: "b", Release: "v1", Index: 0}, {ProbeID: "c", Release: "v1", Index: 7}, {ProbeID: "d", Release: "v2", Index: 8},
	}
	equal(f, "all", runs("", 9), append(a, rest...))
	equal(f, "one probe", runs("", 1), a)
	equal(f, "two behind the first", runs("a", 2), rest[:2])
	equal(f, "behind the last", runs("d", 2), []authority.ProbeRun(nil))
	equal(f, "of nobody", must(f, "other", func(s authority.Snapshot) ([]authority.ProbeRun, error) {
		return s.ProbeRuns("a", "production", []string{"v1", "v2"}, "", 9)
	}), []authority.ProbeRun(nil))
}

func testJudgeJobs(f *fixture) {
	save := func(org, id, rollout, doc string) {
		f.Helper()
		f.update(org, func(tx authority.Tx) error {
			return tx.SaveJudgeJob(authority.JobRecord{ID: id, RolloutID: rollout, Doc: []byte(doc)})
		})
	}
	save("acme", "job_1", "r1", "{}")
	save("acme", "job_2", "r1", "{}")
	save("acme", "job_3", "r2", "{}")
	save("acme", "job_1", "r1", `{"again":1}`)
	save("other", "job_1", "r1", `{"foreign":1}`)
	want := authority.JobRecord{ID: "job_1", RolloutID: "r1", Doc: []byte(`{"again":1}`)}
	equal(f, "one", must(f, "acme", func(s authority.Snapshot) (authority.JobRecord, error) { return s.JudgeJob("job_1") }), want)
	equal(f, "newest first", must(f, "acme", func(s authority.Snapshot) ([]authority.JobRecord, error) { return s.JudgeJobs("r1", 9) }),
		[]authority.JobRecord{{ID: "job_2", RolloutID: "r1", Doc: []byte("{}")}, want})
	equal(f, "the newest", must(f, "acme", func(s authority.Snapshot) ([]authority.JobRecord, error) { return s.JudgeJobs("r1", 1) })[0].ID, "job_2")
	f.refused(authority.ErrNotFound, "other", func(tx authority.Tx) error { _, err := tx.JudgeJob("job_2"); return err })
}
