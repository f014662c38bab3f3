package clientcmd_test

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
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

// listen runs the command and returns its address.
func listen(t *testing.T, command string) (address string, stdout, stderr *output, end func() error) {
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
	go func() { done <- clientcmd.WebhooksListen{Addr: "127.0.0.1:0", Exec: command}.Run(ctx, env) }()
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

func deliver(t *testing.T, address, id, key, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(api.SignatureHeader, api.Signature(time.Now(), []byte(body), key))
	req.Header.Set(api.WebhookIDHeader, id)
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

func TestListen(t *testing.T) {
	dir := t.TempDir()
	// The command fails until the file is there.
	command := `cd '` + dir + `' && test -f ready && cat > body && echo "$PROVA_EVENT $PROVA_WEIGHT $PROVA_ROLLOUT_ID $PROVA_CANDIDATE_RELEASE $PROVA_BASELINE_RELEASE $PROVA_TERMINAL $PROVA_SEQUENCE $PROVA_REASON" > variables`
	address, stdout, stderr, end := listen(t, command)

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
