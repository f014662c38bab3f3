package store

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cobound/prova/internal/store/pgtest"
)

func openServerStore(t *testing.T, at string) *Store {
	t.Helper()
	s, err := OpenPostgres(t.Context(), at, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

const raise = "DO $$ BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = '40001'; END $$"

// TestPostgresRetries: what left no effect is run again as a whole.
func TestPostgresRetries(t *testing.T) {
	s := openServerStore(t, pgtest.URL(t))
	for name, fail := range map[string]work{
		"serialization failure": func(run *session) error { return run.script("fail", raise) },
		"lost connection": func(run *session) error {
			return run.script("fail", "SELECT pg_terminate_backend(pg_backend_pid())")
		},
		"swallowed": func(run *session) error { _ = run.script("fail", raise); return nil },
		"disguised": func(run *session) error { _ = run.script("fail", raise); return errors.New("something went wrong") },
	} {
		t.Run(name, func(t *testing.T) {
			runs := 0
			err := s.write(t.Context(), "", func(run *session) error {
				runs++
				if err := addOrg(name)(run); err != nil {
					return err
				}
				if runs < 3 {
					return fail(run)
				}
				return nil
			})
			if err != nil || runs != 3 {
				t.Errorf("%d runs, %v", runs, err)
			}
		})
	}
	if got := s.orgNames(t); got != "disguised lost connection serialization failure swallowed" {
		t.Errorf("orgs %q", got)
	}
	runs := 0
	err := s.write(t.Context(), "", func(run *session) error {
		runs++
		return run.script("fail", raise)
	})
	if failure, ok := errors.AsType[*pgconn.PgError](err); !ok || failure.Code != pgSerializationFailure || runs != maxRuns {
		t.Errorf("without end: %d runs, %v", runs, err)
	}
	runs = 0
	own := errors.New("fn's own")
	err = s.write(t.Context(), "", func(*session) error { runs++; return own })
	if err != own || runs != 1 { //nolint:errorlint // the very same
		t.Errorf("fn's own error: %d runs, %v", runs, err)
	}
}

// TestPostgresDeadlock: of two that lock in opposite orders both succeed.
func TestPostgresDeadlock(t *testing.T) {
	s := openServerStore(t, pgtest.URL(t))
	for _, name := range []string{"a", "b"} {
		if err := s.write(t.Context(), "", addOrg(name)); err != nil {
			t.Fatal(err)
		}
	}
	var both, met sync.WaitGroup
	met.Add(2)
	for _, order := range [][2]string{{"a", "b"}, {"b", "a"}} {
		both.Go(func() {
			first := true
			err := s.write(t.Context(), "", func(run *session) error {
				const lock = "UPDATE orgs SET created_at = created_at + 1 WHERE name = ?"
				if _, err := run.exec("lock", lock, order[0]); err != nil {
					return err
				}
				if first {
					first = false
					met.Done()
					met.Wait()
				}
				_, err := run.exec("lock", lock, order[1])
				return err
			})
			if err != nil {
				t.Errorf("%v: %v", order, err)
			}
		})
	}
	both.Wait()
	orgs, err := s.Orgs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range orgs {
		if o.CreatedAt != time.UnixMicro(2).UTC() {
			t.Errorf("%s was changed %d times, want 2", o.Name, o.CreatedAt.UnixMicro())
		}
	}
}

// TestPostgresStaysInItsTransaction: nothing is left on a connection that a
// pooler could hand to another, and commits are flushed even where the
// database says otherwise.
func TestPostgresStaysInItsTransaction(t *testing.T) {
	at, err := url.Parse(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	query := at.Query()
	at.RawQuery += "&options=" + "-c%20synchronous_commit%3Doff"
	s := openServerStore(t, at.String())
	setting := func(run *session, name string) string {
		var value string
		if err := run.each("setting", "SELECT current_setting(?)", []any{name}, func(r row) error { return r.Scan(&value) }); err != nil {
			t.Error(err)
		}
		return value
	}
	err = s.write(t.Context(), "", func(run *session) error {
		for name, want := range map[string]string{
			"synchronous_commit": "on", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "1min",
			"transaction_isolation": "read committed", "search_path": query.Get("search_path"),
		} {
			if got := setting(run, name); got != want {
				t.Errorf("%s is %s, want %s", name, got, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.read(t.Context(), func(run *session) error {
		for name, want := range map[string]string{"transaction_isolation": "repeatable read", "transaction_read_only": "on"} {
			if got := setting(run, name); got != want {
				t.Errorf("%s is %s, want %s", name, got, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	pool := s.engine.(*postgresEngine).pool
	l, err := pool.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.put(l)
	for query, want := range map[string]string{
		"SELECT count(*)::text FROM pg_prepared_statements": "0",
		"SELECT current_setting('lock_timeout')":            "0",
		"SELECT current_setting('search_path')":             `"$user", public`,
		"SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid = pg_backend_pid()": "0",
	} {
		var got string
		if err := l.conn.QueryRow(t.Context(), query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", query, got, err, want)
		}
	}
}

// TestPostgresKeepsSecrets: no error tells the password.
func TestPostgresKeepsSecrets(t *testing.T) {
	const secret = "hunter2%21canary"
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := refusing.Addr().String()
	refusing.Close()
	for _, at := range []string{
		"postgres://prova:" + secret + "@" + address + "/prova",
		"postgres://prova:" + secret + "@127.0.0.1:port/prova",
		"postgres://prova:" + secret + "%zz@127.0.0.1/prova",
		"postgres://prova:" + secret + "@127.0.0.1/prova?sslmode=sometimes",
		"host=127.0.0.1 port=x password=" + secret,
		"password='" + secret,
		"postgres://prova:" + secret + "@[::1/prova",
	} {
		_, err := OpenPostgres(t.Context(), at, nil)
		if err == nil {
			t.Fatalf("opened %s", at)
		}
		for _, word := range []string{"hunter2", "canary"} {
			if strings.Contains(err.Error(), word) {
				t.Errorf("the error tells the password: %v", err)
			}
		}
	}
}

func TestLiteral(t *testing.T) {
	s := openServerStore(t, pgtest.URL(t))
	for _, text := range []string{"", "a", `a'b`, `a\b`, `\'; DROP TABLE orgs; --`, `"Mixed Case", public`} {
		err := s.read(t.Context(), func(run *session) error {
			var got string
			// Without arguments, as it is used.
			err := run.each("literal", "SELECT "+literal(text), nil, func(r row) error { return r.Scan(&got) })
			if got != text {
				t.Errorf("got %q, want %q", got, text)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
