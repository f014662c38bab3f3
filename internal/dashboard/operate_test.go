package dashboard

import (
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

func noFilter() authority.RolloutFilter { return authority.RolloutFilter{} }

// Every operation in every state: it is offered where it is possible, refused
// with words where it is not, and carried out with its reason.
func TestOperate(t *testing.T) {
	h := newHouse(t)
	ids := h.states()
	reader := h.keyWith(api.ReleaseRead)
	for name, want := range map[string]string{
		"new": "pause promote abort", "held": "pause promote abort", "advanced": "pause promote abort", "paused": "resume promote abort",
		"shadow": "pause promote abort", "aborted": "", "rolled-back": "", "promoted": "",
	} {
		page, read := h.page(h.ownerKey, "/rollouts/"+ids[name]), h.page(reader, "/rollouts/"+ids[name])
		for _, action := range []string{"pause", "resume", "promote", "abort"} {
			address := `action="/rollouts/` + ids[name] + "/" + action + `"`
			offered := strings.Contains(page, address)
			if offered != strings.Contains(want, action) {
				t.Errorf("%s: %s is offered: %t", name, action, offered)
			}
			if strings.Contains(read, address) {
				t.Errorf("%s: %s is offered to a key that only reads", name, action)
			}
			if offered {
				continue
			}
			before := must(h.Rollout(t.Context(), h.owner, ids[name])).Sequence
			w := h.ask(h.ownerKey, "POST", "/rollouts/"+ids[name]+"/"+action, form("reason", "because"))
			if w.Code != 409 || !strings.Contains(w.Body.String(), "not possible") || must(h.Rollout(t.Context(), h.owner, ids[name])).Sequence != before {
				t.Errorf("%s of %s: %d", action, name, w.Code)
			}
		}
	}
	id := ids["held"]
	for _, c := range []struct {
		action, step string
		want         api.State
	}{{"pause", "", api.StatePaused}, {"resume", "", api.StateActive}, {"promote", "1", api.StateActive}, {"abort", "", api.StateAborted}} {
		w := h.ask(h.ownerKey, "POST", "/rollouts/"+id+"/"+c.action, form("reason", "because of "+c.action, "step", c.step))
		if w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), "/rollouts/"+id+"?done=") {
			t.Fatalf("%s: %d %s", c.action, w.Code, w.Body)
		}
		r := must(h.Rollout(t.Context(), h.owner, id))
		if r.State != c.want || r.LastDecision.Action != c.action || !strings.Contains(r.LastDecision.Reason.Text, "because of "+c.action) {
			t.Errorf("%s: %s, %+v", c.action, r.State, r.LastDecision)
		}
		page := h.page(h.ownerKey, w.Header().Get("Location"))
		if !strings.Contains(page, `class="flash"`) || !strings.Contains(page, "because of "+c.action) {
			t.Errorf("%s: the page does not say so", c.action)
		}
	}
}

// What cannot be done leaves what was typed.
func TestOperateRefused(t *testing.T) {
	h := newHouse(t)
	id := h.create("a").ID
	for _, c := range []struct {
		form   []string
		status int
		says   string
	}{
		{[]string{"reason", "  ", "step", "1"}, 400, "say why"},
		{[]string{"reason", strings.Repeat("x", 1001), "step", "1"}, 400, "say why"},
		{[]string{"reason", "I <b>mean</b> it", "step", "2"}, 409, "at step 1 by now"},
		{[]string{"reason", "I <b>mean</b> it"}, 409, "at step 1 by now"},
	} {
		w := h.ask(h.ownerKey, "POST", "/rollouts/"+id+"/promote", form(c.form...))
		body := w.Body.String()
		if w.Code != c.status || !strings.Contains(body, c.says) || !strings.Contains(body, `<details id="do-promote" data-keep open>`) || !strings.Contains(body, ">"+escaped(c.form[1])+"</textarea>") {
			t.Errorf("%v: %d", c.form, w.Code)
		}
		if must(h.Rollout(t.Context(), h.owner, id)).Sequence != 0 {
			t.Fatalf("%v: it was done", c.form)
		}
	}
	if w := h.ask(h.ownerKey, "POST", "/rollouts/"+id+"/explode", form("reason", "r")); w.Code != 404 {
		t.Errorf("an action that there is not: %d", w.Code)
	}
	if w := h.ask(h.ownerKey, "POST", "/rollouts/"+id+"/abort", form("reason", strings.Repeat("x", maxForm))); w.Code != 400 {
		t.Errorf("a form beyond all bounds: %d", w.Code)
	}
}
