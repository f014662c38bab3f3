package store

import (
	"context"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/stats"
)

// older empties the database and brings it to the schema of an earlier release.
func older(t *testing.T, s *Store, d *dialect, migrating func(context.Context, work) error, newest int) {
	t.Helper()
	err := s.write(t.Context(), "", func(run *session) error {
		query := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid DESC"
		if d.Postgres {
			query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
		}
		tables, err := list(run, "tables", query, nil, func(r row) (name string, err error) { return name, r.Scan(&name) })
		if err != nil {
			return err
		}
		for _, name := range tables {
			statement := "DROP TABLE " + name
			if d.Postgres {
				statement += " CASCADE"
			}
			if err := run.script("drop", statement); err != nil {
				return err
			}
		}
		if d.Postgres {
			return run.script("drop", "DROP FUNCTION refuse_change")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := readMigrations(files(t))
	if err != nil {
		t.Fatal(err)
	}
	old := fstest.MapFS{}
	for _, m := range all[:newest] {
		old[m.name] = &fstest.MapFile{Data: []byte(m.text)}
	}
	if err := migrate(t.Context(), migrating, d, old); err != nil {
		t.Fatal(err)
	}
}

// TestMigrateSpans: what was kept of each epoch is kept as a span of its own,
// and goes on from there.
func TestMigrateSpans(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store, d *dialect, migrating func(context.Context, work) error) {
		ctx := t.Context()
		older(t, s, d, migrating, 5)
		if err := s.CreateOrg(ctx, authority.Org{Name: "acme"}); err != nil {
			t.Fatal(err)
		}
		var summary stats.Summary
		if err := summary.Add(1, 7); err != nil {
			t.Fatal(err)
		}
		data, _ := summary.MarshalBinary()
		err := s.write(ctx, "", func(run *session) error {
			for n := range int64(2) {
				key := []any{"acme", "bot", "production", n + 1}
				for _, insert := range []struct {
					text string
					args []any
				}{
					{"INSERT INTO epochs (org, app_id, environment, number, first_index, started_at, runs) VALUES (?, ?, ?, ?, ?, ?, ?)", []any{n * 10, int64(1_000_000), int64(1)}},
					{"INSERT INTO cohorts (org, app_id, environment, epoch, release, runs, first_index, last_index) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", []any{"v1", int64(1), n * 10, n*10 + 1}},
					{"INSERT INTO summaries (org, app_id, environment, epoch, release, metric, data) VALUES (?, ?, ?, ?, ?, ?, ?)", []any{"v1", "success", data}},
				} {
					if _, err := run.exec("fill", insert.text, append(append([]any{}, key...), insert.args...)...); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := migrate(ctx, migrating, d, files(t)); err != nil {
			t.Fatal(err)
		}

		epoch := authority.Epoch{AppID: "bot", Environment: "production", Number: 2, Span: 2, FirstIndex: 10, StartedAt: time.UnixMicro(1_000_000).UTC(), Runs: 1}
		first := authority.Cohort{
			AppID: "bot", Environment: "production", Span: 1, Release: "v1", Runs: 1, FirstIndex: 0, LastIndex: 1,
			Metrics: map[string]stats.Summary{"success": summary},
		}
		second := first
		second.Span, second.FirstIndex, second.LastIndex = 2, 10, 11
		check := func(want ...authority.Cohort) {
			t.Helper()
			err := s.View(ctx, "acme", func(snap authority.Snapshot) error {
				got, err := snap.Cohorts(authority.CohortFilter{AppID: "bot", Environment: "production", Releases: []string{"v1"}})
				if diff := cmp.Diff(want, got, cmp.Comparer(sameSummary), cmp.Comparer(sameMix)); diff != "" {
					t.Errorf("cohorts (-want +got):\n%s", diff)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
		check(first, second)
		err = s.Update(ctx, "acme", func(tx authority.Tx) error {
			if open, err := tx.OpenEpoch("bot", "production"); err != nil || open != epoch {
				t.Errorf("open epoch %+v, %v", open, err)
			}
			if _, err := tx.LockHead(); err != nil {
				return err
			}
			second.Mixes.Add("claim-0017", "model 2", "") // a mix counts from the migration on
			second.Mixes.Environments = stats.Mix{}
			second.Runs, second.Epochs = 2, stats.EpochCounts{{Epoch: 2, Count: 1}, {Epoch: 3, Count: 1}}
			return tx.SaveCohort(second)
		})
		if err != nil {
			t.Fatal(err)
		}
		check(first, second)
		err = s.write(ctx, "", func(run *session) error {
			_, err := run.exec("orphan", "INSERT INTO summaries (org, app_id, environment, span, release, metric, data) VALUES ('acme', 'bot', 'production', 9, 'v1', 'success', ?)", data)
			return err
		})
		if err == nil {
			t.Error("a summary without its cohort was written")
		}
	})
}

func sameMix(a, b stats.Mix) bool {
	x, _ := a.MarshalBinary()
	y, _ := b.MarshalBinary()
	return string(x) == string(y)
}

func sameSummary(a, b stats.Summary) bool {
	x, _ := a.MarshalBinary()
	y, _ := b.MarshalBinary()
	return string(x) == string(y)
}
