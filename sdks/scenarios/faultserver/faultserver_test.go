package faultserver_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cobound/prova/sdks/scenarios/faultserver"
)

const (
	one   = `{"kind":"agent_run","idempotency_key":"k1","run_id":"r1","occurred_at":"2026-05-15T18:42:00Z","source":{"app_id":"a","release":"v1"},"metrics":{"success":true}}`
	two   = `{"kind":"agent_run","idempotency_key":"k2","run_id":"r2","occurred_at":"2026-05-15T18:42:00Z","source":{"app_id":"a","release":"v1"},"metrics":{"success":true}}`
	wants = `{"events":[{"kind":"agent_run","release":"v1","run_id":"r1","metrics":{"success":true}}],"counts":{"sent":1},"warnings":[]}`
)

func start(t *testing.T) (*faultserver.Server, string) {
	t.Helper()
	s := faultserver.New("")
	l := httptest.NewServer(s)
	t.Cleanup(l.Close)
	return s, l.URL
}

func send(t *testing.T, url, body string) (status int, answer string, err error) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer x")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), errors.Join(err, resp.Body.Close())
}

func judge(t *testing.T, url, expect, counts, warnings string) string {
	t.Helper()
	status, answer, err := send(t, url+"/_judge", `{"expect":`+expect+`,"counts":`+counts+`,"warnings":`+warnings+`}`)
	if err != nil || status != 200 {
		t.Fatal(status, answer, err)
	}
	var out struct{ Failures []string }
	if err := json.Unmarshal([]byte(answer), &out); err != nil {
		t.Fatal(err)
	}
	return strings.Join(out.Failures, "\n")
}

// What went well is judged to have, and everything that differs is found.
func TestJudge(t *testing.T) {
	counts := `{"recorded":1,"sent":1}`
	for name, c := range map[string]struct{ sent, expect, counts, warnings, want string }{
		"well":            {one, wants, counts, `[]`, ""},
		"sent again":      {one + "\n" + one, wants, counts, `[]`, ""},
		"nothing":         {"", wants, counts, `[]`, "0 events were signed"},
		"one too many":    {one + "\n" + two, wants, counts, `[]`, "2 events were signed"},
		"another run":     {two, wants, counts, `[]`, `run_id is "r2"`},
		"another value":   {strings.Replace(one, "true", "false", 1), wants, counts, `[]`, "the metric success"},
		"another metric":  {strings.Replace(one, "success", "x", 1), wants, counts, `[]`, `metrics is "x"`},
		"another release": {strings.Replace(one, "v1", "v2", 1), wants, counts, `[]`, `release is "v2"`},
		"a payload":       {strings.Replace(one, `"metrics"`, `"payload":{"input":1},"metrics"`, 1), wants, counts, `[]`, `payload is "input"`},
		"without a time":  {strings.Replace(one, "occurred_at", "unit_id", 1), wants, counts, `[]`, "occurred_at"},
		"without a key":   {strings.Replace(one, "idempotency_key", "probe_id", 1), wants, counts, `[]`, "without an idempotency key"},
		"a count":         {one, wants, `{"recorded":2,"sent":2}`, `[]`, "the count sent is 2"},
		"a sum":           {one, wants, `{"recorded":2,"sent":1}`, `[]`, "2 events came in"},
		"a warning":       {one, wants, counts, `[{"kind":"key"}]`, "[key]"},
		"a missing one":   {one, strings.Replace(wants, `"warnings":[]`, `"warnings":["key"]`, 1), counts, `[]`, "want [key]"},
		"a missing name":  {one, strings.Replace(wants, `"counts"`, `"refused":["metrics.x"],"counts"`, 1), counts, `[]`, "no warning names metrics.x"},
		"two keys":        {one + "\n" + strings.Replace(one, "k1", "k3", 1), wants, counts, `[]`, "two idempotency keys"},
		"no events":       {"{", wants, counts, `[]`, "a body of no events"},
	} {
		t.Run(name, func(t *testing.T) {
			_, url := start(t)
			if c.sent != "" {
				_, _, err := send(t, url+faultserver.IngestPath, c.sent)
				if err != nil {
					t.Fatal(err)
				}
			}
			if got := judge(t, url, c.expect, c.counts, c.warnings); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("the failures are %q, want %q", got, c.want)
			}
		})
	}
}

// Other bytes under a key that was signed, and a request before its time, are always found.
func TestAlwaysFaulty(t *testing.T) {
	s, url := start(t)
	for _, body := range []string{one, strings.Replace(one, "true", "false", 1)} {
		if _, _, err := send(t, url+faultserver.IngestPath, body); err != nil {
			t.Fatal(err)
		}
	}
	s.Program([]faultserver.Fault{{Kind: "status", Status: 429, RetryAfter: "30"}})
	for range 2 {
		if _, _, err := send(t, url+faultserver.IngestPath, two); err != nil {
			t.Fatal(err)
		}
	}
	got := judge(t, url, wants, `{"recorded":1,"sent":1}`, `[]`)
	if !strings.Contains(got, "another body under the idempotency key of run r1") || !strings.Contains(got, "before the time that Retry-After asked") {
		t.Errorf("the failures are %q", got)
	}
}

func TestFaults(t *testing.T) {
	_, url := start(t)
	status, answer, err := send(t, url+"/_reset", `[{"kind":"reset"},{"kind":"lost"},{"kind":"garbage","body":"<"},{"kind":"status","status":503,"page":true,"times":2},
		{"kind":"too_large","events":1},{"kind":"refuse","run_id":"r2","status":400,"pointer":"/occurred_at"}]`)
	if status != 204 || err != nil {
		t.Fatal(status, answer, err)
	}
	ingest := url + faultserver.IngestPath
	for i, want := range []int{0, 0, 200, 503, 503} {
		if status, _, err := send(t, ingest, one); (err != nil) != (want == 0) || status != want {
			t.Errorf("request %d: %d, %v", i, status, err)
		}
	}
	if status, answer, _ := send(t, ingest, one); status != 200 || !strings.Contains(answer, "duplicate") {
		t.Errorf("a fault that does not concern a request: %d %s", status, answer)
	}
	if status, _, _ := send(t, ingest, one+"\n"+two); status != 413 {
		t.Errorf("too large: %d", status)
	}
	if status, answer, _ := send(t, ingest, "["+one+","+two+"]"); status != 200 || !strings.Contains(answer, "/occurred_at") || !strings.Contains(answer, "duplicate") {
		t.Errorf("refused: %d %s", status, answer)
	}
	for _, bad := range []string{`[{"kind":"explode"}]`, `[{"kind":"status"}]`, `[{"kid":"slow"}]`, `{}`} {
		if status, _, _ := send(t, url+"/_reset", bad); status != 400 {
			t.Errorf("%s: %d", bad, status)
		}
	}
}

// A misspelt scenario is an error, not one that shows nothing.
func TestLoad(t *testing.T) {
	for _, bad := range []string{`{"calls":[{"doo":"run"}]}`, `{"faults":[{"kind":"explode"}]}`, `{"calls":[{"do":"faults","faults":[{"kind":"status"}]}]}`, `{`} {
		path := filepath.Join(t.TempDir(), "bad.json")
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := faultserver.Load(path); err == nil {
			t.Errorf("%s is a scenario", bad)
		}
	}
	paths, err := filepath.Glob("../*.json")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		s, err := faultserver.Load(path)
		if err != nil || s.About == "" || s.Expect.Warnings == nil {
			t.Errorf("%s: %v; it needs about and expect.warnings", path, err)
		}
		for _, f := range s.Faults {
			if !bytes.Contains(readme, []byte("`"+f.Kind+"`")) {
				t.Errorf("the README does not explain %s", f.Kind)
			}
		}
	}
}
