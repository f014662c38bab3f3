package dashboard

import (
	"maps"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
)

func TestCreateForm(t *testing.T) {
	h := newHouse(t)
	h.traffic("claims-agent", 12, 19, 1, 22)
	page := h.page(h.ownerKey, "/rollouts/new")
	for _, want := range []string{`<option value="claims-agent">`, `<option value="v36">`, `<option value="v37">`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is not offered", want)
		}
	}
	if strings.Contains(page, `id="plan"`) {
		t.Error("a plan of nothing")
	}
	page = h.page(h.ownerKey, "/rollouts/new?app=claims-agent&baseline=v36&candidate=v37&steps=20,100&min_runs=40&gates=success:margin=0.05%0Alatency_ms:on=warn&error_budget=4")
	for _, want := range []string{
		"as good as the baseline", "40 at 20%", escaped("success:rate:better=higher:margin=0.05:on=rollback"), `value="20,100"`, `value="4"`,
		"as in its last 200", "100 rollouts played",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the plan does not say %s", want)
		}
	}
	if n := len(must(h.Rollouts(t.Context(), h.owner, noFilter(), "", 9)).Items); n != 0 {
		t.Errorf("looking created %d", n)
	}
	if page := h.page(h.ownerKey, "/rollouts/new?app=a&baseline=b&candidate=c&min_runs=5000"); !strings.Contains(page, "too long to be played") {
		t.Error("a long plan is played, or nothing is said")
	}
}

func TestCreate(t *testing.T) {
	h := newHouse(t)
	wanted := form("app", "a", "baseline", "v1", "candidate", "v2", "mode", "canary", "steps", "10 % 50, 100", "min_runs", "20",
		"gates", "success:margin=0.02\r\n\r\nlatency_ms:on=hold\r\n", "error_budget", "2.5", "promote_margin", "5", "srm", "hold")
	w := h.ask(h.ownerKey, "POST", "/rollouts/new", wanted)
	list := must(h.Rollouts(t.Context(), h.owner, noFilter(), "", 9)).Items
	if w.Code != 303 || len(list) != 1 || w.Header().Get("Location") != "/rollouts/"+list[0].ID+"?done=created" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	p := list[0].Policy
	if list[0].Mode != api.ModeCanary || len(p.Steps) != 3 || p.MinRuns != 20 || p.ErrorBudget != 0.025 || p.PromoteOn != api.PromoteNonInferior || *p.PromoteMargin != 0.05 || p.SRM != api.SRMHold {
		t.Errorf("%+v", p)
	}
	if g := p.Gates[0]; g.Margin.Value != 0.02 || p.Gates[1].Metric != "latency_ms" || p.Gates[1].On != api.OnHold {
		t.Errorf("%v", p.Gates)
	}
	again := h.ask(h.ownerKey, "POST", "/rollouts/new", wanted)
	if again.Code != 303 || !strings.HasSuffix(again.Header().Get("Location"), "?done=equal") {
		t.Errorf("an equal one: %d %v", again.Code, again.Header())
	}
	for name, c := range map[string]struct {
		change []string
		status int
		says   string
	}{
		"another canary":      {[]string{"candidate", "v3"}, 409, "finish or abort it first"},
		"itself":              {[]string{"candidate", "v1"}, 400, "cannot be compared with itself"},
		"no app":              {[]string{"app", ""}, 400, "/app_id"},
		"steps in words":      {[]string{"steps", "five"}, 400, "/steps"},
		"falling steps":       {[]string{"steps", "50, 5, 100"}, 400, "/steps"},
		"runs in words":       {[]string{"min_runs", "many"}, 400, "/min_runs"},
		"an unknown gate":     {[]string{"gates", "mood"}, 400, "which way is better"},
		"a budget of nothing": {[]string{"error_budget", "NaN"}, 400, "/error_budget"},
	} {
		f := maps.Clone(wanted)
		f.Set("attempt_reason", "typed <i>with care</i>")
		f.Set(c.change[0], c.change[1])
		w := h.ask(h.ownerKey, "POST", "/rollouts/new", f)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || !strings.Contains(w.Body.String(), `value="typed &lt;i&gt;with care&lt;/i&gt;"`) {
			t.Errorf("%s: %d, want %d %s", name, w.Code, c.status, c.says)
		}
	}
	if n := len(must(h.Rollouts(t.Context(), h.owner, noFilter(), "", 9)).Items); n != 1 {
		t.Errorf("there are %d rollouts", n)
	}
}
