package e2e

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // damage is done to the database behind the server's back
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	_ "modernc.org/sqlite" // damage is done to the database behind the server's back

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/store/pgtest"
	"github.com/cobound/prova/prova"
	"github.com/cobound/prova/receipt"
)

// TestDatabaseWentBack: a backup is restored over a log that was shown to
// others. Nothing is written to it until a person says that what was lost is
// lost, and then the log itself tells.
func TestDatabaseWentBack(t *testing.T) {
	onEach(t, wentBack)
}

func wentBack(t *testing.T, b backend) {
	s := serve(t, b)
	f := s.agent("claims-agent")
	f.send(0, 20)
	old := s.checkpointFile("old")
	s.stop()
	restore := s.backup()
	s.start()
	f.send(0, 20)
	lost := s.checkpointFile("lost")
	s.stop()
	restore()
	s.start()
	status, body := s.request("POST", "/api/v1/audit/ingest", `{"kind":"agent_run","source":{"app_id":"claims-agent","release":"v36"},"metrics":{"success":true}}`)
	if status == http.StatusOK || !strings.Contains(string(body), "read_only") || !strings.Contains(string(body), "reset-anchor") {
		t.Errorf("a log that went back takes a run: %d %s", status, body)
	}
	if status, body := s.request("GET", "/readyz", ""); status == http.StatusOK {
		t.Errorf("it says that it is ready: %s", body)
	}
	s.run("prova-verify", "--key", s.keysFile(), "--head", old, s.exportFile()).exits(0) // what is there can be carried away
	s.stop()

	reset := []string{"log", "reset-anchor", "--data", s.data}
	if b.url != "" {
		reset = append(reset, "--database-url", b.url)
	}
	s.run("prova", reset...).exits(64).says("--yes")
	s.start()
	if status, _ := s.request("GET", "/readyz", ""); status == http.StatusOK {
		t.Error("it was only asked, and the anchor is another")
	}
	s.stop()
	s.run("prova", append(reset, "--yes")...).exits(0)
	s.start()
	f.send(0, 20)
	s.run("prova-verify", "--key", s.keysFile(), s.exportFile()).exits(0)
	export, err := os.ReadFile(s.exportFile())
	s.ok(err)
	if !strings.Contains(string(export), "log.reset_anchor") {
		t.Error("the log does not tell that it was reset")
	}
	s.run("prova-verify", "--key", s.keysFile(), "--head", lost, s.exportFile()).exits(3).says("none of the heads saved earlier is of this log") // who saw the lost receipts, notices
	s.stop()
	s.run("prova", reset...).exits(0).says("nothing to reset")
}

// backup copies the database of a server that is down. What it returns puts the copy back.
func (s *testServer) backup() (restore func()) {
	s.Helper()
	if s.backend.url != "" {
		return s.backupPostgres()
	}
	database := filepath.Join(s.data, "prova.db")
	backup, err := os.ReadFile(database)
	s.ok(err)
	return func() {
		s.Helper()
		s.ok(os.WriteFile(database, backup, 0o600))
		for _, suffix := range []string{"-wal", "-shm"} {
			if err := os.Remove(database + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
				s.Fatal(err)
			}
		}
	}
}

func (s *testServer) backupPostgres() (restore func()) {
	s.Helper()
	server, err := url.Parse(s.backend.url)
	s.ok(err)
	query := server.Query()
	schema := query.Get("search_path")
	query.Del("search_path") // which is the driver's, and none of libpq's
	server.RawQuery = query.Encode()
	file := filepath.Join(s.TempDir(), "backup.sql")
	program := func(name string, args ...string) {
		s.Helper()
		if out, err := exec.Command(pgtest.Program(name), append(args, server.String())...).CombinedOutput(); err != nil {
			s.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	program("pg_dump", "--clean", "--if-exists", "--schema="+schema, "--file="+file)
	return func() {
		s.Helper()
		program("psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--file="+file)
	}
}

// checkpointFile saves the checkpoint as an auditor would.
func (s *testServer) checkpointFile(name string) string {
	s.Helper()
	path := filepath.Join(s.TempDir(), name)
	s.ok(os.WriteFile(path, []byte(s.run("prova", "log", "checkpoint").exits(0).stdout), 0o600))
	return path
}

// TestProofs: what the log's proofs say is verified without the server, and a
// receiver of deliveries keeps checkpoints that show what the log was.
func TestProofs(t *testing.T) {
	t.Parallel()
	s := serve(t, sqlite())
	kept := t.TempDir()
	hook := s.listener("--checkpoints", kept)
	f := s.agent("claims-agent")
	early, err := s.api().Checkpoint(s.Context())
	s.ok(err)
	f.until(f.rollout().ID, 40)
	now, err := s.api().Checkpoint(s.Context())
	s.ok(err)
	verifier, err := receipt.NewNoteVerifier(now.VKey)
	s.ok(err)
	items := all(t, func(p prova.Page) (api.List[api.ReceiptItem], error) {
		return s.api().Receipts(s.Context(), prova.ReceiptFilter{Page: p})
	})
	for _, item := range items[:25] {
		r, err := receipt.Parse(item.Receipt)
		s.ok(err)
		proof, err := s.api().ProveInclusion(s.Context(), r.EventID, now.Size)
		s.ok(err)
		p, err := receipt.ParseProof(proof.Proof)
		s.ok(err)
		if c, err := p.Verify(r.LeafHash, note.VerifierList(verifier)); err != nil || c.Size != now.Size {
			t.Errorf("%s: %+v, %v", r.EventID, c, err)
		}
	}
	consistent, err := s.api().ProveConsistency(s.Context(), early.Size, now.Size)
	s.ok(err)
	var path []tlog.Hash
	for _, text := range append(consistent.Hashes, early.RootHash, now.RootHash) {
		h, err := tlog.ParseHash(text)
		s.ok(err)
		path = append(path, h)
	}
	n := len(consistent.Hashes)
	s.ok(receipt.VerifyConsistency(path[:n], early.Size, path[n], now.Size, path[n+1]))
	past, err := s.api().CheckpointAt(s.Context(), early.Size)
	s.ok(err)
	if past.RootHash != early.RootHash {
		t.Errorf("of size %d the root is %s now, and was %s", early.Size, past.RootHash, early.RootHash)
	}
	signed := all(t, func(p prova.Page) (api.List[api.Checkpoint], error) { return s.api().Checkpoints(s.Context(), p) })
	if !slices.ContainsFunc(signed, func(c api.Checkpoint) bool { return c.Size == early.Size && c.RootHash == early.RootHash }) {
		t.Errorf("%d checkpoints, and not that of size %d", len(signed), early.Size)
	}

	hook.ends()
	heads, err := filepath.Glob(filepath.Join(kept, "*.checkpoint"))
	s.ok(err)
	if len(heads) < 2 {
		t.Fatalf("the receiver kept %v", heads)
	}
	args := []string{"--key", s.keysFile()}
	for _, head := range heads {
		args = append(args, "--head", head)
	}
	s.run("prova-verify", append(args, s.exportFile())...).exits(0).says(fmt.Sprintf("%d heads saved earlier are found again", len(heads)))
}

// hookListener is a `prova webhooks listen` in a process of its own.
type hookListener struct {
	s   *testServer
	cmd *exec.Cmd
}

// listener receives the server's deliveries until it ends.
func (s *testServer) listener(args ...string) hookListener {
	s.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0") // the secret comes with the address, so the address comes first
	s.ok(err)
	address := free.Addr().String()
	s.ok(free.Close())
	hook, err := s.api().CreateWebhook(s.Context(), api.CreateWebhook{URL: "http://" + address})
	s.ok(err)
	said, err := os.Create(filepath.Join(s.TempDir(), "listener"))
	s.ok(err)
	cmd := exec.Command(program("prova"), append([]string{"webhooks", "listen", "--addr", address}, args...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = environment("PROVA_WEBHOOK_SECRET="+hook.Secret), said, said, withParent()
	s.ok(cmd.Start())
	for deadline := time.Now().Add(startTime); !strings.Contains(s.contents(said.Name()), "Listening"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("it does not listen: %s", s.contents(said.Name()))
		}
	}
	return hookListener{s, cmd}
}

// ends waits until everything is delivered, and ends it.
func (l hookListener) ends() {
	l.s.Helper()
	hooks, err := l.s.api().Webhooks(l.s.Context())
	l.s.ok(err)
	for deadline := time.Now().Add(startTime); ; time.Sleep(10 * time.Millisecond) {
		list, err := l.s.api().Deliveries(l.s.Context(), hooks.Items[0].ID, prova.Page{Limit: 100})
		l.s.ok(err)
		if len(list.Items) > 0 && !slices.ContainsFunc(list.Items, func(d api.Delivery) bool { return d.Status == api.DeliveryPending }) {
			break
		}
		if time.Now().After(deadline) {
			l.s.Fatalf("not delivered: %+v", list.Items)
		}
	}
	l.s.ok(l.cmd.Process.Signal(os.Interrupt))
	_ = l.cmd.Wait() // 130
}

// TestScrubNamesDamage: somebody with the database's password changes a stored receipt.
func TestScrubNamesDamage(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		s.agent("claims-agent").send(0, 50)
		s.run("prova", "log", "scrub").exits(0).says(" 0 damages")
		s.stop()
		driver, source, unlock := "sqlite", filepath.Join(s.data, "prova.db"), "DROP TRIGGER receipts_no_update"
		change := `UPDATE receipts SET raw = CAST(REPLACE(CAST(raw AS TEXT), '"success":true', '"success":null') AS BLOB) WHERE idx = 20`
		if b.url != "" {
			driver, source, unlock = "pgx", b.url, "ALTER TABLE receipts DISABLE TRIGGER USER"
			change = `UPDATE receipts SET raw = convert_to(REPLACE(convert_from(raw, 'UTF8'), '"success":true', '"success":null'), 'UTF8') WHERE idx = 20`
		}
		db, err := sql.Open(driver, source)
		s.ok(err)
		_, err = db.Exec(unlock)
		s.ok(err)
		result, err := db.Exec(change)
		s.ok(err)
		if n, err := result.RowsAffected(); n != 1 || err != nil {
			t.Fatalf("%d receipts were changed: %v", n, err)
		}
		s.ok(db.Close())
		s.start()
		s.run("prova", "log", "scrub").exits(1).says("damaged: index 20 ").says("signature").says(" 1 damages")
	})
}

// TestDiskFull: what was acknowledged stays, what was not is refused with a
// reason, and when there is room again the server goes on by itself.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	needPrograms(t, "unshare", "mount")
	s := newServer(t, sqlite())
	s.ok(os.MkdirAll(s.data, 0o700))
	small := filepath.Join(t.TempDir(), "small-disk")
	s.ok(os.WriteFile(small, fmt.Appendf(nil, "#!/bin/sh\nexec unshare -m sh -c 'mount -t tmpfs -o size=4m,mode=700 none %s && exec %s \"$@\"' sh \"$@\"\n", s.data, s.program), 0o700)) //nolint:gosec // a program
	s.program = small
	s.start()
	inside := filepath.Join("/proc", fmt.Sprint(s.process.Process.Pid), "root", s.data)
	key, err := os.ReadFile(filepath.Join(inside, "owner-key"))
	s.ok(err)
	s.owner = strings.TrimSpace(string(key))
	f := s.agent("claims-agent")
	f.send(0, 100)
	filler := filepath.Join(inside, "filler")
	if err := os.WriteFile(filler, make([]byte, 16<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	told := int64(100)
	var refused []api.Event
	for range 200 {
		batch := f.batch(0, 100)
		answer, err := s.api().Ingest(s.Context(), batch)
		if err != nil {
			if p, ok := errors.AsType[*api.Problem](err); !ok || p.Code() != "unavailable" {
				t.Errorf("a full disk reads: %v", err)
			}
			refused = batch
			break
		}
		for _, r := range answer.Results {
			if r.Status == api.IngestCreated {
				told++
			}
		}
	}
	if refused == nil {
		t.Fatal("a full disk refuses nothing")
	}
	if status, body := s.request("GET", "/healthz", ""); status != http.StatusOK {
		t.Errorf("it is not alive: %d %s", status, body)
	}
	s.ok(os.Remove(filler))
	s.ingest(f.key, refused)
	s.run("prova-verify", "--key", s.keysFile(), s.exportFile()).exits(0)
	log := s.export()
	runs := int64(0)
	for _, r := range log.receipts {
		if r.Kind == api.KindAgentRun {
			runs++
		}
	}
	if want := told + int64(len(refused)); runs != want {
		t.Errorf("the log has %d runs; %d were acknowledged", runs, want)
	}
	s.run("prova", "log", "scrub").exits(0)
}
