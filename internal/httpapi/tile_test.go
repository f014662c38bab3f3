package httpapi

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

const tilesPrefix = "/api/v1/log/tiles"

func TestTilePaths(t *testing.T) {
	f := &fake{}
	h, _ := serving(t, f)
	for path, want := range map[string]authority.Tile{
		"0/000":                 {Index: 0, Width: 256},
		"0/x001/234.p/7":        {Index: 1234, Width: 7},
		"2/000.p/255":           {Level: 2, Width: 255},
		"entries/x001/x234/067": {Entries: true, Index: 1234067, Width: 256},
		"entries/000.p/1":       {Entries: true, Width: 1},
	} {
		w := ask(h, "GET", tilesPrefix+"/tile/"+path, "")
		if w.Code != 200 || f.argument != any(want) {
			t.Errorf("%s: status %d, %+v", path, w.Code, f.argument)
		}
		if got := w.Header().Get("Cache-Control"); got != "private, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
		if got := w.Header().Get("Content-Type"); got != "application/octet-stream" {
			t.Errorf("%s: Content-Type %q", path, got)
		}
	}
	for _, path := range []string{
		"", "0", "0/0", "0/0000", "00/000", "-1/000", "0/000.p/0", "0/000.p/256", "0/000.p/01", "0/x000/000", "8/0/000",
		"data/000", "entries", "entries/entries/000", "0/entries/000", "0/001/234", "entries/000.p", "0/x999/x999/x999/x999/x999/x999/x999/999",
	} {
		w := ask(h, "GET", tilesPrefix+"/tile/"+path, "")
		if w.Code == 200 {
			t.Errorf("%s is taken for %+v", path, f.argument)
			continue
		}
		wantProblem(t, w, 404, "not_found")
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q of what is not there yet", path, got)
		}
	}
	f.err = &authority.Error{Code: authority.CodeNotFound, Detail: "none"}
	if got := ask(h, "GET", tilesPrefix+"/tile/0/000", "").Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q of a tile that is not there yet", got)
	}
}

// keyed sends an API key along.
type keyed struct{ key string }

func (k keyed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+k.key)
	return http.DefaultTransport.RoundTrip(r)
}

// A client of C2SP tlog-tiles that knows nothing of this project walks the
// whole log through tiles and the checkpoint alone: it rebuilds the root from
// the entries, and proves the inclusion of each one.
func TestIndependentTileClient(t *testing.T) {
	h, owner := installation(t)
	home := &org{t: t, h: h, name: "default", owner: owner}
	srv := httptest.NewServer(h)
	defer srv.Close()
	fetcher, err := torchwood.NewTileFetcher(srv.URL+tilesPrefix, torchwood.WithHTTPClient(&http.Client{Transport: keyed{home.key(api.AuditRead)}}))
	if err != nil {
		t.Fatal(err)
	}
	client, err := torchwood.NewClient(fetcher)
	if err != nil {
		t.Fatal(err)
	}
	var head torchwood.Checkpoint
	for _, more := range []int{1, 253, 2, 20} {
		home.runs(more)
		head = walk(t, home, fetcher, client)
	}
	for i := range head.N {
		entry, proof, err := client.Entry(t.Context(), head.Tree, i)
		if err == nil {
			err = tlog.CheckRecord(proof, head.N, head.Hash, i, tlog.RecordHash(entry))
		}
		if err != nil {
			t.Fatalf("entry %d of %d: %v", i, head.N, err)
		}
	}
}

// runs records n runs.
func (o *org) runs(n int) {
	o.t.Helper()
	var batch bytes.Buffer
	for range n {
		batch.WriteString(aRun + "\n")
	}
	w := ask(o.h, "POST", ingestPath, batch.String(), "Authorization", "Bearer "+o.owner, "Content-Type", "application/x-ndjson")
	if w.Code != 200 {
		o.t.Fatalf("status %d: %s", w.Code, w.Body)
	}
}

// walk reads the log to the head that is signed now.
func walk(t *testing.T, home *org, fetcher *torchwood.TileFetcher, client *torchwood.Client) torchwood.Checkpoint {
	t.Helper()
	text, err := fetcher.ReadEndpoint(t.Context(), "checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	var c api.Checkpoint
	home.do(home.owner, "GET", "/api/v1/log/checkpoint", "", &c)
	verifier, err := note.NewVerifier(c.VKey)
	if err != nil {
		t.Fatal(err)
	}
	head, _, err := torchwood.VerifyCheckpoint(text, torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(c.Origin), torchwood.SingleVerifierPolicy(verifier)))
	if err != nil || head.N != c.Size {
		t.Fatalf("%s: %v", text, err)
	}
	var logged []string
	for from := ""; len(logged) < int(head.N); {
		var list api.List[api.ReceiptItem]
		home.do(home.owner, "GET", "/api/v1/audit/receipts?limit=1000"+from, "", &list)
		for _, item := range list.Items {
			r, err := receipt.Parse(item.Receipt)
			if err != nil {
				t.Fatal(err)
			}
			logged = append(logged, r.EventID+"."+r.IntegrityHash)
		}
		from = "&cursor=" + list.NextCursor
	}
	n := int64(0)
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			out[i] = stored[at]
		}
		return out, nil
	})
	for i, entry := range client.AllEntries(t.Context(), head.Tree, 0) {
		if i != n || string(entry) != logged[head.N-1-i] {
			t.Fatalf("entry %d is %q, logged was %q", i, entry, logged[head.N-1-i])
		}
		hashes, err := tlog.StoredHashes(i, entry, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		n++
	}
	if err := client.Err(); err != nil || n != head.N {
		t.Fatalf("%d of %d entries: %v", n, head.N, err)
	}
	if root, err := tlog.TreeHash(n, reader); err != nil || root != head.Hash {
		t.Errorf("the entries have the root %s and the checkpoint %s (%v)", root, head.Hash, err)
	}
	return head
}

// What no checkpoint covers is not served, however long it has been in the log.
func TestTilesEndWithTheCheckpoint(t *testing.T) {
	h, owner := installation(t)
	home := &org{t: t, h: h, name: "default", owner: owner}
	var c api.Checkpoint
	home.do(owner, "GET", "/api/v1/log/checkpoint", "", &c)
	home.runs(600)
	get := func(path string) int { return home.do(owner, "GET", tilesPrefix+"/tile/"+path, "", nil).Code }
	if code := get("0/000"); code != 404 {
		t.Errorf("status %d of a tile that no checkpoint covers", code)
	}
	home.do(owner, "GET", "/api/v1/log/checkpoint", "", &c)
	if c.Size < 601 || c.Size > 640 {
		t.Fatalf("size %d", c.Size)
	}
	for path, want := range map[string]int{
		"0/000": 200, "0/001": 200, "0/002": 404, "0/000.p/7": 200, "0/002.p/89": 200, "0/002.p/255": 404, "1/000": 404, "1/000.p/2": 200, "1/000.p/3": 404,
		"1/001": 404, "2/000.p/1": 404, "7/000.p/1": 404, "8/000.p/1": 404, "63/000.p/1": 404, "64/000": 404, "entries/001": 200, "entries/002": 404, "0/x999/x999/999": 404,
	} {
		if code := get(path); code != want {
			t.Errorf("%s: status %d, want %d", path, code, want)
		}
	}
	var k api.APIKey
	home.do(owner, "POST", "/api/v1/api-keys", `{"name":"staging","environment":"staging","permissions":["audit.read"]}`, &k)
	wantProblem(t, home.do(k.Secret, "GET", tilesPrefix+"/tile/entries/000", "", nil), 403, "forbidden")
	if w := home.do(k.Secret, "GET", tilesPrefix+"/tile/0/000", "", nil); w.Code != 200 || w.Body.Len() != 8192 {
		t.Errorf("status %d, %d bytes", w.Code, w.Body.Len())
	}
	var made api.Org
	home.do(owner, "POST", "/api/v1/orgs", `{"name":"other"}`, &made)
	other := &org{t: t, h: h, name: "other", owner: made.OwnerKey}
	if w := other.do(made.OwnerKey, "GET", tilesPrefix+"/tile/0/000", "", nil); w.Code != 404 {
		t.Errorf("another org: status %d", w.Code)
	}
	first := home.do(owner, "GET", tilesPrefix+"/tile/0/000", "", nil).Body.Bytes()
	home.runs(300)
	home.do(owner, "GET", "/api/v1/log/checkpoint", "", &c)
	if again := home.do(owner, "GET", tilesPrefix+"/tile/0/000", "", nil).Body.Bytes(); !bytes.Equal(first, again) {
		t.Error("a whole tile changed")
	}
}
