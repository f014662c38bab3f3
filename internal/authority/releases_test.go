package authority_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

func (h *house) releaseFigures(p authority.Principal, environment, cursor string, limit int) api.List[authority.ReleaseFigures] {
	h.t.Helper()
	list, err := h.ReleaseFigures(h.ctx, p, "claims-agent", environment, cursor, limit)
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

// TestReleaseFigures: what the runs of each release add up to, over all spans of epochs.
func TestReleaseFigures(t *testing.T) {
	h := newHouse(t)
	began := h.clock.now()
	h.record(event("v36", true), event("v36", false), event("", true))
	h.create(canary("v36", "v37")) // a weight changes: a new span
	h.clock.pass(time.Hour)
	h.record(event("v36", true), event("v36", true), event("v37", true))
	odd := event("v38", true)
	odd.Metrics = map[string]api.Metric{"mood": api.Number(3)}
	h.record(odd)
	staged := event("v39", true)
	staged.Source.Environment = "staging"
	h.record(staged)

	list := h.releaseFigures(h.owner, "production", "", 10)
	var names []string
	for _, r := range list.Items {
		names = append(names, r.Release.Release)
	}
	if got := strings.Join(names, ","); got != "v38,v37,,v36" || list.NextCursor != "" {
		t.Fatalf("%s, %+v", got, list)
	}
	v36 := list.Items[3]
	if v36.Runs != 4 || !v36.FirstSeen.Equal(began) || !v36.LastSeen.Equal(began.Add(time.Hour)) || len(v36.Figures) != 2 {
		t.Fatalf("%+v", v36)
	}
	success, latency := v36.Figures[0], v36.Figures[1]
	if success.Gate.ID() != "success:rate" || success.Figure.N != 4 || *success.Figure.Value != 0.75 || !(*success.Figure.Lo > 0.29 && *success.Figure.Lo < 0.31) {
		t.Errorf("%+v", success)
	}
	if latency.Gate.ID() != "latency_ms:p95" || latency.Figure.N != 4 || !(*latency.Figure.Value > 798 && *latency.Figure.Value < 802) {
		t.Errorf("%+v", latency)
	}
	if len(list.Items[0].Figures) != 0 || list.Items[0].Runs != 1 {
		t.Errorf("a release with no known metric: %+v", list.Items[0])
	}
	if other := h.releaseFigures(h.owner, "staging", "", 10); len(other.Items) != 1 || other.Items[0].Release.Release != "v39" {
		t.Errorf("%+v", other)
	}
}

// The list comes a page at a time, whole and once.
func TestReleaseFiguresPages(t *testing.T) {
	h := newHouse(t)
	for i := range 7 {
		h.record(event("r"+strconv.Itoa(i), true), event("r0", true))
	}
	var got []string
	cursor := ""
	for range 4 {
		list := h.releaseFigures(h.owner, "production", cursor, 2)
		for _, r := range list.Items {
			got = append(got, r.Release.Release)
			if len(r.Figures) == 0 {
				t.Errorf("%s has no figures", r.Release.Release)
			}
		}
		cursor = list.NextCursor
	}
	if strings.Join(got, " ") != "r6 r5 r4 r3 r2 r1 r0" || cursor != "" {
		t.Errorf("%v, and then %q", got, cursor)
	}
}

func TestReleaseFiguresRefused(t *testing.T) {
	h := newHouse(t)
	h.record(event("v36", true))
	staging := authority.Principal{Org: "default", Permissions: api.Permissions(), Environment: "staging"}
	for _, c := range []struct {
		p                        authority.Principal
		app, environment, cursor string
		want                     authority.Code
	}{
		{authority.Principal{Org: "default", Permissions: []api.Permission{api.AuditRead}}, "claims-agent", "production", "", authority.CodeForbidden},
		{staging, "claims-agent", "production", "", authority.CodeForbidden},
		{staging, "claims-agent", "staging", "", authority.CodeNotFound},
		{h.owner, "nobody", "production", "", authority.CodeNotFound},
		{authority.Principal{Org: "other", Permissions: api.Permissions()}, "claims-agent", "production", "", authority.CodeNotFound},
		{h.owner, "claims-agent", "production", "x", authority.CodeInvalid},
	} {
		_, err := h.ReleaseFigures(h.ctx, c.p, c.app, c.environment, c.cursor, 5)
		code(t, err, c.want)
	}
	if list := h.releaseFigures(h.owner, "staging", "", 5); len(list.Items) != 0 {
		t.Errorf("%+v", list)
	}
}
