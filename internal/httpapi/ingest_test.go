package httpapi

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

const ingestPath = "/api/v1/audit/ingest"

// run is an event with further members.
func run(more string) string {
	return `{"kind":"agent_run","source":{"app_id":"a"},"metrics":{"success":true}` + more + `}`
}

func results(t *testing.T, w *httptest.ResponseRecorder) []api.IngestResult {
	t.Helper()
	var a api.IngestAnswer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 {
		t.Fatalf("status %d, %v: %.500s", w.Code, err, w.Body)
	}
	return a.Results
}

// A bad event is refused by itself: with a problem if it was sent alone, in
// its result if it was not.
func TestBadEvents(t *testing.T) {
	nest := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for name, c := range map[string]struct{ event, pointer, detail string }{
		"doubled member":          {run(`,"run_id":"a","run_id":"b"`), "/run_id", "duplicate"},
		"doubled under an escape": {run(`,"run_id":"a","r\u0075n_id":"b"`), "/run_id", "duplicate"},
		"doubled in the payload":  {run(`,"payload":{"x":{"a":1,"a":2}}`), "/payload/x/a", "duplicate"},
		"doubled metric":          {`{"kind":"agent_run","source":{"app_id":"a"},"metrics":{"a":1,"a":2}}`, "/metrics/a", "duplicate"},
		"other letter case":       {`{"KIND":"agent_run"}`, "/KIND", "unknown member"},
		"unknown member":          {run(`,"sourse":{}`), "/sourse", "unknown member"},
		"unknown deeper":          {`{"kind":"agent_run","source":{"app_id":"a","app":"b"}}`, "/source/app", "unknown member"},
		"invalid UTF-8":           {run(`,"run_id":"` + "\xff" + `"`), "/run_id", "UTF-8"},
		"lone surrogate":          {run(`,"run_id":"\ud800"`), "/run_id", "surrogate"},
		"escaped NUL":             {run(`,"run_id":"a\u0000"`), "/run_id", "U+0000"},
		"NUL in the payload":      {run(`,"payload":{"x":"\u0000"}`), "/payload/x", "U+0000"},
		"raw newline":             {run(`,"run_id":"a` + "\n" + `b"`), "/run_id", "invalid character"},
		"loses digits":            {run(`,"payload":{"x":0.12345678901234567890}`), "/payload/x", "loses digits"},
		"large integer":           {run(`,"payload":{"x":9007199254740993}`), "/payload/x", "string"},
		"1e400":                   {run(`,"payload":{"x":1e400}`), "/payload/x", "range"},
		"NaN":                     {run(`,"payload":{"x":NaN}`), "/payload/x", "invalid character"},
		"metric as a string":      {`{"kind":"agent_run","source":{"app_id":"a"},"metrics":{"latency_ms":"812"}}`, "/metrics/latency_ms", "finite number"},
		"metric null":             {`{"kind":"agent_run","source":{"app_id":"a"},"metrics":{"latency_ms":null}}`, "/metrics/latency_ms", "leave out"},
		"metric object":           {`{"kind":"agent_run","source":{"app_id":"a"},"metrics":{"latency_ms":{}}}`, "/metrics/latency_ms", "finite number"},
		"metric too large":        {`{"kind":"agent_run","source":{"app_id":"a"},"metrics":{"latency_ms":1e30}}`, "/metrics/latency_ms", "1e18"},
		"metric integer":          {`{"kind":"agent_run","source":{"app_id":"a"},"metrics":{"x/y":2000000000000000000}}`, "/metrics/x~1y", "1e18"},
		"metric 1e400":            {`{"kind":"agent_run","source":{"app_id":"a"},"metrics":{"a":-1e400}}`, "/metrics/a", "finite"},
		"kind as a number":        {`{"kind":1}`, "/kind", "want a string, got a number"},
		"source as an array":      {`{"kind":"x","source":[]}`, "/source", "want an object, got an array"},
		"metrics as an array":     {`{"kind":"x","metrics":[1]}`, "/metrics", "want an object"},
		"payload as a string":     {`{"kind":"x","payload":"p"}`, "/payload", "want an object, got a string"},
		"too deep":                {run(`,"payload":{"x":` + nest(31) + `}`), "", "deeper"},
		"far too deep":            {run(`,"payload":{"x":` + nest(5000) + `}`), "", "deeper"},
		"too large":               {run(`,"payload":{"x":"` + strings.Repeat("x", api.MaxEvent) + `"}`), "", "bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			h, _ := serving(t, f)
			code, status := "invalid", 400
			if name == "too large" {
				code, status = "too_large", 413
			}
			p := wantProblem(t, ask(h, "POST", ingestPath, c.event), status, code)
			if !strings.Contains(p.Detail, c.detail) {
				t.Errorf("detail %q, want %q", p.Detail, c.detail)
			}
			if c.pointer != "" && (len(p.Errors) != 1 || p.Errors[0].Pointer != c.pointer || p.Errors[0].Detail != p.Detail) {
				t.Errorf("errors %+v, want %s", p.Errors, c.pointer)
			}
			if strings.ContainsAny(c.event, "\n") || name == "NaN" {
				return // no array can hold it
			}
			got := results(t, ask(h, "POST", ingestPath, "["+run("")+","+c.event+","+run("")+"]"))
			if len(got) != 3 || got[0].Problem != nil || got[1].Status != api.IngestRefused || got[2].Problem != nil || got[2].Index != 2 {
				t.Fatalf("in an array: %+v", got)
			}
			if got[1].Problem.Detail != p.Detail || got[1].Problem.Status != status {
				t.Errorf("in an array: %+v", got[1].Problem)
			}
			got = results(t, ask(h, "POST", ingestPath, run("")+"\n\n"+c.event+"\r\n"+run(""), "Content-Type", typeNDJSON))
			if len(got) != 3 || got[1].Problem == nil || got[1].Problem.Detail != p.Detail || got[2].Problem != nil {
				t.Errorf("as NDJSON: %+v", got)
			}
		})
	}
}

func TestWholeBodyIsRefused(t *testing.T) {
	for name, body := range map[string]string{
		"empty": "", "blank": " \n ", "text": "hello", "a string": `"x"`, "a number": "1", "null": "null", "BOM": "\xEF\xBB\xBF" + run(""),
		"cut array": "[" + run(""), "cut event": run("")[:20], "no comma": "[" + run("") + run("") + "]", "comma at the end": "[" + run("") + ",]",
		"two values": run("") + run(""), "behind the array": "[] []", "much too deep": strings.Repeat("[", 200_000),
		"UTF-16": "\xff\xfe{\x00}\x00", "NaN in an array": "[" + run(`,"payload":{"x":NaN}`) + "]",
	} {
		f := &fake{}
		h, _ := serving(t, f)
		p := wantProblem(t, ask(h, "POST", ingestPath, body), 400, "invalid")
		if strings.Contains(p.Detail, "jsontext") {
			t.Errorf("%s: %q is not for people", name, p.Detail)
		}
	}
}

func TestBatches(t *testing.T) {
	many := func(n int) string { return strings.Repeat(run("")+"\n", n) }
	for name, c := range map[string]struct {
		body, contentType string
		results           int
	}{
		"lone event":       {run(""), "application/json", 1},
		"no content type":  {run(""), "", 1},
		"array":            {"[" + run("") + " ,\n" + run("") + "]", "application/json;charset=UTF-8", 2},
		"empty array":      {"[]", "application/json", 0},
		"wrong elements":   {`[1,null,"x",[],` + run("") + "]", "application/json", 5},
		"NDJSON":           {many(3), "application/x-ndjson", 3},
		"NDJSON, no end":   {run("") + "\n" + run(""), "application/x-ndjson; charset=utf-8", 2},
		"NDJSON, blank":    {"\n \r\n" + many(1) + "\n\n", "application/x-ndjson", 1},
		"NDJSON, empty":    {"", "application/x-ndjson", 0},
		"NDJSON, not JSON": {"hello\n" + many(1), "application/x-ndjson", 2},
		"most events":      {many(api.MaxEvents), "application/x-ndjson", api.MaxEvents},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			h, _ := serving(t, f)
			if got := results(t, ask(h, "POST", ingestPath, c.body, "Content-Type", c.contentType)); len(got) != c.results || len(f.batch) != c.results {
				t.Errorf("%d results, want %d", len(got), c.results)
			}
		})
	}
	h, _ := serving(t, &fake{})
	wantProblem(t, ask(h, "POST", ingestPath, many(api.MaxEvents+1), "Content-Type", typeNDJSON), 413, "too_large")
	wantProblem(t, ask(h, "POST", ingestPath, "["+strings.Repeat("1,", api.MaxEvents)+"1]"), 413, "too_large")
}

func TestSubmission(t *testing.T) {
	f := &fake{}
	h, _ := serving(t, f)
	body := ` { "source":{"app_id":"é"}, "kind":"agent_run", "metrics":{"b":1.50,"a":false},"payload":{"z":[1, 2],"a":"\u00e9"} } `
	results(t, ask(h, "POST", ingestPath, body, api.ReleaseHeader, "v2"))
	got := f.batch[0]
	const canonical = `{"kind":"agent_run","metrics":{"a":false,"b":1.5},"payload":{"a":"é","z":[1,2]},"source":{"app_id":"é"}}`
	if string(got.Canonical) != canonical {
		t.Errorf("canonical %s", got.Canonical)
	}
	if got.Release != "v2" || got.Event.Source.AppID != "é" || got.Event.Metrics["b"] != api.Number(1.5) || got.Event.Metrics["a"] != api.Bool(false) {
		t.Errorf("%+v", got)
	}
	if string(got.Event.Payload["z"]) != "[1,2]" {
		t.Errorf("payload %s", got.Event.Payload["z"])
	}
	wantProblem(t, ask(h, "POST", ingestPath, body, api.ReleaseHeader, strings.Repeat("x", 201)), 400, "invalid")
	wantProblem(t, ask(h, "POST", ingestPath, body, api.ReleaseHeader, "\xff"), 400, "invalid")
}

// What the use case refuses is a problem of the request only if the event was alone.
func TestRefusedByTheUseCase(t *testing.T) {
	conflict := problemOf(&authority.Error{Code: authority.CodeConflict, Detail: "another body"})
	f := &fake{record: func(b []authority.Submission) []api.IngestResult {
		return []api.IngestResult{{Status: api.IngestRefused, Problem: &conflict}}
	}}
	h, _ := serving(t, f)
	wantProblem(t, ask(h, "POST", ingestPath, run("")), 409, "conflict")
	if got := results(t, ask(h, "POST", ingestPath, "["+run("")+"]")); got[0].Problem.Status != 409 {
		t.Errorf("%+v", got)
	}
}

func zipped(t *testing.T, body string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGzip(t *testing.T) {
	h, _ := serving(t, &fake{})
	good := zipped(t, "["+run("")+"]")
	for _, encoding := range []string{"gzip", "GZIP", "x-gzip"} {
		if got := results(t, ask(h, "POST", ingestPath, good, "Content-Encoding", encoding)); len(got) != 1 {
			t.Errorf("%s: %+v", encoding, got)
		}
	}
	if got := results(t, ask(h, "POST", ingestPath, zipped(t, run("")+"\n")+zipped(t, run("")), "Content-Encoding", "gzip", "Content-Type", typeNDJSON)); len(got) != 2 {
		t.Errorf("two members: %+v", got)
	}
	bomb := zipped(t, "["+strings.Repeat(" ", api.MaxBody)+"]")
	if len(bomb) > 1<<15 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	wantProblem(t, ask(h, "POST", ingestPath, bomb, "Content-Encoding", "gzip"), 413, "too_large")
	if got := results(t, ask(h, "POST", ingestPath, zipped(t, "["+strings.Repeat(" ", api.MaxBody-2)+"]"), "Content-Encoding", "gzip")); len(got) != 0 {
		t.Errorf("just within the limit: %+v", got)
	}
	for name, body := range map[string]string{
		"not gzip": run(""), "cut": good[:len(good)-3], "wrong sum": good[:len(good)-8] + "\x00\x00\x00\x00" + good[len(good)-4:], "rubbish behind": good + "x",
		"nested": zipped(t, good),
	} {
		p := wantProblem(t, ask(h, "POST", ingestPath, body, "Content-Encoding", "gzip"), 400, "invalid")
		t.Logf("%s: %s", name, p.Detail)
	}
	for _, encoding := range []string{"br", "deflate", "gzip, gzip", "zstd", "a\tb"} {
		wantProblem(t, ask(h, "POST", ingestPath, good, "Content-Encoding", encoding), 415, "unsupported_media_type")
	}
	for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "application/", "x"} {
		wantProblem(t, ask(h, "POST", ingestPath, run(""), "Content-Type", contentType), 415, "unsupported_media_type")
	}
}

func FuzzIngest(f *testing.F) {
	for _, s := range []string{run(""), "[" + run("") + "]", run("") + "\n" + run(""), `[1,{"kind":"\ud800"}]`, "[[[[", `{"metrics":{"a":1e999}}`} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, lines bool) {
		cases := &fake{}
		h := New(Options{Cases: cases, Log: discard()}) // the fake accepts what is decoded, whatever it says
		contentType := typeJSON
		if lines {
			contentType = typeNDJSON
		}
		w := ask(h, "POST", ingestPath, string(body), "Content-Type", contentType)
		if w.Code != 200 && w.Code != 400 && w.Code != 413 {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		for i, s := range cases.batch {
			if (s.Refused == nil) != (len(s.Canonical) > 0 && s.Canonical[0] == '{') {
				t.Fatalf("event %d is neither refused nor canonical: %+v", i, s)
			}
		}
	})
}

func BenchmarkIngest(b *testing.B) {
	event := `{"kind":"agent_run","occurred_at":"2026-05-15T18:42:00Z","idempotency_key":"trace-0123456789","source":{"app_id":"claims-agent",` +
		`"environment":"production","release":"v36","framework":"langgraph"},"model":{"provider":"acme","name":"m-1"},"run_id":"run-0123456789",` +
		`"metrics":{"success":true,"latency_ms":812,"cost_usd":0.0123,"tokens":2210,"score":0.82},"payload":{"input":"` + strings.Repeat("in ", 80) +
		`","output":"` + strings.Repeat("out ", 60) + `"},"attributes":{"region":"eu","try":1}}`
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := New(Options{Cases: &fake{}, Log: discard()})
			body := "[" + strings.Repeat(event+",", n-1) + event + "]"
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if w := ask(h, "POST", ingestPath, body, "Content-Type", typeJSON); w.Code != 200 {
					b.Fatal(w.Body)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/event")
		})
	}
}
