// Package storetest holds the conformance suite of [authority.Store]. What the
// authority relies on is a test here, so that every database keeps the same
// promises.
package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/stats"
	"github.com/cobound/prova/receipt"
)

// Run runs the suite, its tests in parallel. open returns an empty store for
// one test, which the suite closes.
func Run(t *testing.T, open func(t *testing.T) authority.Store) {
	for _, c := range []struct {
		name string
		test func(*fixture)
	}{
		{"Orgs", testOrgs},
		{"SigningKeys", testSigningKeys},
		{"APIKeys", testAPIKeys},
		{"Sessions", testSessions},
		{"RoundTripEntry", testRoundTripEntry},
		{"AppendRefusesGaps", testAppendRefusesGaps},
		{"AppendBatches", testAppendBatches},
		{"AppendRefusesDuplicates", testAppendRefusesDuplicates},
		{"Payloads", testPayloads},
		{"KeyEnds", testKeyEnds},
		{"Entries", testEntries},
		{"RunEntries", testRunEntries},
		{"Checkpoints", testCheckpoints},
		{"Cosignatures", testCosignatures},
		{"WitnessStates", testWitnessStates},
		{"NotCosigned", testNotCosigned},
		{"Hashes", testHashes},
		{"SaveNodes", testSaveNodes},
		{"WritesNeedTheLock", testWritesNeedTheLock},
		{"Epochs", testEpochs},
		{"Cohorts", testCohorts},
		{"CohortEpochs", testCohortEpochs},
		{"CohortMixes", testCohortMixes},
		{"Releases", testReleases},
		{"RoundTripRollout", testRoundTripRollout},
		{"Rollouts", testRollouts},
		{"OneUnfinishedCanary", testOneUnfinishedCanary},
		{"Blocks", testBlocks},
		{"Decisions", testDecisions},
		{"Judgments", testJudgments},
		{"Calibrations", testCalibrations},
		{"ProbeRuns", testProbeRuns},
		{"JudgeJobs", testJudgeJobs},
		{"Webhooks", testWebhooks},
		{"Deliveries", testDeliveries},
		{"ClaimDelivery", testClaimDelivery},
		{"SupersedePromotes", testSupersedePromotes},
		{"Isolation", testIsolation},
		{"Texts", testTexts},
		{"ErrorUndoesEverything", testErrorUndoesEverything},
		{"FailedStatementIsNotCommitted", testFailedStatement},
		{"Panic", testPanic},
		{"Cancel", testCancel},
		{"AfterTheEnd", testAfterTheEnd},
		{"Close", testClose},
		{"ConcurrentAppenders", testConcurrentAppenders},
		{"ConcurrentSaveRollout", testConcurrentSaveRollout},
		{"ConcurrentKeys", testConcurrentKeys},
		{"ConcurrentCanaries", testConcurrentCanaries},
		{"ConcurrentClaims", testConcurrentClaims},
		{"ConcurrentSupersede", testConcurrentSupersede},
		{"ConcurrentCheckpoints", testConcurrentCheckpoints},
		{"ConcurrentCosignatures", testConcurrentCosignatures},
		{"Snapshot", testSnapshot},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := &fixture{T: t, Store: open(t)}
			t.Cleanup(func() {
				if err := f.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			f.createOrg("acme")
			f.createOrg("other")
			c.test(f)
		})
	}
}

// start is when everything in the suite happens, with a fraction that must survive.
var start = time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func pointer[T any](v T) *T { return &v }

// fixture is one test with its store, which has the orgs acme and other.
type fixture struct {
	*testing.T
	authority.Store
}

// ctx is the context of the test.
func (f *fixture) ctx() context.Context { return f.T.Context() }

func (f *fixture) createOrg(name string) {
	f.Helper()
	err := f.Store.CreateOrg(f.ctx(), authority.Org{Name: name, CreatedAt: start, LogID: "log-of-" + name})
	if err != nil {
		f.Fatalf("create org %s: %v", name, err)
	}
}

func (f *fixture) update(org string, fn func(authority.Tx) error) {
	f.Helper()
	if err := f.Update(f.ctx(), org, fn); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) view(org string, fn func(authority.Snapshot) error) {
	f.Helper()
	if err := f.View(f.ctx(), org, fn); err != nil {
		f.Fatal(err)
	}
}

// refused runs an Update that must fail with want.
func (f *fixture) refused(want error, org string, fn func(authority.Tx) error) {
	f.Helper()
	if err := f.Update(f.ctx(), org, fn); !errors.Is(err, want) {
		f.Fatalf("got the error %v, want %v", err, want)
	}
}

// read returns what fn reads of an org, and its error.
func read[T any](f *fixture, org string, fn func(authority.Snapshot) (T, error)) (T, error) {
	f.Helper()
	var v T
	err := f.View(f.ctx(), org, func(s authority.Snapshot) (err error) {
		v, err = fn(s)
		return err
	})
	return v, err
}

// must is read that cannot fail.
func must[T any](f *fixture, org string, fn func(authority.Snapshot) (T, error)) T {
	f.Helper()
	v, err := read(f, org, fn)
	if err != nil {
		f.Fatal(err)
	}
	return v
}

// absent checks that fn finds nothing in the org.
func absent[T any](f *fixture, org, what string, fn func(authority.Snapshot) (T, error)) {
	f.Helper()
	if v, err := read(f, org, fn); !errors.Is(err, authority.ErrNotFound) {
		f.Errorf("%s of %s: got %+v, %v; want ErrNotFound", what, org, v, err)
	}
}

// options compare the values that have no exported members by their text.
var options = cmp.Options{
	cmp.Comparer(func(a, b receipt.Tree) bool { return text(a.MarshalText()) == text(b.MarshalText()) }),
	cmp.Comparer(func(a, b stats.Summary) bool { return text(a.MarshalBinary()) == text(b.MarshalBinary()) }),
	cmp.Comparer(func(a, b stats.Mix) bool { return text(a.MarshalBinary()) == text(b.MarshalBinary()) }),
	cmpopts.EquateEmpty(),
}

func text(b []byte, err error) string {
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// equal compares what was read with what it must be.
func equal[T any](f *fixture, what string, got, want T) {
	f.Helper()
	if diff := cmp.Diff(want, got, options); diff != "" {
		f.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// utc checks that a time came back in UTC: cmp compares the instant only.
func (f *fixture) utc(what string, times ...time.Time) {
	f.Helper()
	for _, at := range times {
		if at.Location() != time.UTC {
			f.Errorf("%s: the time %v is not in UTC", what, at)
		}
	}
}

// entry is a receipt that is found by little.
func entry(eventID string) authority.Entry {
	return authority.Entry{
		EventID: eventID, Kind: "agent_run", AppID: "bot", Environment: "production",
		Raw: []byte(`{"event_id":"` + eventID + `"}`), Leaf: tlog.Hash(sha256.Sum256([]byte(eventID))), RecordedAt: start,
	}
}

// add appends entries behind the head, with the indexes that it gives them.
func add(tx authority.Tx, entries ...authority.Entry) error {
	head, err := tx.LockHead()
	if err != nil {
		return err
	}
	leaves := make([]tlog.Hash, len(entries))
	for i := range entries {
		entries[i].Index = head.Tree.Size() + int64(i)
		leaves[i] = entries[i].Leaf
	}
	return tx.Append(entries, authority.Head{Tree: head.Tree.Append(leaves...)})
}

// log reads the whole log of an org and checks that it has no gap and that its
// leaves add up to the head.
func (f *fixture) log(org string) []authority.Entry {
	f.Helper()
	var all []authority.Entry
	f.view(org, func(s authority.Snapshot) (err error) {
		head, err := s.Head()
		if err != nil {
			return err
		}
		if all, err = s.Entries(authority.EntryFilter{}, 1_000_000); err != nil {
			return err
		}
		var tree receipt.Tree
		for i, e := range all {
			if e.Index != int64(i) {
				return fmt.Errorf("entry %d has index %d", i, e.Index)
			}
			tree = tree.Append(e.Leaf)
		}
		if tree.Size() != head.Tree.Size() || tree.Root() != head.Tree.Root() {
			return fmt.Errorf("the head has size %d, the log %d, or the roots differ", head.Tree.Size(), tree.Size())
		}
		return nil
	})
	return all
}
