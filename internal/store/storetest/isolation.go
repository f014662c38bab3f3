package storetest

import (
	"errors"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/stats"
)

// fill writes one of everything into an org, under the same ids in each.
func (f *fixture) fill(org, mark string) {
	f.Helper()
	f.hooked(org, delivery("d1"))
	f.locked(org, func(tx authority.Tx) error {
		e := entry("e1")
		e.RolloutID, e.RunID, e.ProbeID, e.IdempotencyKey, e.Raw = "ro_1", "run", "probe", "key", []byte(mark)
		r := rollout("ro_1")
		r.Doc = []byte(mark)
		k := apiKey("key of " + org)
		k.Org = org
		for _, err := range []error{
			add(tx, e),
			tx.CreateRollout(r),
			tx.SaveEpoch(authority.Epoch{AppID: "bot", Environment: "production", Number: 1, Span: 1, StartedAt: start, Runs: 1}),
			tx.SaveCohort(authority.Cohort{AppID: "bot", Environment: "production", Span: 1, Release: "v1", Runs: 1, Metrics: map[string]stats.Summary{mark: {}}}),
			tx.SaveBlock(authority.BlockRecord{RolloutID: "ro_1", Number: 1, Closed: true, Doc: []byte(mark)}),
			tx.SaveBlock(authority.BlockRecord{RolloutID: "ro_1", Number: 2, Doc: []byte(mark)}),
			tx.AddDecision("ro_1", api.Decision{Sequence: 1, Actor: mark}),
			tx.AddAttempt("d1", api.Attempt{Number: 1, At: start, Answer: mark}),
			tx.AddJudgments([]authority.JudgmentRecord{{AppID: "bot", Environment: "production", Baseline: "v1", Candidate: "v2", ProbeID: "probe", Judge: "j", Decided: true, Doc: []byte(mark)}}),
			tx.AddCalibration("bot", "production", "j", 0),
			tx.SaveJudgeJob(authority.JobRecord{ID: "job_1", RolloutID: "ro_1", Doc: []byte(mark)}),
			tx.SaveAPIKey(k),
		} {
			if err != nil {
				return err
			}
		}
		_, err := tx.SaveCheckpoint(api.Checkpoint{Size: 1, Note: mark})
		if err == nil {
			err = errors.Join(tx.SaveCosignature(cosignature(1, "w1", 1)), tx.SaveWitnessState(witnessState("w1")))
		}
		return err
	})
}

// look reads an org by every method there is and returns what it found.
func look(s authority.Snapshot) map[string]any {
	found := map[string]any{}
	keep := func(what string, v any, err error, n int) {
		if err == nil && n > 0 {
			found[what] = v
		}
	}
	one := func(what string, v any, err error) { keep(what, v, err, 1) }
	head, err := s.Head()
	keep("head", head, err, int(head.Tree.Size()))
	v1, err := s.Entry("e1")
	one("entry", v1, err)
	v2, err := s.EntryByKey("bot", "production", "key")
	one("entry by key", v2, err)
	for what, filter := range map[string]authority.EntryFilter{
		"entries": {}, "entries of app": {AppID: "bot", Environment: "production"}, "entries of rollout": {RolloutID: "ro_1"},
		"entries of probe": {ProbeID: "probe"}, "newest entries": {Newest: true},
	} {
		v, err := s.Entries(filter, 10)
		keep(what, v, err, len(v))
	}
	v3, err := s.RunEntries("bot", "production", "run")
	keep("run entries", v3, err, len(v3))
	v4, err := s.Checkpoint()
	one("checkpoint", v4, err)
	v5, err := s.OpenEpoch("bot", "production")
	one("open epoch", v5, err)
	v0, err := s.Epoch("bot", "production", 1)
	one("epoch", v0, err)
	v6, err := s.Cohort("bot", "production", 1, "v1")
	one("cohort", v6, err)
	v7, err := s.Cohorts(authority.CohortFilter{AppID: "bot", Environment: "production", Releases: []string{"v1"}})
	keep("cohorts", v7, err, len(v7))
	v8, err := s.Releases("", "")
	keep("releases", v8, err, len(v8))
	v9, err := s.Rollout("ro_1")
	one("rollout", v9, err)
	v10, err := s.Rollouts(authority.RolloutFilter{}, 10)
	keep("rollouts", v10, err, len(v10))
	v11, err := s.OpenBlock("ro_1")
	one("open block", v11, err)
	v12, err := s.ClosedBlocks("ro_1", 0, 10)
	keep("closed blocks", v12, err, len(v12))
	v13, err := s.Decisions("ro_1", 0, 10)
	keep("decisions", v13, err, len(v13))
	v14, err := s.Webhooks()
	keep("webhooks", v14, err, len(v14))
	v15, err := s.Webhook("wh_1")
	one("webhook", v15, err)
	v16, err := s.Deliveries("wh_1", "", 10)
	keep("deliveries", v16, err, len(v16))
	v17, err := s.Delivery("d1")
	one("delivery", v17, err)
	v18, err := s.APIKeys()
	keep("API keys", v18, err, len(v18))
	v19, err := s.Cosignatures(0, 9)
	keep("cosignatures", v19, err, len(v19))
	v20, err := s.WitnessState("w1")
	one("witness state", v20, err)
	v21, err := s.WitnessStates()
	keep("witness states", v21, err, len(v21))
	on := authority.JudgmentFilter{AppID: "bot", Environment: "production", Baseline: "v1", Candidate: "v2"}
	v22, err := s.Judgments(on, 9)
	keep("judgments", v22, err, len(v22))
	v23, err := s.JudgedProbes(on, "j", []string{"probe"})
	keep("judged probes", v23, err, len(v23))
	v24, err := s.Calibration("bot", "production", "j")
	one("calibration", v24, err)
	v25, err := s.ProbeRuns("bot", "production", []string{""}, "", 9)
	keep("runs of probes", v25, err, len(v25))
	v26, err := s.JudgeJob("job_1")
	one("judging job", v26, err)
	v27, err := s.JudgeJobs("ro_1", 9)
	keep("judging jobs", v27, err, len(v27))
	return found
}

func testIsolation(f *fixture) {
	f.fill("acme", "of acme")
	for _, org := range []string{"other", "nobody", ""} {
		f.view(org, func(s authority.Snapshot) error {
			equal(f, "what "+org+" sees of acme", look(s), map[string]any{})
			return nil
		})
	}
	var before map[string]any
	f.view("acme", func(s authority.Snapshot) error { before = look(s); return nil })
	if len(before) != 34 {
		f.Errorf("acme sees %d things of its own, want 28", len(before))
	}

	// The same ids in another org, and what is done to them there, change nothing.
	f.fill("other", "of other")
	f.locked("other", func(tx authority.Tx) error {
		r := rollout("ro_1")
		r.State = api.StateAborted
		for _, err := range []error{
			tx.SaveRollout(r),
			tx.SaveEpoch(authority.Epoch{AppID: "bot", Environment: "production", Number: 2, Span: 2, StartedAt: start}),
			tx.SaveCohort(authority.Cohort{AppID: "bot", Environment: "production", Span: 1, Release: "v1", Runs: 9}),
			tx.SaveBlock(authority.BlockRecord{RolloutID: "ro_1", Number: 2, Closed: true, Doc: []byte("x")}),
			tx.SaveDelivery(api.Delivery{ID: "d1", Status: api.DeliveryFailed}),
			add(tx, entry("e2")),
			tx.DeleteWebhook("wh_1"),
			tx.SaveCosignature(cosignature(1, "w2", 2)),
			tx.SaveWitnessState(authority.WitnessState{VKey: "w1", Error: "of other", AskedAt: start, NextAt: start}),
		} {
			if err != nil {
				return err
			}
		}
		_, err := tx.SupersedePromotes("ro_1")
		return err
	})
	f.view("acme", func(s authority.Snapshot) error {
		equal(f, "acme after other wrote", look(s), before)
		return nil
	})
}

// testTexts: what one database could not keep is refused by all, and names nothing.
func testTexts(f *fixture) {
	for _, bad := range []string{"a\x00b", "\xff", "\xed\xa0\x80"} {
		e := entry("e1")
		e.RunID = bad
		if err := f.Update(f.ctx(), "acme", func(tx authority.Tx) error { return add(tx, e) }); err == nil {
			f.Errorf("%q was stored", bad)
		}
		absent(f, "acme", "entry", func(s authority.Snapshot) (authority.Entry, error) { return s.Entry(bad) })
		absent(f, bad, "head", authority.Snapshot.Head)
		equal(f, "entries", must(f, "acme", func(s authority.Snapshot) ([]authority.Entry, error) {
			return s.Entries(authority.EntryFilter{AppID: bad}, 5)
		}), nil)
	}
	for _, good := range []string{"\u0001\u007f", "a'b\"c`d\\e;--", "%_", "𝄞é", "$1 ?"} {
		e := entry("id " + good)
		e.RunID, e.AppID = good, good
		f.update("acme", func(tx authority.Tx) error { return add(tx, e) })
		got := must(f, "acme", func(s authority.Snapshot) ([]authority.Entry, error) { return s.RunEntries(good, "production", good) })
		if len(got) != 1 || got[0].AppID != good {
			f.Errorf("%q: found %v", good, got)
		}
	}
}
