package store_test

import (
	"log/slog"
	"path/filepath"
	"testing"

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

func TestPostgres(t *testing.T) {
	pgtest.URL(t) // holds the server for all
	storetest.Run(t, func(t *testing.T) authority.Store { return openPostgres(t, pgtest.URL(t)) })
}
