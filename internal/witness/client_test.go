package witness

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// ours is a request about a log that grew from 7 to 20 receipts.
func ours(l *log, from, to int) authority.WitnessRequest {
	return authority.WitnessRequest{Old: int64(from), Proof: l.proof(from, to), Checkpoint: l.at(to)}
}

// TestClient asks a real witness.
func TestClient(t *testing.T) {
	l, forked := newLog(t, "honest", 20), newLog(t, "forked", 20)
	w, url := start(t, t.TempDir(), l.vkey)
	c := NewClient(ClientOptions{})
	for _, x := range []struct {
		name string
		r    authority.WitnessRequest
		code int
		size int64
		says string
	}{
		{"first", ours(l, 0, 7), 200, -1, ""},
		{"grown", ours(l, 7, 20), 200, -1, ""},
		{"again", ours(l, 20, 20), 200, -1, ""},
		{"from another size", ours(l, 7, 20), 409, 20, "20"},
		{"another root", ours(forked, 20, 20), 409, 20, "20"},
		{"another log", authority.WitnessRequest{Checkpoint: strings.Replace(l.at(3), origin, "elsewhere", 1)}, 404, -1, `this witness does not follow the log "elsewhere"`},
	} {
		got := c.AddCheckpoint(t.Context(), url+"/", x.r)
		if got.Err != nil || got.StatusCode != x.code || got.Size != x.size || got.Reason != x.says {
			t.Errorf("%s: %+v", x.name, got)
		}
		if x.code != 200 {
			continue
		}
		if _, line, err := w.Cosigner.Cosigned(x.r.Checkpoint + got.Lines); err != nil || line != got.Lines {
			t.Errorf("%s: %q, %v", x.name, got.Lines, err)
		}
	}
}

// TestClientAsks: what a witness under a path gets to read.
func TestClientAsks(t *testing.T) {
	l := newLog(t, "honest", 9)
	var seen atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		seen.Store(fmt.Sprintf("%s %s %s %s\n%s", r.Method, r.URL.Path, r.UserAgent(), r.Header.Get("Accept-Encoding"), body))
	}))
	defer server.Close()
	r := ours(l, 5, 9)
	NewClient(ClientOptions{UserAgent: "prova/1"}).AddCheckpoint(t.Context(), server.URL+"/of/prova", r)
	want := "POST /of/prova/add-checkpoint prova/1 \nold 5\n"
	for _, h := range r.Proof {
		want += h.String() + "\n"
	}
	if want += "\n" + r.Checkpoint; seen.Load() != want {
		t.Errorf("asked\n%s\nwant\n%s", seen.Load(), want)
	}
}

// TestClientBadServers: nothing that a server does makes the client wait, read
// or go further than it may.
func TestClientBadServers(t *testing.T) {
	var elsewhere atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer target.Close()
	release := make(chan struct{})
	var servers []*httptest.Server
	write := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, x := range map[string]struct {
		answer http.HandlerFunc
		code   int
		size   int64
		says   string // the reason or the error
	}{
		"silent": {func(http.ResponseWriter, *http.Request) { <-release }, 0, -1, "it did not answer within 200ms"},
		"dripping": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("—"))
				_ = http.NewResponseController(w).Flush()
				select {
				case <-release:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		}, 0, -1, "it did not answer within 200ms"},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, 0, -1, "more than 16384 bytes"},
		"endless headers": {func(w http.ResponseWriter, _ *http.Request) {
			for i := range 1000 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 1000))
			}
		}, 0, -1, "server response headers exceeded"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target.URL, http.StatusTemporaryRedirect)
		}, 307, -1, "a redirect, which is not followed: configure the final URL"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			_, _ = w.Write([]byte("x"))
		}, 0, -1, "unexpected EOF"},
		"hanging up":   {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, -1, "EOF"},
		"binary":       {write(500, "text/plain", "\x1b[31m\x00\xff no\nway  "), 500, -1, "\uFFFD[31m\uFFFD\uFFFD no way"},
		"a long story": {write(403, "text/plain", strings.Repeat("so ", 1000)), 403, -1, strings.TrimSpace(strings.Repeat("so ", 1000)[:200])},

		"a size":                   {write(409, "text/x.tlog.size", "12\n"), 409, 12, "12"},
		"a size with parameters":   {write(409, "text/x.tlog.size; charset=utf-8", "12"), 409, 12, "12"},
		"a size of another type":   {write(409, "text/plain", "12\n"), 409, -1, "12"},
		"a size below nothing":     {write(409, "text/x.tlog.size", "-1\n"), 409, -1, "-1"},
		"a size in another form":   {write(409, "text/x.tlog.size", "+12\n"), 409, -1, "+12"},
		"a size beyond all":        {write(409, "text/x.tlog.size", "9223372036854775808\n"), 409, -1, "9223372036854775808"},
		"two sizes":                {write(409, "text/x.tlog.size", "1\n2\n"), 409, -1, "1 2"},
		"a size, and no conflict":  {write(200, "text/x.tlog.size", "12\n"), 200, -1, ""},
		"no size":                  {write(409, "text/x.tlog.size", ""), 409, -1, ""},
		"a page of something else": {write(404, "text/html", "<html>\n<b>404</b>"), 404, -1, "<html> <b>404</b>"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(x.answer)
			servers = append(servers, server)
			timeout := 10 * time.Second
			if strings.Contains(x.says, "200ms") {
				timeout = 200 * time.Millisecond
			}
			got := NewClient(ClientOptions{Timeout: timeout}).AddCheckpoint(t.Context(), server.URL, authority.WitnessRequest{Checkpoint: "x\n\n— y z\n"})
			says := got.Reason
			if got.Err != nil {
				says = got.Err.Error()
			}
			if got.StatusCode != x.code || got.Size != x.size || (got.Err != nil) != (x.code == 0) || x.code == 0 && !strings.Contains(says, x.says) || x.code != 0 && says != x.says {
				t.Errorf("%+v", got)
			}
		})
	}
	close(release)
	for _, server := range servers {
		server.Close()
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
}

// TestClientWithoutServer: what no witness answers.
func TestClientWithoutServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	_ = l.Close()
	c := NewClient(ClientOptions{})
	for url, says := range map[string]string{closed: "refused", "http://nobody.invalid/": "its host cannot be resolved", "http://a b/": "no request can be made"} {
		if got := c.AddCheckpoint(t.Context(), url, authority.WitnessRequest{}); got.Err == nil || !strings.Contains(got.Err.Error(), says) || strings.Contains(got.Err.Error(), "nobody") {
			t.Errorf("%s: %+v", url, got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := c.AddCheckpoint(ctx, closed, authority.WitnessRequest{}); got.Err == nil || strings.Contains(got.Err.Error(), "within") {
		t.Errorf("cancelled: %+v", got)
	}
}

func TestReadWitnesses(t *testing.T) {
	vkey := func(name string) string {
		t.Helper()
		k, err := receipt.NewCosigner(name, key(name))
		if err != nil {
			t.Fatal(err)
		}
		return k.VKey()
	}
	a, b := vkey("a.example"), vkey("b.example")
	all, err := ReadWitnesses("# ours\n\n \thttps://a.example/ " + a + "\r\nhttp://127.0.0.1:7789\t" + b + "\n#\n")
	if err != nil || len(all) != 2 || all[0].VKey() != a || all[0].URL != "https://a.example/" || all[1].Name() != "b.example" || all[1].URL != "http://127.0.0.1:7789" {
		t.Fatalf("%+v, %v", all, err)
	}
	many, long := "", ""
	for i := range 33 {
		many += "https://x/ " + vkey(fmt.Sprint("w", i)) + "\n"
	}
	long = strings.Repeat("w", 256)
	_, logKey, err := receipt.NoteKeys(origin, key("log"))
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct{ text, says string }{
		"nothing":            {"", "it names no witness"},
		"comments":           {"# a\n\n#b", "it names no witness"},
		"one field":          {"\n# x\nhttps://a.example/\n", "line 3: want the URL"},
		"three":              {"w1 https://a.example/ " + a, "line 1: want the URL"},
		"the wrong way":      {a + " https://a.example/", "line 1: the first field is not the URL"},
		"no host":            {"https:/// " + a, "not the URL"},
		"another scheme":     {"ftp://a.example/ " + a, "not the URL"},
		"a password":         {"https://me:secret@a.example/ " + a, "line 1: the URL of a witness has no password"},
		"a query":            {"https://a.example/?x " + a, "no query"},
		"an empty query":     {"https://a.example/? " + a, "no query"},
		"a fragment":         {"https://a.example/#x " + a, "no fragment"},
		"a damaged key":      {"https://a.example/ " + a[:len(a)-4], "line 1: the verifier key of the witness: malformed"},
		"the key of a log":   {"https://a.example/ " + logKey, "type 4"},
		"the same key twice": {"https://a.example/ " + b + "\n\nhttps://b.example/ " + b, "line 3: the key of line 1 stands here again"},
		"too many":           {many, "line 33: at most 32"},
		"a long name":        {"https://a.example/ " + vkey(long), "more than 255 bytes"},
	} {
		if _, err := ReadWitnesses(x.text); err == nil || !strings.Contains(err.Error(), x.says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", name, err, x.says)
		}
	}
}
