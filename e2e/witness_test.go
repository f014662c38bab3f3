package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
)

// witnessed is a `prova witness serve` in a process of its own.
type witnessed struct {
	s    *testServer
	dir  string
	vkey string // of the log
	cmd  *exec.Cmd
	url  string
}

var witnessListens = regexp.MustCompile(`listens on (http://\S+?)\.? `)

func (w *witnessed) start() {
	s := w.s
	s.Helper()
	said, err := os.Create(filepath.Join(s.TempDir(), "witness.log"))
	s.ok(err)
	w.cmd = exec.Command(program("prova"), "witness", "serve", "--name", "witness.example", "--data", w.dir, "--addr", "127.0.0.1:0", "--log", w.vkey)
	w.cmd.Env, w.cmd.Stdout, w.cmd.Stderr, w.cmd.SysProcAttr = environment(), said, said, withParent()
	s.ok(w.cmd.Start())
	for deadline := time.Now().Add(startTime); ; time.Sleep(5 * time.Millisecond) {
		text := s.contents(said.Name())
		if m := witnessListens.FindStringSubmatch(text); m != nil {
			w.url = m[1]
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("the witness does not listen: %s", text)
		}
	}
}

// asked is the answer to a request for a cosignature.
func (w *witnessed) asked(old int64, proof []string, note string) (int, string) {
	w.s.Helper()
	body := fmt.Sprintf("old %d\n%s\n%s", old, strings.Join(append(proof, ""), "\n"), note)
	resp, err := http.Post(w.url+"/add-checkpoint", "text/plain", strings.NewReader(body)) //nolint:noctx // a test
	w.s.ok(err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	w.s.ok(err)
	return resp.StatusCode, string(text)
}

// TestWitness: a witness cosigns a log that grows, also after it was killed, and
// none that went back; an auditor who wants its cosignature sees it.
func TestWitness(t *testing.T) {
	t.Parallel()
	s := serve(t, sqlite())
	f := s.agent("claims-agent")
	f.send(0, 20)
	first, err := s.api().Checkpoint(s.Context())
	s.ok(err)
	w := &witnessed{s: s, dir: filepath.Join(t.TempDir(), "witness"), vkey: first.VKey}
	w.start()
	defer func() { _ = w.cmd.Process.Kill() }()
	status, line := w.asked(0, nil, first.Note)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, line)
	}

	key := strings.TrimSpace(run(t, "prova", "witness", "key", "--name", "witness.example", "--data", w.dir).exits(0).stdout)
	policy := filepath.Join(t.TempDir(), "policy")
	s.ok(os.WriteFile(policy, []byte("witness w1 "+key+"\nquorum w1\n"), 0o600))
	export := s.exportFile() // of the size that was cosigned: nothing came since
	run(t, "prova-verify", "--key", s.keysFile(), "--policy", policy, export).exits(3).says(`\? witnesses`)
	cosigned := s.withCheckpoint(export, first, line)
	run(t, "prova-verify", "--key", s.keysFile(), "--policy", policy, cosigned).exits(0).says("cosigned by w1 at")

	s.ok(w.cmd.Process.Kill())
	_ = w.cmd.Wait()
	w.start()
	f.send(0, 20)
	second, err := s.api().Checkpoint(s.Context())
	s.ok(err)
	proof, err := s.api().ProveConsistency(s.Context(), first.Size, second.Size)
	s.ok(err)
	if status, text := w.asked(first.Size, proof.Hashes, second.Note); status != http.StatusOK {
		t.Errorf("a log that grew: %d %s", status, text)
	}
	if status, text := w.asked(first.Size, nil, first.Note); status != http.StatusConflict || text != fmt.Sprintf("%d\n", second.Size) {
		t.Errorf("a log that went back: %d %s", status, text)
	}
	s.ok(w.cmd.Process.Signal(os.Interrupt))
	_ = w.cmd.Wait()
	run(t, "prova", "witness", "key", "--name", "witness.example", "--data", s.data).exits(78).says("the key of a server")
}

// withCheckpoint is an export whose checkpoint has a further signature line.
func (s *testServer) withCheckpoint(export string, c api.Checkpoint, line string) string {
	s.Helper()
	data, err := os.ReadFile(export)
	s.ok(err)
	before, err := json.Marshal(c.Note)
	s.ok(err)
	after, err := json.Marshal(c.Note + line)
	s.ok(err)
	changed := bytes.Replace(data, before, after, 1)
	if bytes.Equal(changed, data) {
		s.Fatalf("the export does not end with the checkpoint %s", before)
	}
	path := filepath.Join(s.TempDir(), "cosigned.ndjson")
	s.ok(os.WriteFile(path, changed, 0o600))
	return path
}
