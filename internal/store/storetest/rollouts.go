package storetest

import (
	"fmt"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

func rollout(id string) authority.RolloutRecord {
	return authority.RolloutRecord{
		ID: id, AppID: "bot", Environment: "production", BaselineRelease: "v1", CandidateRelease: "v2",
		Mode: api.ModeCanary, State: api.StateActive, CreatedAt: at(1), Version: 1, Doc: []byte(`{"id":"` + id + `"}`),
	}
}

func testRoundTripRollout(f *fixture) {
	read := func(s authority.Snapshot) (authority.RolloutRecord, error) { return s.Rollout("ro_1") }
	absent(f, "acme", "rollout", read)
	want := rollout("ro_1")
	given := want
	given.Version = 17 // the store's to say
	f.update("acme", func(tx authority.Tx) error { return tx.CreateRollout(given) })
	equal(f, "created", must(f, "acme", read), want)
	f.utc("rollout", must(f, "acme", read).CreatedAt)

	saved := authority.RolloutRecord{
		ID: "ro_1", AppID: "clerk", Environment: "staging", BaselineRelease: "b", CandidateRelease: "c",
		Mode: api.ModeShadow, State: api.StatePromoted, CreatedAt: at(2), Version: 1, Doc: []byte("\x00\xff"),
	}
	f.update("acme", func(tx authority.Tx) error { return tx.SaveRollout(saved) })
	moved := saved
	moved.Version = 2
	equal(f, "saved", must(f, "acme", read), moved)

	f.refused(authority.ErrVersion, "acme", func(tx authority.Tx) error { return tx.SaveRollout(saved) })
	ahead := moved
	ahead.Version = 3
	f.refused(authority.ErrVersion, "acme", func(tx authority.Tx) error { return tx.SaveRollout(ahead) })
	f.refused(authority.ErrNotFound, "acme", func(tx authority.Tx) error { return tx.SaveRollout(rollout("ro_2")) })
	f.refused(authority.ErrExists, "acme", func(tx authority.Tx) error { return tx.CreateRollout(moved) })
	equal(f, "unmoved", must(f, "acme", read), moved)
}

func testRollouts(f *fixture) {
	var all []authority.RolloutRecord
	f.update("acme", func(tx authority.Tx) error {
		all = nil
		for i := range 30 {
			r := rollout(fmt.Sprintf("ro_%02d", i))
			r.Mode = []api.Mode{api.ModeShadow, api.ModeCanary}[i%2]
			r.State = []api.State{api.StatePromoted, api.StateActive, api.StateRolledBack, api.StatePaused, api.StateAborted}[i%5]
			r.AppID = fmt.Sprint("app ", i%4/2)
			r.Environment = fmt.Sprint("env ", i) // one canary each
			if i%2 == 0 {
				r.Environment = "production"
			}
			r.CandidateRelease = fmt.Sprint("v", i%3)
			if err := tx.CreateRollout(r); err != nil {
				return err
			}
			all = append(all, r)
		}
		return nil
	})
	slices.Reverse(all)
	for _, filter := range []authority.RolloutFilter{
		{},
		{AppID: "app 1"},
		{Environment: "production"},
		{AppID: "app 0", Environment: "production"},
		{CandidateRelease: "v1"},
		{Mode: api.ModeShadow},
		{States: []api.State{api.StateActive, api.StatePaused}},
		{States: []api.State{api.StatePaused}},
		{States: []api.State{api.StatePromoted, api.StateActive}},
		{AppID: "app 1", Environment: "production", Mode: api.ModeShadow, States: []api.State{api.StateActive}},
		{BeforeID: "ro_07"},
		{BeforeID: "ro_07", Mode: api.ModeCanary},
		{AppID: "nobody"},
	} {
		var want []authority.RolloutRecord
		for _, r := range all {
			if (filter.AppID == "" || filter.AppID == r.AppID) && (filter.Environment == "" || filter.Environment == r.Environment) &&
				(filter.CandidateRelease == "" || filter.CandidateRelease == r.CandidateRelease) && (filter.Mode == "" || filter.Mode == r.Mode) &&
				(len(filter.States) == 0 || slices.Contains(filter.States, r.State)) && (filter.BeforeID == "" || r.ID < filter.BeforeID) {
				want = append(want, r)
			}
		}
		for _, limit := range []int{0, 3, 100} {
			got := must(f, "acme", func(s authority.Snapshot) ([]authority.RolloutRecord, error) { return s.Rollouts(filter, limit) })
			equal(f, fmt.Sprintf("%+v, at most %d", filter, limit), got, want[:min(limit, len(want))])
		}
	}
}

func testOneUnfinishedCanary(f *fixture) {
	create := func(id string, change func(*authority.RolloutRecord)) func(authority.Tx) error {
		r := rollout(id)
		change(&r)
		return func(tx authority.Tx) error { return tx.CreateRollout(r) }
	}
	same := func(*authority.RolloutRecord) {}
	f.update("acme", create("ro_1", same))
	f.refused(authority.ErrExists, "acme", create("ro_2", same))
	f.refused(authority.ErrExists, "acme", create("ro_2", func(r *authority.RolloutRecord) { r.CandidateRelease, r.State = "v3", api.StatePaused }))
	f.update("acme", create("ro_2", func(r *authority.RolloutRecord) { r.Mode = api.ModeShadow }))
	f.update("acme", create("ro_3", func(r *authority.RolloutRecord) { r.AppID = "clerk" }))
	f.update("acme", create("ro_4", func(r *authority.RolloutRecord) { r.Environment = "staging" }))
	f.update("acme", create("ro_5", func(r *authority.RolloutRecord) { r.State = api.StateAborted }))
	f.update("other", create("ro_1", same))

	ended := rollout("ro_1")
	ended.State = api.StateRolledBack
	f.update("acme", func(tx authority.Tx) error { return tx.SaveRollout(ended) })
	f.update("acme", create("ro_6", same))
}

func testBlocks(f *fixture) {
	open := func(s authority.Snapshot) (authority.BlockRecord, error) { return s.OpenBlock("ro_1") }
	closed := func(after int64, limit int) []authority.BlockRecord {
		return must(f, "acme", func(s authority.Snapshot) ([]authority.BlockRecord, error) {
			return s.ClosedBlocks("ro_1", after, limit)
		})
	}
	shadow := rollout("ro_2")
	shadow.Mode = api.ModeShadow
	f.locked("acme", func(tx authority.Tx) error {
		if err := tx.CreateRollout(shadow); err != nil {
			return err
		}
		return tx.CreateRollout(rollout("ro_1"))
	})
	absent(f, "acme", "open block", open)
	var want []authority.BlockRecord
	for n := range int64(12) {
		b := authority.BlockRecord{RolloutID: "ro_1", Number: n + 1, Doc: fmt.Appendf(nil, "open %d", n)}
		f.locked("acme", func(tx authority.Tx) error { return tx.SaveBlock(b) })
		equal(f, "open", must(f, "acme", open), b)
		b.Closed, b.Doc = true, fmt.Appendf(nil, "closed \x00 %d", n)
		f.locked("acme", func(tx authority.Tx) error { return tx.SaveBlock(b) })
		want = append(want, b)
	}
	f.locked("acme", func(tx authority.Tx) error {
		return tx.SaveBlock(authority.BlockRecord{RolloutID: "ro_1", Number: 13, Doc: []byte("open")})
	})
	f.locked("acme", func(tx authority.Tx) error {
		return tx.SaveBlock(authority.BlockRecord{RolloutID: "ro_2", Number: 1, Closed: true, Doc: []byte("another's")})
	})
	equal(f, "closed", closed(0, 100), want)
	equal(f, "a page", closed(3, 5), want[3:8])
	equal(f, "behind the last", closed(12, 5), nil)
	equal(f, "none asked for", closed(0, 0), nil)
	f.refused(authority.ErrExists, "acme", func(tx authority.Tx) error {
		if _, err := tx.LockHead(); err != nil {
			return err
		}
		return tx.SaveBlock(authority.BlockRecord{RolloutID: "ro_1", Number: 14, Doc: []byte("a second open one")})
	})
}

func testDecisions(f *fixture) {
	f.update("acme", func(tx authority.Tx) error { return tx.CreateRollout(rollout("ro_1")) })
	full := api.Decision{
		EventID: "e1", Sequence: 1, Decision: api.Rollback, Action: "abort",
		Reason: api.Reason{Code: "regressed", Params: map[string]any{"gate": "success:rate", "n": 3.5}, Text: "It is worse."},
		Mode:   api.ModeCanary, StateBefore: api.StateActive, State: api.StateRolledBack, StepBefore: 2, Step: 3,
		WeightFrom: 25, Weight: 0, Terminal: true, Advisory: true, Actor: "key_1", RecordedAt: at(4), LogIndex: 77, Verdict: api.Regressed,
		Gates: []api.DecisionGate{{
			Gate: "success:rate", Verdict: api.Regressed, Difference: &api.Difference{Estimate: -0.1, Lo: -0.2, Hi: 5e-324, Method: "m", Strata: 2},
			OneLook: &api.Difference{Estimate: 1.0 / 3, Confidence: 0.95},
		}},
	}
	all := []api.Decision{full}
	for n := range int64(11) {
		all = append(all, api.Decision{Sequence: n + 2, Decision: api.Hold, RecordedAt: at(5)})
	}
	f.update("acme", func(tx authority.Tx) error {
		for _, d := range all {
			if err := tx.AddDecision("ro_1", d); err != nil {
				return err
			}
		}
		return nil
	})
	list := func(after int64, limit int) []api.Decision {
		return must(f, "acme", func(s authority.Snapshot) ([]api.Decision, error) { return s.Decisions("ro_1", after, limit) })
	}
	equal(f, "time line", list(0, 100), all)
	equal(f, "a page", list(2, 4), all[2:6])
	equal(f, "none", list(12, 4), nil)
	equal(f, "none asked for", list(0, 0), nil)
	f.utc("decision", list(0, 1)[0].RecordedAt)
	f.refused(authority.ErrExists, "acme", func(tx authority.Tx) error { return tx.AddDecision("ro_1", all[3]) })
	f.refused(authority.ErrNotFound, "acme", func(tx authority.Tx) error { return tx.AddDecision("ro_9", full) })
}
