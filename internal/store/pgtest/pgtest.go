// Package pgtest gives tests an empty place in a PostgreSQL server.
//
// The server is the one that PROVA_TEST_POSTGRES names by its URL, else a
// private one that is started from the installed programs in a temporary
// directory, listens on a Unix socket alone, and ends with the last test that
// uses it.
package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// The environment variables that the package reads.
const (
	// EnvURL names a server to use; its user must be allowed to create schemas.
	EnvURL = "PROVA_TEST_POSTGRES"
	// EnvRequire makes a missing server a failure, as does CI.
	EnvRequire = "PROVA_REQUIRE_ALL"
)

// URL returns the URL of an empty schema, which is dropped when the test ends.
// Without a server the test is skipped, or fails where nothing may be skipped.
func URL(t testing.TB) string {
	t.Helper()
	server := os.Getenv(EnvURL)
	if server == "" {
		server = Server(t)
	}
	schema := fmt.Sprintf("prova_test_%d_%d", os.Getpid(), time.Now().UnixNano())
	run(t, server, "CREATE SCHEMA "+schema)
	t.Cleanup(func() { run(t, server, "DROP SCHEMA IF EXISTS "+schema+" CASCADE") })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("%s is not a URL", EnvURL)
	}
	query := u.Query()
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	return u.String()
}

// run runs a statement on a connection of its own.
func run(t testing.TB, server, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // the test's own is over in a cleanup
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatalf("connect to PostgreSQL: %v", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// shared is the private server of this process while a test uses it.
var shared struct {
	sync.Mutex
	users   int
	cluster *cluster
}

// Server returns the URL of the private server, started if no test uses it
// yet, and holds it until the test ends. A test that calls it before its
// subtests saves them the start.
func Server(t testing.TB) string {
	t.Helper()
	bin := programs()
	if bin == "" {
		const advice = "no PostgreSQL server programs in /usr/lib/postgresql/*/bin or the PATH: run apt-get install -y postgresql, or set " + EnvURL + " to the URL of a server"
		if os.Getenv("CI") != "" || os.Getenv(EnvRequire) != "" {
			t.Fatal(advice)
		}
		t.Skip(advice)
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil {
		c, err := start(bin)
		if err != nil {
			t.Fatalf("start a private PostgreSQL: %v", err)
		}
		shared.cluster = c
	}
	shared.users++
	t.Cleanup(func() {
		shared.Lock()
		defer shared.Unlock()
		if shared.users--; shared.users == 0 {
			shared.cluster.stop()
			shared.cluster = nil
		}
	})
	return shared.cluster.url()
}

// Program is the path of a program of the newest installed server, such as pg_dump.
func Program(name string) string { return filepath.Join(programs(), name) }

// programs is the directory of the newest installed server, empty if there is none.
func programs() string {
	newest, best := "", 0
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	for _, path := range found {
		bin := filepath.Dir(path)
		if version, err := strconv.Atoi(filepath.Base(filepath.Dir(bin))); err == nil && version > best {
			newest, best = bin, version
		}
	}
	if newest == "" {
		if path, err := exec.LookPath("initdb"); err == nil {
			newest = filepath.Dir(path)
		}
	}
	return newest
}

// cluster is a running private server.
type cluster struct {
	dir     string
	process *exec.Cmd
	log     *bytes.Buffer
	ended   chan struct{}
}

func start(bin string) (*cluster, error) {
	// Short, since the path of a socket may have about a hundred bytes.
	dir, err := os.MkdirTemp("", "provapg")
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir, log: &bytes.Buffer{}, ended: make(chan struct{})}
	if err := c.start(bin); err != nil {
		c.stop()
		return nil, fmt.Errorf("%w\n%s", err, c.log)
	}
	return c, nil
}

func (c *cluster) start(bin string) error {
	if err := giveAway(c.dir); err != nil {
		return err
	}
	data := filepath.Join(c.dir, "data")
	// Sorting as people do shows what forgets to ask for the order of bytes.
	err := initdb(bin, c.dir, data, "--locale-provider=icu", "--icu-locale=en-US", "--locale=C.UTF-8")
	if err != nil {
		err = initdb(bin, c.dir, data, "--locale=C.UTF-8") // before version 15, or built without ICU
	}
	if err != nil {
		return err
	}
	server := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", c.dir, "-c", "listen_addresses=",
		"-c", "max_connections=300", "-c", "shared_buffers=64MB")
	if err := asOrdinaryUser(server); err != nil {
		return err
	}
	server.Dir = c.dir
	server.Stdout, server.Stderr = c.log, c.log
	if err := server.Start(); err != nil {
		return err
	}
	c.process = server
	go func() {
		_ = server.Wait()
		close(c.ended)
	}()
	return c.await()
}

func initdb(bin, dir, data string, locale ...string) error {
	args := append([]string{"-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"}, locale...)
	cmd := exec.Command(filepath.Join(bin, "initdb"), args...)
	if err := asOrdinaryUser(cmd); err != nil {
		return err
	}
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// await waits until the server answers.
func (c *cluster) await() error {
	deadline := time.Now().Add(time.Minute)
	for {
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		conn, err := pgx.Connect(ctx, c.url())
		if err == nil {
			err = conn.Close(ctx)
		}
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-c.ended:
			return fmt.Errorf("the server ended: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server does not answer: %w", err)
		}
	}
}

func (c *cluster) url() string {
	return "postgres://postgres@/postgres?" + url.Values{"host": {c.dir}}.Encode()
}

// stop ends the server, kindly first, and removes its files.
func (c *cluster) stop() {
	if c.process != nil {
		_ = c.process.Process.Signal(os.Interrupt)
		select {
		case <-c.ended:
		case <-time.After(20 * time.Second):
			_ = c.process.Process.Kill()
			<-c.ended
		}
	}
	_ = os.RemoveAll(c.dir)
}
