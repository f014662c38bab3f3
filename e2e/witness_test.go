package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
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
	name string
	dir  string
	addr string
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
	w.cmd = exec.Command(program("prova"), "witness", "serve", "--name", w.name, "--data", w.dir, "--addr", w.addr, "--log", w.vkey)
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
	w := &witnessed{s: s, name: "witness.example", dir: filepath.Join(t.TempDir(), "witness"), addr: "127.0.0.1:0", vkey: first.VKey}
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

// kill ends the witness by SIGKILL.
func (w *witnessed) kill() {
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
}

// key is the verifier key of the witness, which the first call makes.
func (w *witnessed) key() string {
	w.s.Helper()
	return strings.TrimSpace(run(w.s, "prova", "witness", "key", "--name", w.name, "--data", w.dir).exits(0).stdout)
}

// freeAddress is one that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// policies writes the policies of an auditor: any one of the witnesses, two, three.
func policies(t testing.TB, all ...*witnessed) [4]string {
	t.Helper()
	var text, names strings.Builder
	for _, w := range all {
		fmt.Fprintf(&text, "witness %s %s\n", w.name, w.key())
		names.WriteString(" " + w.name)
	}
	var paths [4]string
	for k := range paths {
		paths[k] = filepath.Join(t.TempDir(), "policy")
		policy := fmt.Sprintf("%sgroup enough %d%s\nquorum enough\n", text.String(), max(k, 1), names.String())
		if err := os.WriteFile(paths[k], []byte(policy), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

// cosigned waits until the witnesses, in the order of the server's file, have
// cosigned a size or, where that is 0, were asked and did not.
func (s *testServer) cosigned(sizes ...int64) {
	s.Helper()
	for deadline := time.Now().Add(startTime); ; time.Sleep(20 * time.Millisecond) {
		list, err := s.api().Witnesses(s.Context())
		s.ok(err)
		reached := len(list.Items) == len(sizes)
		for i, w := range list.Items {
			reached = reached && (sizes[i] == 0 && w.Error != "" && w.NextAt != nil || sizes[i] > 0 && w.CosignedSize == sizes[i] && w.Error == "")
		}
		if reached {
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("want %v: %+v", sizes, list.Items)
		}
	}
}

// TestServerAsksWitnesses: the server collects the cosignatures itself, also of
// a witness that was away, and what it hands out then satisfies an auditor.
func TestServerAsksWitnesses(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		file := filepath.Join(t.TempDir(), "witnesses")
		s := newServer(t, b, "--witnesses", file)
		var all []*witnessed
		text := "# asked for cosignatures\n\n"
		for i := range 3 {
			w := &witnessed{s: s, name: fmt.Sprintf("w%d.example", i+1), dir: filepath.Join(t.TempDir(), "witness"), addr: freeAddress(t)}
			text += fmt.Sprintf("http://%s/ %s\n", w.addr, w.key())
			all = append(all, w)
		}
		s.ok(os.WriteFile(file, []byte(text), 0o600))
		s.start()
		f := s.agent("claims-agent")
		f.send(0, 20)
		first, err := s.api().Checkpoint(s.Context())
		s.ok(err)
		for _, w := range all[:2] { // the third stays away
			w.vkey = first.VKey
			w.start()
			t.Cleanup(w.kill)
		}
		s.cosigned(first.Size, first.Size, 0)
		policy, keys := policies(t, all...), s.keysFile()
		export, bundle := s.exportFile(), filepath.Join(t.TempDir(), "evidence.tar")
		run(t, "prova-verify", "--key", keys, "--policy", policy[2], export).exits(0).says("cosigned by w1.example at .*w2.example at")
		run(t, "prova-verify", "--key", keys, "--policy", policy[3], export).exits(3).says("missing: w3.example")
		s.run("prova", "receipts", "bundle", "--from", "0", "--out", bundle).exits(0)
		run(t, "prova-verify", "--key", keys, "--policy", policy[2], bundle).exits(0).says("cosigned by w1.example at")

		all[0].kill()
		f.send(0, 20)
		second, err := s.api().Checkpoint(s.Context())
		s.ok(err)
		s.cosigned(0, second.Size, 0)
		s.run("prova", "log", "witnesses").exits(0).says(`(?s)w1.example +http\S+ +\d+ +20\S+Z +.*refused; next 20.*w2.example .* cosigned\n.*w3.example .* 0 +– +.*refused`)
		export = s.exportFile()
		run(t, "prova-verify", "--key", keys, "--policy", policy[1], export).exits(0)
		run(t, "prova-verify", "--key", keys, "--policy", policy[2], export).exits(3).says("missing: w1.example, w3.example")
		if status, _ := s.request("GET", "/readyz", ""); status != http.StatusOK {
			t.Errorf("dead witnesses make the server unready: %d", status)
		}

		all[0].start()
		s.cosigned(second.Size, second.Size, 0)
		run(t, "prova-verify", "--key", keys, "--policy", policy[2], s.exportFile()).exits(0)
		f.send(0, 20) // a head that nobody has signed yet: who asks for evidence of it waits for the witnesses
		s.run("prova", "receipts", "bundle", "--from", "0", "--out", bundle, "--wait", "5s").exits(0)
		run(t, "prova-verify", "--key", keys, "--policy", policy[2], bundle).exits(0)
		past, err := s.api().CheckpointAt(s.Context(), first.Size)
		s.ok(err)
		if lines, ok := strings.CutPrefix(past.Note, first.Note); !ok || strings.Count(lines, "\n") != 2 {
			t.Errorf("the checkpoint\n%s\nbecame\n%s", first.Note, past.Note)
		}
	})
}

// TestBadWitnessesFile: a file that cannot be read as a whole refuses the start.
func TestBadWitnessesFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "witnesses")
	if err := os.WriteFile(file, []byte("# mine\nhttps://w.example/ w.example+1a2b3c4d+BA\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	run(t, "prova", "serve", "--data", data, "--addr", "127.0.0.1:0", "--witnesses", file).exits(78).says("line 2: the verifier key of the witness")
	run(t, "prova", "serve", "--data", data, "--addr", "127.0.0.1:0", "--witnesses", file+"?").exits(78).says("--witnesses: .*no such file")
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
