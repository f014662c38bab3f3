package importer_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/importer"
)

// read reads everything: runs as "number app release metrics", bad lines as "number! reason".
func read(t *testing.T, in io.Reader) []string {
	t.Helper()
	var got []string
	r := importer.NewReader(in)
	for {
		run, err := r.Next()
		if bad, ok := errors.AsType[*importer.LineError](err); ok {
			got = append(got, fmt.Sprintf("%d! %v", bad.Number, bad.Err))
			continue
		}
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			return append(got, "stopped: "+err.Error())
		}
		s := run.Event.Source
		got = append(got, fmt.Sprintf("%d %s %s %d", run.Number, s.AppID, s.Release, len(run.Event.Metrics)))
	}
}

const good = `{"app_id":"a","release":"v1","metrics":{"success":true}}`

func TestLines(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"one":                 {good, []string{"1 a v1 1"}},
		"with its end":        {good + "\n", []string{"1 a v1 1"}},
		"CRLF":                {good + "\r\n" + good + "\r\n", []string{"1 a v1 1", "2 a v1 1"}},
		"byte order mark":     {"\uFEFF" + good + "\n", []string{"1 a v1 1"}},
		"blank lines":         {"\n\n" + good + "\n \t \n\r\n" + good + "\n\n", []string{"3 a v1 1", "6 a v1 1"}},
		"empty":               {"", nil},
		"no release":          {`{"app_id":"a","metrics":{"x":1}}`, []string{"1 a  1"}},
		"bad between good":    {good + "\n{nonsense\n" + good, []string{"1 a v1 1", "2! not JSON at byte 3: invalid character 'o' in literal null (expecting 'u')", "3 a v1 1"}},
		"cut off":             {good[:20], []string{"1! not JSON at byte 21: unexpected EOF"}},
		"array":               {"[" + good + "]", []string{"1! an array; put each run on a line of its own, such as with jq -c '.[]'"}},
		"text":                {`"a"`, []string{"1! want one JSON object, got a string"}},
		"something else":      {`{"name":"x"}`, []string{`1! neither a run {"app_id", "release", "metrics"} nor a receipt {"body", "key_id", "signature"}`}},
		"unknown member":      {`{"app_id":"a","relase":"v1","metrics":{"x":1}}`, []string{"1! unknown member /relase; what a run should carry besides goes into attributes"}},
		"a member twice":      {`{"app_id":"a","app_id":"b","metrics":{"x":1}}`, []string{"1! member /app_id stands twice"}},
		"no metrics":          {`{"app_id":"a","release":"v1"}`, []string{`1! no metrics; a run needs at least one, such as {"success": true}`}},
		"a metric of text":    {`{"app_id":"a","metrics":{"x":"1"}}`, []string{"1! metrics/x: " + api.ErrMetric.Error()}},
		"a metric of null":    {`{"app_id":"a","metrics":{"x":null}}`, []string{"1! metrics/x: " + api.ErrMetric.Error()}},
		"a metric too large":  {`{"app_id":"a","metrics":{"x":1e19}}`, []string{"1! metrics/x: " + api.ErrMetric.Error()}},
		"no app":              {`{"app_id":"","metrics":{"x":1}}`, []string{"1! app_id is empty"}},
		"a control character": {`{"app_id":"a\u0000b","metrics":{"x":1}}`, []string{`1! app_id "a\x00b" holds a control character`}},
		"time":                {`{"app_id":"a","metrics":{"x":1},"occurred_at":"yesterday"}`, []string{`1! occurred_at "yesterday": want a time such as 2026-05-15T18:42:00Z`}},
		"event":               {`{"kind":"agent_run","source":{"app_id":"a","release":"v2"},"metrics":{"x":1,"y":2}}`, []string{"1 a v2 2"}},
		"event of a kind":     {`{"kind":"tool_call","source":{"app_id":"a"}}` + "\n" + good, []string{"2 a v1 1"}},
		"outcome, no run":     {`{"kind":"outcome","source":{"app_id":"a"},"metrics":{"x":1}}`, []string{"1! an outcome without the run_id of its run"}},
		"receipt": {
			`{"body":{"event_id":"evt_1","kind":"agent_run","org":"o","source":{"app_id":"a","release":"v3"},"metrics":{"x":1}},"key_id":"k","signature":"s"}`,
			[]string{"1 a v3 1"},
		},
		"export": {`{"export":{"version":1}}` + "\n" +
			`{"log_index":0,"receipt":{"body":{"event_id":"evt_1","kind":"key_event"}}}` + "\n" +
			`{"log_index":1,"receipt":{"body":{"event_id":"evt_2","kind":"agent_run","source":{"app_id":"a","release":"v4"},"metrics":{"x":1}}}}` + "\n" +
			`{"checkpoint":"…","size":2}`, []string{"3 a v4 1"}},
		"receipt without kind": {`{"body":{}}`, []string{"1! a receipt without kind or event_id"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := read(t, strings.NewReader(c.in)); strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestLongLines(t *testing.T) {
	fill := func(n int) string { // a good line of exactly n bytes
		line := `{"app_id":"a","metrics":{"x":1},"attributes":{"pad":""}}`
		return strings.Replace(line, `""`, `"`+strings.Repeat("p", n-len(line))+`"`, 1)
	}
	got := read(t, strings.NewReader(good+"\n"+fill(importer.MaxLine-1)+"\n"+fill(importer.MaxLine+10)+"\n"+good+"\n"+strings.Repeat("x", 3*importer.MaxLine)))
	want := []string{"1 a v1 1", "2 a  1", "3! " + importer.ErrLong.Error(), "4 a v1 1", "5! " + importer.ErrLong.Error()}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("disk on fire") }

func TestBrokenFile(t *testing.T) {
	got := read(t, io.MultiReader(strings.NewReader(good+"\n"+good), brokenReader{}))
	if want := "1 a v1 1\nstopped: line 2: disk on fire"; strings.Join(got, "\n") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEvent(t *testing.T) {
	r := importer.NewReader(strings.NewReader(`{"app_id":"a","environment":"e","release":"r","probe_id":"p","run_id":"i","unit_id":"u","occurred_at":"2026-05-15T18:42:00Z","idempotency_key":"k","metrics":{"success":false,"n":2},"attributes":{"deep":{"er":[1]}}}`))
	run, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	e := run.Event
	if e.Kind != api.KindAgentRun || e.Source.Environment != "e" || e.ProbeID != "p" || e.RunID != "i" || e.UnitID != "u" || e.IdempotencyKey != "k" ||
		e.Metrics["success"] != api.Bool(false) || e.Metrics["n"] != api.Number(2) || string(e.Attributes["deep"]) != `{"er":[1]}` {
		t.Errorf("got %+v", e)
	}
}

// The real files are read whole. They lie outside of the project.
func TestRealFiles(t *testing.T) {
	shared := os.Getenv("PROVA_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	for name, want := range map[string]int{"llmdrift": 12624, "bfcl": 39100, "metr-horizon": 6852} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Open(filepath.Join(shared, "data", name, "runs.ndjson"))
			if errors.Is(err, os.ErrNotExist) {
				t.Skip("the data sets are not here; set PROVA_SHARED to their folder")
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = f.Close() })
			got := read(t, f)
			for _, line := range got {
				if strings.Contains(line, "!") {
					t.Fatal(line)
				}
			}
			if len(got) != want {
				t.Errorf("%d runs, want %d", len(got), want)
			}
		})
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(`{"body":{"event_id":"evt_1","kind":"agent_run","source":{"app_id":"a"},"metrics":{"x":1}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := importer.NewReader(strings.NewReader(string(data)))
		for range len(data) + 2 {
			run, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err == nil && (run.Event.Source.AppID == "" || len(run.Event.Metrics) == 0) {
				t.Errorf("line %d: a run without app or metrics", run.Number)
			}
		}
		t.Error("the reader does not end")
	})
}
