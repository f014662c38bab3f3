package witness

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/receipt"
)

const origin = "prova.example/log/1"

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// log is a log whose operator may do anything.
type log struct {
	t      testing.TB
	signer note.Signer
	vkey   string
	leaves []tlog.Hash
}

func newLog(t testing.TB, history string, n int) *log {
	t.Helper()
	signer, vkey, err := receipt.NoteKeys(origin, key("log"))
	if err != nil {
		t.Fatal(err)
	}
	l := &log{t: t, signer: signer, vkey: vkey}
	for i := range n {
		l.leaves = append(l.leaves, tlog.RecordHash(fmt.Appendf(nil, "%s %d", history, i)))
	}
	return l
}

// at is the checkpoint of a size.
func (l *log) at(size int) string {
	l.t.Helper()
	tree := receipt.Tree{}.Append(l.leaves[:size]...)
	text, err := receipt.SignCheckpoint(receipt.Checkpoint{Origin: origin, Size: int64(size), Root: tree.Root()}, l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

func (l *log) proof(from, to int) []tlog.Hash {
	l.t.Helper()
	if from == 0 || from == to {
		return nil
	}
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for i, h := range l.leaves[:to] {
		more, err := tlog.StoredHashesForRecordHash(int64(i), h, read)
		if err != nil {
			l.t.Fatal(err)
		}
		stored = append(stored, more...)
	}
	proof, err := receipt.ProveConsistency(int64(from), int64(to), read)
	if err != nil {
		l.t.Fatal(err)
	}
	return proof
}

func (l *log) request(from, to int) string {
	return string(request{int64(from), l.proof(from, to), l.at(to)}.marshal())
}

// start opens a witness in a directory and serves it.
func start(t testing.TB, dir, vkey string) (*Witness, string) {
	t.Helper()
	if err := Prepare(dir, "witness.key"); err != nil {
		t.Fatal(err)
	}
	cosigner, err := receipt.NewCosigner("witness.example", key("witness"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := Open(Options{Dir: dir, Cosigner: cosigner, Logs: []string{vkey}, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	server := httptest.NewServer(w.Handler())
	t.Cleanup(server.Close)
	return w, server.URL
}

func ask(t testing.TB, url, body string) (int, string) {
	t.Helper()
	answer, err := http.Post(url+"/add-checkpoint", "text/plain", strings.NewReader(body)) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// TestAddCheckpoint: a log that grows is cosigned, and nothing else.
func TestAddCheckpoint(t *testing.T) {
	l, other := newLog(t, "honest", 20), newLog(t, "forked", 20)
	stranger, _, err := receipt.NoteKeys(origin, key("stranger"))
	if err != nil {
		t.Fatal(err)
	}
	forged := *l
	forged.signer = stranger
	w, url := start(t, t.TempDir(), l.vkey)
	unknown := strings.Replace(l.request(0, 5), origin, "elsewhere.example/log", 1)
	for i, c := range []struct {
		name, body string
		status     int
		says       string
	}{
		{"no request", "hello", http.StatusBadRequest, "blank line"},
		{"a size with a zero before it", strings.Replace(l.request(0, 5), "old 0", "old 00", 1), http.StatusBadRequest, "old and a size"},
		{"no checkpoint", "old 0\n\nhello\n", http.StatusBadRequest, ""},
		{"a log that it does not follow", unknown, http.StatusNotFound, "does not follow"},
		{"another signer", forged.request(0, 5), http.StatusForbidden, ""},
		{"a body without end", l.request(0, 5) + strings.Repeat("x", maxRequest), http.StatusRequestEntityTooLarge, ""},
		{"a first head with a proof", strings.Replace(l.request(0, 5), "\n\n", "\n"+l.leaves[0].String()+"\n\n", 1), http.StatusUnprocessableEntity, "the proof is empty"},
		{"an old size that it does not know", l.request(3, 5), http.StatusConflict, "0\n"},
		{"the first head", l.request(0, 5), http.StatusOK, "— witness.example "},
		{"the same again", l.request(5, 5), http.StatusOK, "— witness.example "},
		{"two roots for one size", other.request(5, 5), http.StatusConflict, "5\n"},
		{"another history, as if it were new", other.request(0, 7), http.StatusConflict, "5\n"},
		{"another history with a proof of its own", other.request(5, 7), http.StatusUnprocessableEntity, "continues"},
		{"no proof", strings.Replace(l.request(0, 7), "old 0", "old 5", 1), http.StatusUnprocessableEntity, "continues"},
		{"an old size beyond the checkpoint", strings.Replace(l.request(0, 4), "old 0", "old 5", 1), http.StatusBadRequest, "only 4"},
		{"a head that grew", l.request(5, 12), http.StatusOK, "— witness.example "},
		{"a head that went back", l.request(5, 7), http.StatusConflict, "12\n"},
	} {
		status, text := ask(t, url, c.body)
		if status != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%d, %s: %d %q, want %d %q", i, c.name, status, text, c.status, c.says)
		}
		if status != http.StatusOK {
			continue
		}
		_, note, _ := strings.Cut(c.body, "\n\n")
		at, _, err := w.Cosigner.Cosigned(note + text)
		if err != nil || at.Unix() != 1_800_000_000 {
			t.Errorf("%s: %v at %s", c.name, err, at)
		}
	}
	answer, err := http.Get(url + "/add-checkpoint") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	if _ = answer.Body.Close(); answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET is answered with %d", answer.StatusCode)
	}
}

// TestRemembers: what was cosigned survives the process, and its loss is noticed.
func TestRemembers(t *testing.T) {
	l, other, dir := newLog(t, "honest", 9), newLog(t, "forked", 9), t.TempDir()
	w, url := start(t, dir, l.vkey)
	if status, text := ask(t, url, l.request(0, 5)); status != http.StatusOK {
		t.Fatal(status, text)
	}
	if _, err := Open(w.Options); err == nil || !strings.Contains(err.Error(), "another witness uses") {
		t.Errorf("two witnesses in one directory: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w, url = start(t, dir, l.vkey)
	if status, text := ask(t, url, other.request(0, 7)); status != http.StatusConflict || text != "5\n" {
		t.Errorf("after a restart: %d %q", status, text)
	}
	if status, text := ask(t, url, l.request(5, 9)); status != http.StatusOK {
		t.Errorf("after a restart: %d %q", status, text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	heads, err := filepath.Glob(filepath.Join(dir, headsDir, "*"))
	if err != nil || len(heads) != 1 {
		t.Fatalf("%v, %v", heads, err)
	}
	kept, err := os.ReadFile(heads[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"damaged": strings.Replace(string(kept), "\n9\n", "\n8\n", 1), "of another witness": l.at(9), "empty": ""} {
		if err := os.WriteFile(heads[0], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(w.Options); err == nil || !strings.Contains(err.Error(), "is not the head") {
			t.Errorf("a head that is %s is taken: %v", name, err)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, headsDir)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "witness.key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Prepare(dir, "witness.key"); err == nil || !strings.Contains(err.Error(), "second history") {
		t.Errorf("a witness without memory begins again: %v", err)
	}
}

// TestNotKept: what could not be written is not cosigned.
func TestNotKept(t *testing.T) {
	l, dir := newLog(t, "honest", 9), t.TempDir()
	w, url := start(t, dir, l.vkey)
	w.heads[origin].path = filepath.Join(dir, "gone", "head")
	if status, text := ask(t, url, l.request(0, 5)); status != http.StatusInternalServerError || strings.Contains(text, "—") {
		t.Errorf("%d %q", status, text)
	}
	w.heads[origin].path = filepath.Join(dir, headsDir, "head")
	if status, text := ask(t, url, l.request(0, 5)); status != http.StatusOK {
		t.Errorf("when it can be written again: %d %q", status, text)
	}
}

// TestOneHistory: of two histories that are offered at the same time, again and again, one is cosigned.
func TestOneHistory(t *testing.T) {
	l, other := newLog(t, "honest", 40), newLog(t, "forked", 40)
	_, url := start(t, t.TempDir(), l.vkey)
	var group sync.WaitGroup
	var mu sync.Mutex
	cosigned := map[string]bool{}
	for _, side := range []struct {
		name string
		log  *log
	}{{"honest", l}, {"forked", other}} {
		for range 4 {
			group.Go(func() {
				for size, old := 1, 0; size <= 40; size++ {
					if size < old { // another of its side was faster
						continue
					}
					status, text := ask(t, url, side.log.request(old, size))
					if status == http.StatusConflict {
						_, _ = fmt.Sscan(text, &old)
						continue
					}
					if status == http.StatusOK {
						old = size
						mu.Lock()
						cosigned[side.name] = true
						mu.Unlock()
					}
				}
			})
		}
	}
	group.Wait()
	if len(cosigned) != 1 {
		t.Errorf("cosigned: %v", cosigned)
	}
}

// TestReadLogs reads files of keys, and names the line that is none.
func TestReadLogs(t *testing.T) {
	l := newLog(t, "", 0)
	keys, err := ReadLogs("# ours\n\nlog " + l.vkey + " https://prova.example\n" + l.vkey + "\n")
	if err != nil || len(keys) != 2 || keys[0] != l.vkey {
		t.Errorf("%v, %v", keys, err)
	}
	if _, err := ReadLogs("\nhello\n"); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("%v", err)
	}
}

// FuzzRequest: what is taken is what marshal writes.
func FuzzRequest(f *testing.F) {
	l := newLog(f, "honest", 9)
	f.Add([]byte(l.request(0, 5)))
	f.Add([]byte(l.request(5, 9)))
	f.Add([]byte("old 1\n\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseRequest(body)
		if err == nil && string(r.marshal()) != string(body) {
			t.Errorf("%q is taken for %q", body, r.marshal())
		}
	})
}
