package clientcmd_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/clientcmd"
)

const secret = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"

// output is written by the command and read by the test.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// listen runs the command and returns its address. Checkpoints are kept in a directory, unless that is "".
func listen(t *testing.T, command, checkpoints string) (address string, stdout, stderr *output, end func() error) {
	t.Helper()
	stdout, stderr = &output{}, &output{}
	env := &cli.Env{Program: "prova", Stdout: stdout, Stderr: stderr, Getenv: func(name string) string {
		if name == "PROVA_WEBHOOK_SECRET" {
			return secret
		}
		return ""
	}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- clientcmd.WebhooksListen{Addr: "127.0.0.1:0", Exec: command, Checkpoints: checkpoints}.Run(ctx, env)
	}()
	t.Cleanup(cancel)
	for range 500 {
		if _, rest, ok := strings.Cut(stderr.String(), "Listening on "); ok {
			address, _, _ = strings.Cut(rest, ";")
			return address, stdout, stderr, func() error { cancel(); return <-done }
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it does not listen: " + stderr.String())
	return "", nil, nil, nil
}

// deliver sends a signed body, with further headers by name and value.
func deliver(t *testing.T, address, id, key, body string, headers ...string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(api.SignatureHeader, api.Signature(time.Now(), []byte(body), key))
	req.Header.Set(api.WebhookIDHeader, id)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func event(kind string, sequence string, more string) string {
	return `{"event":"` + kind + `","data":{"rollout_id":"ro_1","app_id":"a","environment":"production","candidate_release":"v2","baseline_release":"v1","weight":25,"terminal":false,"decision_event_id":"evt_` +
		sequence + `","sequence":` + sequence + `,"reason":"clean; $(touch hacked)"` + more + `}}`
}

// TestListenKeepsCheckpoints: what cannot be kept is said, and holds no rollback up.
func TestListenKeepsCheckpoints(t *testing.T) {
	dir := t.TempDir()
	address, _, stderr, end := listen(t, "touch '"+filepath.Join(dir, "acted")+"'", filepath.Join(dir, "kept"))
	note := "log.example/1\n0\n" + "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" + "\n\n— log.example/1 AAAAAAA=\n"
	for i, header := range []string{"no base64", base64.StdEncoding.EncodeToString([]byte("no note")), base64.StdEncoding.EncodeToString([]byte(note))} {
		if err := os.RemoveAll(filepath.Join(dir, "acted")); err != nil {
			t.Fatal(err)
		}
		n := strconv.Itoa(i + 1)
		if got := deliver(t, address, "dlv_"+n, secret, strings.Replace(event(api.EventRollback, n, ""), `"weight":25`, `"weight":0`, 1), api.CheckpointHeader, header); got != http.StatusNoContent {
			t.Errorf("%q: a rollback is answered with %d", header, got)
		}
		if _, err := os.Stat(filepath.Join(dir, "acted")); err != nil {
			t.Errorf("%q: the command did not run: %v", header, err)
		}
	}
	_ = end()
	if n := strings.Count(stderr.String(), "was not kept"); n != 2 {
		t.Errorf("%d checkpoints were not kept, want 2:\n%s", n, stderr)
	}
	kept, err := os.ReadFile(filepath.Join(dir, "kept", "0000000000-e3b0c442.checkpoint"))
	if err != nil || string(kept) != note {
		t.Errorf("%q, %v", kept, err)
	}
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	// The command fails until the file is there.
	command := `cd '` + dir + `' && test -f ready && cat > body && echo "$PROVA_EVENT $PROVA_WEIGHT $PROVA_ROLLOUT_ID $PROVA_CANDIDATE_RELEASE $PROVA_BASELINE_RELEASE $PROVA_TERMINAL $PROVA_SEQUENCE $PROVA_REASON" > variables`
	address, stdout, stderr, end := listen(t, command, "")

	if got := deliver(t, address, "dlv_1", "whsec_d3Jvbmc=", event(api.EventPromote, "1", "")); got != http.StatusUnauthorized {
		t.Errorf("a wrong signature is answered with %d", got)
	}
	if got := deliver(t, address, "dlv_1", secret, event(api.EventPromote, "1", "")); got != http.StatusInternalServerError {
		t.Errorf("a failing command is answered with %d, want 500: the delivery has to come again", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "ready"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := deliver(t, address, "dlv_1", secret, event(api.EventPromote, "1", "")); got != http.StatusNoContent {
		t.Errorf("a good delivery is answered with %d", got)
	}
	variables, err := os.ReadFile(filepath.Join(dir, "variables"))
	if want := "rollout.promote 25 ro_1 v2 v1 false 1 clean; $(touch hacked)\n"; err != nil || string(variables) != want {
		t.Errorf("the command saw %q (%v), want %q", variables, err, want)
	}
	if body, err := os.ReadFile(filepath.Join(dir, "body")); err != nil || !strings.Contains(string(body), `"decision_event_id":"evt_1"`) {
		t.Errorf("the command read %q (%v)", body, err)
	}
	if err := os.Remove(filepath.Join(dir, "variables")); err != nil {
		t.Fatal(err)
	}
	for id, body := range map[string]string{"dlv_1": event(api.EventPromote, "1", ""), "dlv_test": event(api.EventPromote, "9", `,"test":true`)} {
		if got := deliver(t, address, id, secret, body); got != http.StatusNoContent {
			t.Errorf("%s is answered with %d", id, got)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "variables")); err == nil {
		t.Error("a repeated or a test delivery ran the command")
	}
	if code := cli.Code(end()); code != cli.Interrupted {
		t.Errorf("it ended with %d, want %d", code, cli.Interrupted)
	}
	if !strings.Contains(stdout.String(), "rollout.promote  v2 to 25 %") || !strings.Contains(stderr.String(), "could not carry out") {
		t.Errorf("it said\n%s\n%s", stdout, stderr)
	}
}
