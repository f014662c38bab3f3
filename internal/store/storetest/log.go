package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/cobound/prova/internal/authority"
)

func testRoundTripEntry(f *fixture) {
	full := authority.Entry{
		EventID: "0190-full", Kind: "outcome", Raw: []byte("{\"raw\":\"\x00\xff\"}"), Leaf: [32]byte{9, 31: 8},
		AppID: "bot ✓", Environment: "staging", Release: "v'2\"\\", RolloutID: "ro_1", RunID: "run 1", ProbeID: "probe?1",
		IdempotencyKey: "key $1", RequestHash: [32]byte{7, 31: 6}, Epoch: 3,
		RecordedAt: start.Add(123456 * time.Microsecond), Metrics: []string{"cost_usd", "ok, \"yes\""},
		Payloads: []authority.Payload{
			{Field: "input", Salt: [32]byte{1}, Value: []byte(`{"a":1}`)},
			{Field: "output", Salt: [32]byte{2}, Value: []byte(`null`)},
		},
	}
	bare := authority.Entry{EventID: "0190-bare", Kind: "key_event", Raw: []byte("{}"), RecordedAt: start.In(time.FixedZone("", -7200))}
	f.update("acme", func(tx authority.Tx) error { return add(tx, full, bare) })

	full.Index, bare.Index, full.Payloads = 0, 1, nil
	got := must(f, "acme", func(s authority.Snapshot) (authority.Entry, error) { return s.Entry(full.EventID) })
	equal(f, "entry", got, full)
	f.utc("entry", got.RecordedAt)
	equal(f, "log", f.log("acme"), []authority.Entry{full, bare})
	equal(f, "entry by key", must(f, "acme", func(s authority.Snapshot) (authority.Entry, error) {
		return s.EntryByKey(full.AppID, full.Environment, full.IdempotencyKey)
	}), full)
	for _, key := range [][3]string{{"bot ✓", "staging", ""}, {"", "", ""}, {"bot", "staging", "key $1"}, {"bot ✓", "production", "key $1"}} {
		absent(f, "acme", fmt.Sprintf("key %q", key), func(s authority.Snapshot) (authority.Entry, error) {
			return s.EntryByKey(key[0], key[1], key[2])
		})
	}
	absent(f, "acme", "entry", func(s authority.Snapshot) (authority.Entry, error) { return s.Entry("0190") })
}

func testAppendRefusesGaps(f *fixture) {
	f.update("acme", func(tx authority.Tx) error { return add(tx, entry("a"), entry("b")) })
	head := must(f, "acme", authority.Snapshot.Head)
	next, after := entry("c"), entry("d")
	grown := authority.Head{Tree: head.Tree.Append(next.Leaf)}
	for name, c := range map[string]struct {
		lock    bool
		indexes []int64
		head    authority.Head
	}{
		"without the lock": {false, []int64{2}, grown},
		"taken index":      {true, []int64{1}, grown},
		"gap before":       {true, []int64{3}, grown},
		"gap inside":       {true, []int64{2, 4}, authority.Head{Tree: grown.Tree.Append(after.Leaf)}},
		"same index":       {true, []int64{2, 2}, authority.Head{Tree: grown.Tree.Append(after.Leaf)}},
		"small tree":       {true, []int64{2}, head},
		"large tree":       {true, []int64{2}, authority.Head{Tree: grown.Tree.Append(after.Leaf)}},
		"another leaf":     {true, []int64{2}, authority.Head{Tree: head.Tree.Append(after.Leaf)}},
	} {
		err := f.Update(f.ctx(), "acme", func(tx authority.Tx) error {
			if c.lock {
				if _, err := tx.LockHead(); err != nil {
					return err
				}
			}
			entries := []authority.Entry{next, after}[:len(c.indexes)]
			for i, index := range c.indexes {
				entries[i].Index = index
			}
			return tx.Append(entries, c.head)
		})
		if err == nil {
			f.Errorf("%s: accepted", name)
		}
	}
	if n := len(f.log("acme")); n != 2 {
		f.Errorf("the log has %d entries, want 2", n)
	}
	// Twice in one transaction is as good as once.
	f.update("acme", func(tx authority.Tx) error {
		if err := add(tx, entry("c")); err != nil {
			return err
		}
		return add(tx, entry("d"), entry("e"))
	})
	f.update("acme", func(tx authority.Tx) error { return add(tx) })
	if n := len(f.log("acme")); n != 5 {
		f.Errorf("the log has %d entries, want 5", n)
	}
}

// testAppendBatches appends batches of sizes that are cut in different ways.
func testAppendBatches(f *fixture) {
	var want []string
	for _, n := range []int{1, 2, 3, 255, 256, 257, 1000} {
		batch := make([]authority.Entry, n)
		for i := range batch {
			batch[i] = entry(fmt.Sprintf("%06d", len(want)))
			batch[i].Payloads = []authority.Payload{{Field: "x", Value: []byte("1")}, {Field: "y", Value: []byte("2")}}
			want = append(want, batch[i].EventID)
		}
		f.update("acme", func(tx authority.Tx) error { return add(tx, batch...) })
	}
	var got []string
	for _, e := range f.log("acme") {
		got = append(got, e.EventID)
	}
	equal(f, "event ids", got, want)
}

func testAppendRefusesDuplicates(f *fixture) {
	keyed := entry("a")
	keyed.IdempotencyKey = "k"
	f.update("acme", func(tx authority.Tx) error { return add(tx, keyed, entry("b"), entry("c")) })
	sameKey := keyed
	sameKey.EventID = "d"
	f.refused(authority.ErrExists, "acme", func(tx authority.Tx) error { return add(tx, sameKey) })
	f.refused(authority.ErrExists, "acme", func(tx authority.Tx) error { return add(tx, entry("e"), entry("b")) })
	f.refused(authority.ErrExists, "acme", func(tx authority.Tx) error { return add(tx, entry("e"), entry("e")) })

	app, environment := sameKey, sameKey
	app.AppID, app.EventID = "other bot", "f"
	environment.Environment, environment.EventID = "staging", "g"
	f.update("acme", func(tx authority.Tx) error { return add(tx, app, environment) })
	f.update("other", func(tx authority.Tx) error { return add(tx, keyed) })
	if n := len(f.log("acme")); n != 5 {
		f.Errorf("the log has %d entries, want 5", n)
	}
}

// selected is the contract of EntryFilter, spelled out.
func selected(e authority.Entry, filter authority.EntryFilter) bool {
	for _, pair := range [][2]string{
		{filter.Kind, e.Kind},
		{filter.AppID, e.AppID},
		{filter.Environment, e.Environment},
		{filter.Release, e.Release},
		{filter.RolloutID, e.RolloutID},
		{filter.ProbeID, e.ProbeID},
	} {
		if pair[0] != "" && pair[0] != pair[1] {
			return false
		}
	}
	return (filter.Since.IsZero() || !e.RecordedAt.Before(filter.Since)) &&
		(filter.Until.IsZero() || e.RecordedAt.Before(filter.Until)) &&
		e.Index >= filter.From && (filter.Before <= 0 || e.Index < filter.Before)
}

func testEntries(f *fixture) {
	var all []authority.Entry
	pick := func(n int, from ...string) string { return from[n%len(from)] }
	for i := range 120 {
		e := entry(fmt.Sprintf("%03d", i))
		e.Kind = pick(i, "agent_run", "outcome", "rollout_decision", "note")
		e.AppID = pick(i/2, "bot", "clerk", "")
		e.Environment = pick(i/3, "production", "staging")
		e.Release = pick(i/5, "v1", "v2", "")
		e.RolloutID = pick(i, "", "ro_1", "ro_2")
		e.ProbeID = pick(i/4, "", "p1")
		e.RecordedAt = at(i - i%7*3) // clocks step back
		e.Index = int64(i)
		all = append(all, e)
	}
	f.update("acme", func(tx authority.Tx) error { return add(tx, slices.Clone(all)...) })
	for _, filter := range []authority.EntryFilter{
		{},
		{Kind: "agent_run"},
		{Kind: "outcome"},
		{Kind: "nothing"},
		{AppID: "bot"},
		{AppID: "bot", Environment: "staging"},
		{AppID: "bot", Environment: "staging", Release: "v2"},
		{Environment: "production"},
		{Release: "v1"},
		{RolloutID: "ro_1"},
		{RolloutID: "ro_2", Kind: "rollout_decision"},
		{ProbeID: "p1"},
		{ProbeID: "p1", AppID: "clerk", Kind: "agent_run"},
		{Since: at(50)},
		{Until: at(50)},
		{Since: at(20), Until: at(90), AppID: "bot"},
		{From: 7},
		{Before: 7},
		{From: 10, Before: 11},
		{From: 30, Before: 90, Kind: "outcome"},
		{From: 500},
	} {
		for _, newest := range []bool{false, true} {
			filter.Newest = newest
			var want []authority.Entry
			for _, e := range all {
				if selected(e, filter) {
					want = append(want, e)
				}
			}
			if newest {
				slices.Reverse(want)
			}
			equal(f, fmt.Sprintf("%+v", filter), f.pages(filter), want)
		}
	}
	if got := must(f, "acme", func(s authority.Snapshot) ([]authority.Entry, error) { return s.Entries(authority.EntryFilter{}, 0) }); len(got) != 0 {
		f.Errorf("a limit of 0 returned %d entries", len(got))
	}
}

// pages reads with a small limit, from page to page.
func (f *fixture) pages(filter authority.EntryFilter) []authority.Entry {
	f.Helper()
	var all []authority.Entry
	for {
		const limit = 11
		page := must(f, "acme", func(s authority.Snapshot) ([]authority.Entry, error) { return s.Entries(filter, limit) })
		all = append(all, page...)
		switch {
		case len(page) > limit:
			f.Fatalf("a page has %d entries", len(page))
		case len(page) < limit:
			return all
		case filter.Newest && page[limit-1].Index == 0:
			return all
		case filter.Newest:
			filter.Before = page[limit-1].Index
		default:
			filter.From = page[limit-1].Index + 1
		}
	}
}

func testRunEntries(f *fixture) {
	var entries []authority.Entry
	for i, e := range []struct{ kind, app, environment, run string }{
		{"outcome", "bot", "production", "r1"},
		{"agent_run", "bot", "production", "r1"},
		{"agent_run", "bot", "production", "r2"},
		{"outcome", "bot", "staging", "r1"},
		{"outcome", "clerk", "production", "r1"},
		{"note", "bot", "production", "r1"},
		{"agent_run", "bot", "production", ""},
		{"outcome", "bot", "production", "r1"},
	} {
		one := entry(fmt.Sprint(i))
		one.Kind, one.AppID, one.Environment, one.RunID = e.kind, e.app, e.environment, e.run
		entries = append(entries, one)
	}
	f.update("acme", func(tx authority.Tx) error { return add(tx, entries...) })
	var got []int64
	for _, e := range must(f, "acme", func(s authority.Snapshot) ([]authority.Entry, error) { return s.RunEntries("bot", "production", "r1") }) {
		got = append(got, e.Index)
	}
	equal(f, "indexes", got, []int64{0, 1, 7})
	if none := must(f, "acme", func(s authority.Snapshot) ([]authority.Entry, error) { return s.RunEntries("bot", "production", "") }); len(none) != 0 {
		f.Errorf("no run id selected %d entries", len(none))
	}
}
