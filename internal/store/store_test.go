package store_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/store"
	"github.com/cobound/prova/internal/store/pgtest"
	"github.com/cobound/prova/internal/store/storetest"
)

var quiet = slog.New(slog.DiscardHandler)

func openSQLite(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "prova.db"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openPostgres(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.OpenPostgres(t.Context(), url, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) authority.Store { return openSQLite(t) })
}

// TestPostgres runs the suite over two servers that share the database.
func TestPostgres(t *testing.T) {
	pgtest.URL(t) // holds the server for all
	storetest.Run(t, func(t *testing.T) authority.Store {
		url := pgtest.URL(t)
		return &servers{stores: [2]*store.Store{openPostgres(t, url), openPostgres(t, url)}}
	})
}

// servers sends what belongs to an org to one server after the other.
type servers struct {
	stores [2]*store.Store
	next   atomic.Uint64
}

func (s *servers) one() *store.Store { return s.stores[s.next.Add(1)%2] }

func (s *servers) View(ctx context.Context, org string, fn func(authority.Snapshot) error) error {
	return s.one().View(ctx, org, fn)
}

func (s *servers) Update(ctx context.Context, org string, fn func(authority.Tx) error) error {
	return s.one().Update(ctx, org, fn)
}

func (s *servers) CreateOrg(ctx context.Context, org authority.Org) error {
	return s.one().CreateOrg(ctx, org)
}

func (s *servers) ForgetErased(ctx context.Context) error { return s.one().ForgetErased(ctx) }

func (s *servers) Orgs(ctx context.Context) ([]authority.Org, error) { return s.one().Orgs(ctx) }

func (s *servers) APIKey(ctx context.Context, id string) (authority.APIKey, error) {
	return s.one().APIKey(ctx, id)
}

func (s *servers) SaveSession(ctx context.Context, n authority.Session) error {
	return s.one().SaveSession(ctx, n)
}

func (s *servers) Session(ctx context.Context, hash [32]byte) (authority.Session, error) {
	return s.one().Session(ctx, hash)
}

func (s *servers) EndSession(ctx context.Context, hash [32]byte) error {
	return s.one().EndSession(ctx, hash)
}

func (s *servers) SaveSigningKey(ctx context.Context, key api.SigningKey) error {
	return s.one().SaveSigningKey(ctx, key)
}

func (s *servers) SigningKeys(ctx context.Context) ([]api.SigningKey, error) {
	return s.one().SigningKeys(ctx)
}

func (s *servers) DueDeliveries(ctx context.Context, org string, now time.Time, limit int) ([]authority.DeliveryRef, error) {
	return s.one().DueDeliveries(ctx, org, now, limit)
}

func (s *servers) NotCosigned(ctx context.Context, vkey string, now time.Time, limit int) ([]string, error) {
	return s.one().NotCosigned(ctx, vkey, now, limit)
}

func (s *servers) Ping(ctx context.Context) error { return s.one().Ping(ctx) }

func (s *servers) Close() error { return errors.Join(s.stores[0].Close(), s.stores[1].Close()) }
