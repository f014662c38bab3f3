package dashboard

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
)

// TestPermissions: every route against keys that have just what it needs, and
// against those that have everything but that.
func TestPermissions(t *testing.T) {
	h := newHouse(t)
	ids := h.states()
	for _, rt := range h.pages.routes() {
		method, path, _ := strings.Cut(rt.pattern, " ")
		path = h.fill(path, ids["held"])
		if w := h.ask("", method, path, nil); method == http.MethodGet && w.Code != 303 && w.Code != 401 || method == http.MethodPost && w.Code != 401 {
			t.Errorf("%s without a session: %d", rt.pattern, w.Code)
		}
		if rt.permission == anybody {
			continue
		}
		var lacking []api.Permission
		for _, p := range api.Permissions() {
			if p != rt.permission && !(rt.permission == api.ReleaseRead && p == api.RolloutManage) {
				lacking = append(lacking, p)
			}
		}
		w := h.ask(h.keyWith(lacking...), method, path, nil)
		if w.Code != 403 || !strings.Contains(w.Body.String(), string(rt.permission)) {
			t.Errorf("%s without %s: %d", rt.pattern, rt.permission, w.Code)
		}
		if rt.nav != "" && strings.Contains(w.Body.String(), `href="`+path+`"`+">"+rt.nav) {
			t.Errorf("%s is offered to a key that may not", rt.pattern)
		}
		if w := h.ask(h.keyWith(rt.permission), method, path, nil); w.Code >= 500 || w.Code == 403 || w.Code == 401 || w.Code == 404 {
			t.Errorf("%s with %s alone: %d %s", rt.pattern, rt.permission, w.Code, w.Body)
		}
	}
}

// fill puts ids into the path of a route.
func (h *house) fill(path, rollout string) string {
	h.t.Helper()
	id := rollout
	if strings.HasPrefix(path, "/webhooks/{id}") {
		id = h.hook().ID
	}
	if strings.HasPrefix(path, "/keys/{id}") {
		id = must(h.CreateAPIKey(h.t.Context(), h.owner, api.CreateAPIKey{Name: "to revoke", Permissions: api.Permissions()[:1]})).ID
	}
	if strings.Contains(path, "/receipts/") {
		id = must(h.Rollout(h.t.Context(), h.owner, rollout)).LastDecision.EventID
	}
	return addressOf(path, id)
}

// addressOf is the address of a route about something.
func addressOf(path, id string) string {
	path = strings.NewReplacer("{id}", id, "{action}", "pause", "{app}", "held").Replace(path)
	if strings.HasPrefix(path, "/rollouts/") && strings.HasSuffix(path, "/live") && id != "" {
		path += "?since=-1"
	}
	return path
}

// TestForeign: what another org has reads as what nobody has.
func TestForeign(t *testing.T) {
	h := newHouse(t)
	ids := h.states()
	made := must(h.CreateOrg(t.Context(), h.owner, api.CreateOrg{Name: "other"}))
	for _, rt := range h.pages.routes() {
		method, path, _ := strings.Cut(rt.pattern, " ")
		f := form("reason", "because", "confirm", "yes")
		if method == http.MethodGet {
			f = nil
		}
		w := h.ask(made.OwnerKey, method, h.fill(path, ids["held"]), f)
		for _, told := range append([]string{"claims", "held", "rolled-back"}, ids["held"], ids["new"]) {
			body := strings.ReplaceAll(w.Body.String(), h.fill(path, ids["held"]), "")
			if strings.Contains(strings.ReplaceAll(body, "claims-agent", ""), told) && w.Code == 200 {
				t.Errorf("%s tells another org of %s", rt.pattern, told)
			}
		}
		if !strings.Contains(path, "{id}") {
			continue
		}
		nobody := h.ask(made.OwnerKey, method, addressOf(path, "rol_nobody"), f)
		if w.Code != 404 || nobody.Code != 404 || w.Body.String() != nobody.Body.String() {
			t.Errorf("%s: foreign %d, absent %d", rt.pattern, w.Code, nobody.Code)
		}
	}
	for name, id := range ids {
		if name == "held" && h.stateOf(id) != api.StateActive {
			t.Errorf("another org changed a rollout: it is %s", h.stateOf(id))
		}
	}
}

// A key that is limited to an environment sees nothing of the others.
func TestEnvironment(t *testing.T) {
	h := newHouse(t)
	ids := h.states()
	staging := h.key(api.CreateAPIKey{Name: "staging", Environment: "staging", Permissions: api.Permissions()[:7]})
	if page := h.page(staging, "/rollouts"); strings.Contains(page, ids["held"]) || !strings.Contains(page, "limited to staging") {
		t.Error("the list shows another environment")
	}
	for _, rt := range h.pages.routes() {
		method, path, _ := strings.Cut(rt.pattern, " ")
		if !strings.Contains(path, "{id}") {
			continue
		}
		if w := h.ask(staging, method, h.fill(path, ids["held"]), form("reason", "because")); w.Code != 404 {
			t.Errorf("%s: %d", rt.pattern, w.Code)
		}
	}
}
