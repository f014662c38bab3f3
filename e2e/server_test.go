package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/store/pgtest"
	"github.com/cobound/prova/prova"
)

// backend is a database for servers.
type backend struct {
	name string
	// url is empty for SQLite.
	url string
}

func sqlite() backend { return backend{name: "sqlite"} }

// postgres is an empty schema of its own.
func postgres(t testing.TB) backend {
	t.Helper()
	return backend{name: "postgres", url: pgtest.URL(t)}
}

// onEach runs a test on both databases.
func onEach(t *testing.T, test func(t *testing.T, b backend)) {
	t.Parallel()
	onBoth(t, test)
}

// onBoth is onEach for a part of a test.
func onBoth(t *testing.T, test func(t *testing.T, b backend)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, sqlite())
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, postgres(t))
	})
}

const (
	// startTime and stopTime bound a start and a drain on a busy machine.
	startTime = 60 * time.Second
	stopTime  = 60 * time.Second
)

// testServer is a `prova serve` in a process of its own. It ends with the
// test, by SIGTERM, and then must end with 0. Its log is shown if the test fails.
type testServer struct {
	testing.TB
	backend backend
	program string
	args    []string
	env     []string
	data    string
	// log and printed are the files of what it wrote to stderr and stdout, over all its starts.
	log, printed string
	// owner is the owner's key.
	owner string
	// programs is where pipelines have theirs from; empty is where they were built.
	programs string

	mu      sync.Mutex
	url     string
	process *exec.Cmd
	exited  chan struct{}
	failure error
}

// newServer prepares a server with a data directory of its own.
func newServer(t testing.TB, b backend, args ...string) *testServer {
	t.Helper()
	dir := t.TempDir()
	return &testServer{
		TB: t, backend: b, program: serverProgram(), data: filepath.Join(dir, "data"),
		log: filepath.Join(dir, "server.log"), printed: filepath.Join(dir, "server.out"), args: args,
		env: environment("PROVA_LOG_FORMAT=", "GORACE=halt_on_error=0"),
	}
}

// serve starts a server with a data directory of its own.
func serve(t testing.TB, b backend, args ...string) *testServer {
	t.Helper()
	s := newServer(t, b, args...)
	s.start()
	return s
}

// environment is that of the tests without what steers Prova.
func environment(extra ...string) []string {
	var env []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "PROVA_") && !strings.HasPrefix(pair, "PG") {
			env = append(env, pair)
		}
	}
	return append(env, extra...)
}

func (s *testServer) command() *exec.Cmd {
	args := append([]string{"serve", "--addr", "127.0.0.1:0", "--data", s.data}, s.args...)
	if s.backend.url != "" {
		args = append(args, "--database-url", s.backend.url)
	}
	cmd := exec.Command(s.program, args...)
	cmd.Env, cmd.SysProcAttr = s.env, withParent()
	return cmd
}

// start starts the server and waits until it says where it listens.
func (s *testServer) start() {
	s.Helper()
	first := s.process == nil
	file, printed := s.appendTo(s.log), s.appendTo(s.printed)
	defer func() { s.ok(errors.Join(file.Close(), printed.Close())) }()
	before, err := file.Stat()
	s.ok(err)
	cmd, exited := s.command(), make(chan struct{})
	cmd.Stdout, cmd.Stderr = printed, file
	s.ok(cmd.Start())
	go func() {
		err := cmd.Wait()
		s.mu.Lock()
		s.failure = err
		s.mu.Unlock()
		close(exited)
	}()
	s.mu.Lock()
	s.process, s.exited = cmd, exited
	s.mu.Unlock()
	if first {
		s.Cleanup(s.end)
	}
	s.await(before.Size())
	if !first {
		return // others may be reading the key
	}
	if key, err := os.ReadFile(filepath.Join(s.data, "owner-key")); err == nil {
		s.owner = strings.TrimSpace(string(key))
	}
}

func (s *testServer) appendTo(path string) *os.File {
	s.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	s.ok(err)
	return f
}

var listens = regexp.MustCompile(`Prova listens on (http://\S+)`)

func (s *testServer) await(from int64) {
	s.Helper()
	for deadline := time.Now().Add(startTime); ; time.Sleep(5 * time.Millisecond) {
		text := s.logged()[from:]
		if m := listens.FindStringSubmatch(text); m != nil {
			s.mu.Lock()
			s.url = m[1]
			s.mu.Unlock()
			return
		}
		select {
		case <-s.exited:
			s.Fatalf("the server ended instead of listening: %v\n%s", s.failure, text)
		default:
		}
		if time.Now().After(deadline) {
			s.Fatalf("the server does not listen after %s:\n%s", startTime, text)
		}
	}
}

// logged is what the server wrote to stderr so far.
func (s *testServer) logged() string { return s.contents(s.log) }

func (s *testServer) contents(path string) string {
	s.Helper()
	text, err := os.ReadFile(path)
	s.ok(err)
	return string(text)
}

// at is where the server answers.
func (s *testServer) at() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

func (s *testServer) running() bool {
	if s.process == nil {
		return false
	}
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// stop ends the server by SIGTERM; anything but exit code 0 is a failure.
func (s *testServer) stop() {
	s.Helper()
	s.ok(s.process.Process.Signal(syscall.SIGTERM))
	s.drained()
}

// drained waits until the server has ended after a SIGTERM.
func (s *testServer) drained() {
	s.Helper()
	select {
	case <-s.exited:
	case <-time.After(stopTime):
		_ = s.process.Process.Kill()
		s.Fatalf("the server goes on %s after SIGTERM", stopTime)
	}
	if s.failure != nil {
		s.Errorf("after SIGTERM the server ended with: %v", s.failure)
	}
}

// kill ends the server by SIGKILL.
func (s *testServer) kill() {
	s.Helper()
	s.ok(s.process.Process.Kill())
	<-s.exited
}

// end is the cleanup.
func (s *testServer) end() {
	if s.running() {
		s.stop()
	}
	log := s.logged()
	for _, word := range []string{"DATA RACE", "panic:", "goroutine 1 ["} {
		if strings.Contains(log, word) {
			s.Errorf("the server's log holds %q", word)
		}
	}
	if s.Failed() {
		lines := strings.Split(log, "\n")
		s.Logf("the end of the server's log:\n%s", strings.Join(lines[max(len(lines)-120, 0):], "\n"))
	}
}

func (s *testServer) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *testServer) unmarshal(data []byte, v any) {
	s.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		s.Fatalf("%v\n%s", err, data)
	}
}

// as is a client with a key.
func (s *testServer) as(key string) *prova.Client {
	s.Helper()
	client, err := prova.New(prova.Options{BaseURL: s.at(), APIKey: key, UserAgent: "e2e"})
	s.ok(err)
	return client
}

// api is a client with the owner's key.
func (s *testServer) api() *prova.Client {
	s.Helper()
	return s.as(s.owner)
}

// key makes a key with some permissions alone.
func (s *testServer) key(permissions ...api.Permission) string {
	s.Helper()
	key, err := s.api().CreateAPIKey(context.Background(), api.CreateAPIKey{Name: "test", Permissions: permissions})
	s.ok(err)
	return key.Secret
}

// request makes a request of its own, with the owner's key, and reads the answer whole.
func (s *testServer) request(method, path, body string) (status int, answer []byte) {
	s.Helper()
	status, answer, err := s.try(method, path, body)
	s.ok(err)
	return status, answer
}

func (s *testServer) try(method, path, body string) (status int, answer []byte, err error) {
	req, err := http.NewRequest(method, s.at()+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.owner)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, errors.Join(err, resp.Body.Close())
}

// all collects the pages of a list.
func all[T any](t testing.TB, page func(prova.Page) (api.List[T], error)) []T {
	t.Helper()
	var items []T
	for next := (prova.Page{Limit: 100}); ; {
		list, err := page(next)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, list.Items...)
		if next.Cursor = list.NextCursor; next.Cursor == "" {
			return items
		}
	}
}
