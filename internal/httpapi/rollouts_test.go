package httpapi

import (
	"testing"
	"time"

	"github.com/cobound/prova/api"
)

// 422 says that this tick rolled the candidate back, and nothing else.
func TestEvaluateStatus(t *testing.T) {
	for _, c := range []struct {
		name     string
		decision api.Action
		mode     api.Mode
		ticked   bool
		status   int
	}{
		{"rolled back", api.Rollback, api.ModeCanary, true, 422},
		{"rolled back before", api.Rollback, api.ModeCanary, false, 200},
		{"rolled back on paper", api.Rollback, api.ModeShadow, true, 200},
		{"promoted", api.Promote, api.ModeCanary, true, 200},
		{"held", api.Hold, api.ModeCanary, true, 200},
	} {
		tick := aTick()
		tick.Decision.Decision, tick.Rollout.Mode, tick.Ticked = c.decision, c.mode, c.ticked
		h, _ := serving(t, &fake{tick: tick})
		if w := ask(h, "POST", "/api/v1/rollouts/x/evaluate", ""); w.Code != c.status {
			t.Errorf("%s: status %d, want %d", c.name, w.Code, c.status)
		}
	}
}

func TestCreateStatus(t *testing.T) {
	for exists, status := range map[bool]int{false: 201, true: 200} {
		h, _ := serving(t, &fake{exists: exists})
		w := ask(h, "POST", "/api/v1/rollouts", aCreate)
		if w.Code != status || w.Header().Get("Location") != "/api/v1/rollouts/rol_1" || w.Header().Get("ETag") == "" {
			t.Errorf("status %d, %v", w.Code, w.Header())
		}
	}
}

func TestETag(t *testing.T) {
	ro := aRollout()
	tag := rolloutHeader(ro)["ETag"]
	for known, status := range map[string]int{
		"": 200, tag: 304, tag[2:]: 304, `"x", ` + tag: 304, "*": 304, `W/"x"`: 200, `"3"`: 200, ",": 200,
	} {
		h, _ := serving(t, &fake{})
		w := ask(h, "GET", "/api/v1/rollouts/x", "", "If-None-Match", known)
		if w.Code != status || w.Header().Get("ETag") != tag || (status == 304) != (w.Body.Len() == 0) {
			t.Errorf("%s: status %d, tag %s, %d bytes", known, w.Code, w.Header().Get("ETag"), w.Body.Len())
		}
	}
	moved, touched := ro, ro
	moved.Sequence++
	touched.UpdatedAt = touched.UpdatedAt.Add(time.Millisecond)
	if rolloutHeader(moved)["ETag"] == tag || rolloutHeader(touched)["ETag"] == tag {
		t.Error("the tag does not change with the rollout")
	}
}

func TestWaitIsCut(t *testing.T) {
	f := &fake{}
	h, _ := serving(t, f)
	for text, want := range map[string]time.Duration{"30s": 30 * time.Second, "24h": maxWait, "1m0.5s": maxWait} {
		if w := ask(h, "GET", "/api/v1/rollouts/x?since=2&wait="+text, ""); w.Code != 200 || f.argument != [2]int64{2, int64(want)} {
			t.Errorf("%s: status %d, %v", text, w.Code, f.argument)
		}
	}
	f.argument = nil
	if w := ask(h, "GET", "/api/v1/rollouts/x?wait=0s", ""); w.Code != 200 || f.argument != nil {
		t.Errorf("no wait: status %d, %v", w.Code, f.argument)
	}
}

func TestGateQuestion(t *testing.T) {
	f := &fake{}
	h, _ := serving(t, f)
	for _, weight := range []string{"0", "25", "100"} {
		if w := ask(h, "GET", "/api/v1/rollouts/x/gate?weight="+weight, ""); w.Code != 200 {
			t.Errorf("weight %s: status %d: %s", weight, w.Code, w.Body)
		}
	}
	if f.argument != 100 {
		t.Errorf("weight %v", f.argument)
	}
}
