package authority_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/store"
	"github.com/cobound/prova/internal/store/pgtest"
	"github.com/cobound/prova/receipt"
)

// vault is an authority on a database that a test also reaches behind its back.
type vault struct {
	*house
	open func() *store.Store
	// stores are those that were opened.
	stores []*store.Store
	// exec runs a statement and row reads one row, both without the server.
	exec   func(statement string, args ...any) (int64, error)
	row    func(into any, query string) error
	sqlite bool
	anchor authority.Anchor
}

// TestVault runs what concerns the log on each database, each test with an
// installation of its own.
func TestVault(t *testing.T) {
	for _, db := range []struct {
		name  string
		vault func(*testing.T) *vault
	}{{"SQLite", sqliteVault}, {"Postgres", postgresVault}} {
		t.Run(db.name, func(t *testing.T) {
			if db.name == "Postgres" {
				pgtest.URL(t) // holds the server for all
			}
			for _, c := range []struct {
				name string
				test func(*testing.T, *vault)
			}{
				{"Proofs", testProofs},
				{"NodesOfOlderLogs", testNodesOfOlderLogs},
				{"NoProofOfChangedBytes", testNoProofOfChangedBytes},
				{"CheckpointsOfThePast", testCheckpointsOfThePast},
				{"CheckpointInDeliveries", testCheckpointInDeliveries},
				{"ConcurrentCheckpointers", testConcurrentCheckpointers},
				{"Scrub", testScrub},
				{"Witnesses", testWitnesses},
				{"WitnessOfDamagedLog", testWitnessOfDamagedLog},
				{"WitnessOfRestoredBackup", testWitnessOfRestoredBackup},
				{"ResetAnchor", testResetAnchor},
				{"RestoredBackup", testRestoredBackup},
				{"AnotherHistory", testAnotherHistory},
				{"AnchorsOfTwoServers", testAnchorsOfTwoServers},
				{"AnchorComesFirst", testAnchorComesFirst},
			} {
				t.Run(c.name, func(t *testing.T) { c.test(t, db.vault(t)) })
			}
		})
	}
}

func sqliteVault(t *testing.T) *vault {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prova.db")
	v := newVault(t, func() (*store.Store, error) {
		return store.OpenSQLite(t.Context(), path, slog.New(slog.DiscardHandler))
	})
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	v.sqlite = true
	v.exec = func(statement string, args ...any) (int64, error) {
		result, err := db.ExecContext(v.ctx, statement, args...)
		if err != nil {
			return 0, err
		}
		return result.RowsAffected()
	}
	v.row = func(into any, query string) error { return db.QueryRowContext(v.ctx, query).Scan(into) }
	return v
}

func postgresVault(t *testing.T) *vault {
	t.Helper()
	url := pgtest.URL(t)
	v := newVault(t, func() (*store.Store, error) {
		return store.OpenPostgres(t.Context(), url, slog.New(slog.DiscardHandler))
	})
	conn, err := pgx.Connect(v.ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	v.exec = func(statement string, args ...any) (int64, error) {
		tag, err := conn.Exec(v.ctx, statement, args...)
		return tag.RowsAffected(), err
	}
	v.row = func(into any, query string) error { return conn.QueryRow(v.ctx, query).Scan(into) }
	return v
}

func newVault(t *testing.T, open func() (*store.Store, error)) *vault {
	t.Helper()
	v := &vault{house: &house{
		t: t, ctx: t.Context(), clock: &clock{at: time.Date(2026, 5, 15, 18, 42, 0, 0, time.UTC)},
		out: &receiver{answer: authority.Sent{StatusCode: 204}},
	}}
	v.open = func() *store.Store {
		t.Helper()
		s, err := open()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		v.stores = append(v.stores, s)
		return s
	}
	v.serve(v.open(), v.config())
	return v
}

// config is that of the one server whose keys every test shares.
func (v *vault) config() authority.Config {
	v.t.Helper()
	key := func(name string) ed25519.PrivateKey {
		seed := sha256.Sum256([]byte(name))
		return ed25519.NewKeyFromSeed(seed[:])
	}
	signer, err := receipt.NewSigner(key("receipts"))
	if err != nil {
		v.t.Fatal(err)
	}
	return authority.Config{
		Deliverer: v.out, Signer: signer, CheckpointKey: key("checkpoints"), Origin: "test", Anchor: v.anchor,
		Now: v.clock.now, Random: func(p []byte) { _, _ = rand.Read(p) }, Log: slog.New(slog.DiscardHandler),
	}
}

const vaultOwner = "prv_owner_0123456789abcdef0123456789abcdef"

// serve starts a server on a store.
func (v *vault) serve(s authority.Store, c authority.Config) {
	v.t.Helper()
	v.house = v.server(s, c)
}

// restart ends the server and starts another on the same data.
func (v *vault) restart() {
	v.t.Helper()
	if err := v.Store.Close(); err != nil {
		v.t.Fatal(err)
	}
	v.serve(v.open(), v.config())
}

// server is one more server on a store.
func (v *vault) server(s authority.Store, c authority.Config) *house {
	v.t.Helper()
	h := *v.house
	c.Store = s
	var err error
	if h.Authority, err = authority.New(c); err != nil {
		v.t.Fatal(err)
	}
	if _, err := h.Bootstrap(h.ctx, vaultOwner); err != nil {
		v.t.Fatal(err)
	}
	if h.owner, err = h.Authenticate(h.ctx, vaultOwner); err != nil {
		v.t.Fatal(err)
	}
	return &h
}

// tamper runs a statement that the store's own guards would refuse.
func (v *vault) tamper(table, statement string, args ...any) {
	v.t.Helper()
	triggers := []string{"ALTER TABLE " + table + " DISABLE TRIGGER USER"} // a table without triggers has none to disable
	if v.sqlite {
		triggers = []string{"DROP TRIGGER IF EXISTS " + table + "_no_update", "DROP TRIGGER IF EXISTS " + table + "_no_delete"}
	}
	for _, s := range triggers {
		if _, err := v.exec(s); err != nil {
			v.t.Fatal(err)
		}
	}
	if _, err := v.exec(statement, args...); err != nil {
		v.t.Fatalf("%s: %v", statement, err)
	}
}

// recordRuns records n runs and returns their event ids.
func (h *house) recordRuns(n int) []string {
	h.t.Helper()
	events := make([]api.Event, n)
	for i := range events {
		events[i] = event("v1", true)
	}
	ids := make([]string, n)
	for i, r := range h.record(events...) {
		opened, err := receipt.Parse(r.Receipt)
		if err != nil {
			h.t.Fatal(fmt.Errorf("%w: %+v", err, r.Problem))
		}
		ids[i] = opened.EventID
	}
	return ids
}
