package dashboard

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

var _ Vault = (*authority.Authority)(nil)

// obliging is a witness that cosigns what it is shown, unless it was told not to.
type obliging struct {
	receipt.Cosigner
	now  func() time.Time
	away bool
}

func (w *obliging) AddCheckpoint(_ context.Context, _ string, r authority.WitnessRequest) authority.WitnessAnswer {
	if w.away {
		return authority.WitnessAnswer{StatusCode: 503, Reason: "<b>away</b>", Size: -1}
	}
	return authority.WitnessAnswer{StatusCode: 200, Lines: must(w.Cosign(r.Checkpoint, w.now())), Size: -1}
}

// witnessed has the house ask a witness for the head of its log.
func (h *house) witnessed(name string) *obliging {
	h.t.Helper()
	w := &obliging{must(receipt.NewCosigner(name, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)))), h.clock.now, false}
	h.Config.Witnesses, h.WitnessClient = []authority.Witness{{Witness: w.Witness, URL: "https://witness.example/"}}, w
	h.signHead()
	return w
}

// signHead signs the log and has each witness asked.
func (h *house) signHead() {
	h.t.Helper()
	if err := h.SignHeads(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	for _, w := range h.Config.Witnesses {
		must(h.AskWitness(h.t.Context(), w))
	}
}

// fullVault has heads, cosigned and not, and bundles that were handed out.
func (h *house) fullVault(ids map[string]string) string {
	h.t.Helper()
	w := h.witnessed("witness.example.org/w1")
	for _, away := range []bool{false, true} {
		w.away = away
		h.clock.pass(time.Minute)
		h.ask(h.ownerKey, http.MethodPost, "/vault/bundle", form("rollout", ids["held"]))
		h.signHead()
	}
	return "/vault"
}

// indexes are the log indexes of the receipts that a page shows.
func indexes(page string) (found []int64) {
	page, _, _ = strings.Cut(page, `id="take"`)
	for _, m := range regexp.MustCompile(`<td data-head="Index" class="number">(\d+)</td>`).FindAllStringSubmatch(page, -1) {
		found = append(found, must(strconv.ParseInt(m[1], 10, 64)))
	}
	return found
}

// TestVault: each filter against the authority's own list.
func TestVault(t *testing.T) {
	h := newHouse(t)
	ids := h.states()
	late := h.clock.now()
	h.clock.pass(time.Hour)
	probe := replayed("probed", "v1", "claim-1", true)
	probe.RunID = "run-1"
	h.record(h.owner, probe)
	auditor := h.keyWith(api.AuditRead)
	for query, f := range map[string]authority.EntryFilter{
		"":                                       {},
		"?kind=rollout_decision":                 {Kind: api.KindRolloutDecision},
		"?app=held&release=v37":                  {AppID: "held", Release: "v37"},
		"?rollout=" + ids["rolled-back"]:         {RolloutID: ids["rolled-back"]},
		"?probe=claim-1":                         {ProbeID: "claim-1"},
		"?since=2026-05-15T19:30":                {Since: time.Date(2026, 5, 15, 19, 30, 0, 0, time.UTC)},
		"?until=" + late.Format(time.RFC3339):    {Until: late},
		"?kind=agent_run&environment=production": {Kind: api.KindAgentRun, Environment: "production"},
		"?app=nobody":                            {AppID: "nobody"},
	} {
		page := h.page(auditor, "/vault"+query)
		list := must(h.Receipts(t.Context(), h.owner, f, "", pageOfReceipts))
		got := indexes(page)
		if len(got) != len(list.Items) || strings.Contains(page, "Older ones") != (list.NextCursor != "") {
			t.Errorf("%s: %d receipts, want %d", query, len(got), len(list.Items))
			continue
		}
		for i, item := range list.Items {
			var id struct {
				Body struct {
					EventID string `json:"event_id"`
				}
			}
			if err := json.Unmarshal(item.Receipt, &id); err != nil {
				t.Fatal(err)
			}
			if got[i] != item.LogIndex || !strings.Contains(page, `href="/receipts/`+id.Body.EventID+`"`) {
				t.Errorf("%s: the receipt %d is at the place of %d, or has no link", query, got[i], item.LogIndex)
			}
		}
	}
	page := h.page(auditor, "/vault?rollout="+ids["rolled-back"])
	reason := must(h.Rollout(t.Context(), h.owner, ids["rolled-back"])).LastDecision.Reason.Text
	for _, want := range []string{"rollout decision", escaped(reason), `name="rollout" value="` + ids["rolled-back"] + `"`, `href="/rollouts/` + ids["rolled-back"] + `"`, `href="/verify"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if page := h.page(auditor, "/vault?probe=claim-1"); !strings.Contains(page, "success, probe claim-1, run run-1") || !strings.Contains(page, "<details open>") {
		t.Errorf("%s", page)
	}
	if page := h.page(auditor, "/vault?app=nobody"); !strings.Contains(page, "No receipt is like this") {
		t.Error("nothing found and nothing said")
	}
}

// All receipts are there, each once, a page at a time, with the filter kept.
func TestVaultPages(t *testing.T) {
	h := newHouse(t)
	h.traffic("a", 60, 1, 0, 0)
	next, seen := "/vault?kind=agent_run", map[int64]bool{}
	pages := 0
	for next != "" {
		page := h.page(h.ownerKey, next)
		for _, i := range indexes(page) {
			seen[i] = true
		}
		pages++
		next = ""
		if m := regexp.MustCompile(`href="([^"]*)">Older ones`).FindStringSubmatch(page); m != nil {
			next = html.UnescapeString(m[1])
		}
	}
	if len(seen) != 120 || pages != 3 {
		t.Errorf("%d receipts on %d pages", len(seen), pages)
	}
}

// What is wrong with a filter is said, and everything else is there still.
func TestVaultProblems(t *testing.T) {
	h := newHouse(t)
	h.traffic("a", 2, 1, 0, 0)
	for query, want := range map[string]string{"?since=yesterday": "since is no time", "?until=%3Cb%3E": "until is no time", "?before=x": "cursor", "?since=x&until=y": "/until"} {
		w := h.ask(h.ownerKey, "GET", "/vault"+query, nil)
		if page := w.Body.String(); w.Code != 400 || !strings.Contains(page, `role="alert"`) || !strings.Contains(page, want) || !strings.Contains(page, "Take evidence along") || len(indexes(page)) > 0 {
			t.Errorf("%s: %d %s", query, w.Code, page)
		}
	}
}

func TestVaultEmpty(t *testing.T) {
	h := newHouse(t)
	staging := h.key(api.CreateAPIKey{Name: "staging", Environment: "staging", Permissions: []api.Permission{api.AuditRead}})
	page := h.page(staging, "/vault")
	if !strings.Contains(page, "Nothing was recorded in") || len(indexes(page)) > 0 || strings.Contains(page, "No receipt is like this") {
		t.Error("an empty vault")
	}
	page = h.page(h.ownerKey, "/vault")
	for _, want := range []string{"signed receipt", "No head of it was signed yet", "asks no witness"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if h.page(h.ownerKey, "/vault"); strings.Contains(h.page(h.ownerKey, "/vault"), "Cosigned by</th>") {
		t.Error("to look at the vault signed a head")
	}
}

// The heads and the witnesses are those of the authority.
func TestVaultHeads(t *testing.T) {
	h := newHouse(t)
	h.traffic("a", 3, 1, 0, 0)
	w := h.witnessed("witness.example/<i>one</i>"[:20])
	page := h.page(h.ownerKey, "/vault")
	c := must(h.Checkpoints(t.Context(), h.owner, "", 1)).Items[0]
	for _, want := range []string{"<code>" + escaped(c.RootHash) + "</code>", `class="number">` + strconv.FormatInt(c.Size, 10), "up to date", "<code>" + escaped(w.VKey()) + "</code>", "https://witness.example/", "covers all of them"} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if n := strings.Count(page, `<span class="figure"><b>`); n != 1 {
		t.Errorf("%d cosignatures", n)
	}
	h.traffic("a", 1, 1, 0, 0)
	if err := h.SignHeads(t.Context()); err != nil {
		t.Fatal(err)
	}
	if page = h.page(h.ownerKey, "/vault"); strings.Contains(page, "up to date") || !strings.Contains(page, "to be asked again") || !strings.Contains(page, "2 of the newest head’s receipts") {
		t.Error("a witness that is behind")
	}
	w.away = true
	h.clock.pass(time.Hour)
	h.traffic("a", 3, 1, 0, 0)
	h.signHead()
	page = h.page(h.ownerKey, "/vault")
	for _, want := range []string{"does not cosign", "&lt;b&gt;away&lt;/b&gt;", "8 of the newest head’s receipts not cosigned", "nobody"} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing of a witness that is away", want)
		}
	}
	h.Config.Witnesses = nil
	if page = h.page(h.ownerKey, "/vault"); !strings.Contains(page, "1 by others") {
		t.Error("the cosignature of a witness that is not asked any more is gone")
	}
	for range pageOfHeads {
		h.traffic("a", 1, 1, 0, 0)
		h.signHead()
	}
	page = h.page(h.ownerKey, "/vault?kind=agent_run")
	m := regexp.MustCompile(`href="([^"]*)#heads">Earlier ones`).FindStringSubmatch(page)
	if m == nil {
		t.Fatal("there is no way to the earlier heads")
	}
	if earlier := h.page(h.ownerKey, html.UnescapeString(m[1])); !strings.Contains(earlier, escaped(c.RootHash)) || strings.Contains(earlier, "Earlier ones") || !strings.Contains(earlier, `name="kind" value="agent_run"`) {
		t.Error("the earlier heads are not there")
	}
}

// What is downloaded is what the authority hands out, and verifies.
func TestVaultDownloads(t *testing.T) {
	h := newHouse(t)
	ids := h.states()
	decision := must(h.Rollout(t.Context(), h.owner, ids["held"])).LastDecision.EventID
	auditor := h.keyWith(api.AuditRead)
	for _, c := range []struct {
		name  string
		form  []string
		scope string
	}{
		{"prova-" + ids["held"] + ".tar", []string{"rollout", " " + ids["held"]}, "rollout " + ids["held"]},
		{"prova-" + decision + ".tar", []string{"receipt", decision}, "receipt " + decision},
		{"prova-log-0-5.tar", []string{"from", "0", "to", "5"}, "log indexes 0 to 4"},
	} {
		w := h.ask(auditor, "POST", "/vault/bundle", form(c.form...))
		if w.Code != 200 || w.Header().Get("Content-Disposition") != "attachment; filename="+c.name || w.Header().Get("Content-Type") != "application/x-tar" || w.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("%v: %d %v %s", c.form, w.Code, w.Header(), w.Body)
		}
		tar := receipt.OpenBundleTar(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()))
		if report := tar.Verify(h.trust(), nil); report.Result != receipt.Verified {
			t.Errorf("%s: %+v", c.name, report)
		}
		if page := h.page(auditor, "/vault?kind=export"); !strings.Contains(page, c.scope) {
			t.Errorf("%s: the log does not show that it was handed out", c.name)
		}
	}
	w := h.ask(auditor, "POST", "/vault/export", form("from", "3"))
	lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
	if w.Code != 200 || w.Header().Get("Content-Disposition") != "attachment; filename=prova-export-from-3.ndjson" || len(lines) < 100 || !strings.Contains(lines[1], `"log_index":3,`) {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// trust is in the house's own keys.
func (h *house) trust() receipt.Trust {
	h.t.Helper()
	keys := must(h.SigningKeys(h.t.Context()))
	return must(receipt.ParsePublicKeys(must(json.Marshal(api.List[api.SigningKey]{Items: keys}))))
}

// A download that cannot be had is a page that says why, with what was typed; the log shows nothing of it.
func TestVaultDownloadProblems(t *testing.T) {
	h := newHouse(t)
	ids := h.states()
	staging := h.key(api.CreateAPIKey{Name: "staging", Environment: "staging", Permissions: []api.Permission{api.AuditRead}})
	size := must(h.Checkpoint(t.Context(), h.owner)).Size
	for _, c := range []struct {
		key, path string
		form      []string
		status    int
		want      string
	}{
		{h.ownerKey, "/vault/bundle", nil, 400, "name what the bundle is about"},
		{h.ownerKey, "/vault/bundle", []string{"rollout", "rol_<b>"}, 404, `value="rol_&lt;b&gt;"`},
		{h.ownerKey, "/vault/bundle", []string{"receipt", "evt_nobody"}, 404, `value="evt_nobody"`},
		{h.ownerKey, "/vault/bundle", []string{"from", "x"}, 400, "from is a log index"},
		{h.ownerKey, "/vault/bundle", []string{"from", "3", "to", "-1"}, 400, "to is a log index"},
		{h.ownerKey, "/vault/bundle", []string{"from", "3", "to", "3"}, 400, `value="3"`},
		{h.ownerKey, "/vault/bundle", []string{"from", "999999"}, 400, "holds nothing"},
		{h.ownerKey, "/vault/export", []string{"from", "999999"}, 400, "999999"},
		{h.ownerKey, "/vault/export", []string{"from", ""}, 400, "from is a log index"},
		{staging, "/vault/bundle", []string{"rollout", ids["held"]}, 404, `value="` + ids["held"]},
		{staging, "/vault/bundle", []string{"from", "0"}, 403, "limited to the environment"},
		{staging, "/vault/export", []string{"from", "0"}, 403, "limited to the environment"},
		{h.keyWith(api.ReleaseRead), "/vault/bundle", []string{"rollout", ids["held"]}, 403, "audit.read"},
	} {
		w := h.ask(c.key, "POST", c.path, form(c.form...))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || w.Header().Get("Content-Disposition") != "" {
			t.Errorf("%v: %d %v %s", c.form, w.Code, w.Header(), w.Body)
		}
	}
	exports := must(h.Receipts(t.Context(), h.owner, authority.EntryFilter{Kind: receipt.KindExport}, "", 10))
	if len(exports.Items) > 0 || size == 0 {
		t.Errorf("%d bundles were handed out", len(exports.Items))
	}
}

// broken is a vault whose export breaks off.
type broken struct{ Cases }

func (broken) Export(_ context.Context, _ authority.Principal, _ int64, _ time.Duration, w io.Writer) error {
	_, _ = io.WriteString(w, "the first line\n")
	return &authority.Error{Code: authority.CodeInternal, Detail: "the disk is gone"}
}

// A download that breaks off ends its connection, so that nobody takes it for whole.
func TestVaultCutOff(t *testing.T) {
	h := newHouse(t)
	h.pages.Cases = broken{h.Authority}
	defer func() {
		if recover() != http.ErrAbortHandler { //nolint:errorlint // it is that value which the server knows
			t.Error("the answer ended as if it were whole")
		}
	}()
	h.ask(h.ownerKey, "POST", "/vault/export", form("from", "0"))
}

// What a key may not do is neither shown to it nor offered.
func TestOffered(t *testing.T) {
	h := newHouse(t)
	h.traffic("a", 2, 1, 0, 0)
	for permission, pages := range map[api.Permission][]string{
		api.ReleaseRead: {"/releases", "/compare"}, api.AuditRead: {"/vault"},
	} {
		var others []api.Permission
		for _, p := range api.Permissions() {
			if p != permission && p != api.RolloutManage {
				others = append(others, p)
			}
		}
		for _, path := range pages {
			offer := `<a href="` + path + `"`
			if page := h.page(h.keyWith(permission), path); !strings.Contains(page, offer+` aria-current="page">`) {
				t.Errorf("%s is not offered to a key with %s", path, permission)
			}
			w := h.ask(h.keyWith(others...), "GET", path, nil)
			if w.Code != 403 || strings.Contains(w.Body.String(), offer) || !strings.Contains(w.Body.String(), string(permission)) {
				t.Errorf("%s without %s: %d", path, permission, w.Code)
			}
		}
	}
}

// Nothing of another org or environment is shown.
func TestVaultForeign(t *testing.T) {
	h := newHouse(t)
	h.traffic("secret-app", 3, 1, 0, 0)
	h.signHead()
	other := must(h.CreateOrg(t.Context(), h.owner, api.CreateOrg{Name: "other"})).OwnerKey
	staging := h.key(api.CreateAPIKey{Name: "staging", Environment: "staging", Permissions: []api.Permission{api.AuditRead}})
	root := must(h.Checkpoints(t.Context(), h.owner, "", 1)).Items[0].RootHash
	for _, key := range []string{other, staging} {
		for _, query := range []string{"", "?app=secret-app", "?kind=agent_run"} {
			if page := strings.ReplaceAll(h.page(key, "/vault"+query), `value="secret-app"`, ""); strings.Contains(page, "secret-app") || strings.Contains(page, "agent run") {
				t.Errorf("%s: what is foreign is shown", query)
			}
		}
	}
	if strings.Contains(h.page(other, "/vault"), escaped(root)) {
		t.Error("another org sees the root of the log")
	}
	if page := h.page(staging, "/vault"); strings.Contains(page, `action="/vault/export"`) || !strings.Contains(page, "limited to") {
		t.Error("a key of one environment is offered the whole log")
	}
	if w := h.ask(staging, "GET", "/vault?environment=production", nil); w.Code != 403 {
		t.Errorf("another environment: %d", w.Code)
	}
}
