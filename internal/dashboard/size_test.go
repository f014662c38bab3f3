package dashboard

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/cobound/prova/api"
)

// mostBytes is what a page of a rollout may have, with its style and its modules.
const mostBytes = 100_000

// A rollout that was held for long, with several gates and inputs that changed,
// is a page under 100 KB in all.
func TestSize(t *testing.T) {
	h := newHouse(t)
	id := h.create("claims-agent", func(r *api.CreateRollout) {
		runs := int64(2000)
		r.MinRuns = &runs
		for _, g := range []string{"success:margin=0.02", "latency_ms:mean:margin=5%", "flagged:on=hold"} {
			r.Gates = append(r.Gates, must(api.ParseGate(g)))
		}
	}).ID
	for i := range 60 {
		var events []api.Event
		for j := range 10 {
			for _, release := range []string{"v36", "v37"} {
				e := event("claims-agent", release, (i+j)%7 > 0 || release == "v36" && j%2 == 0)
				e.ProbeID = "claim-" + strconv.Itoa(i*10+j)
				e.Metrics["flagged"] = api.Bool(false)
				events = append(events, e)
			}
		}
		h.record(h.owner, events...)
		h.tick(id)
		if i%2 == 0 {
			must(h.Pause(t.Context(), h.owner, id, "a reason of some length, as people give it when they are asked why"))
			must(h.Resume(t.Context(), h.owner, id, "a reason of some length, as people give it when they are asked why"))
		}
	}
	page := h.page(h.ownerKey, "/rollouts/"+id)
	all := len(page)
	for path := range addresses(page) {
		all += len(h.page("", path))
	}
	t.Logf("the page has %d bytes, %d in all", len(page), all)
	if all > mostBytes {
		t.Errorf("the page has %d bytes in all", all)
	}
}

func addresses(page string) map[string]bool {
	found := map[string]bool{}
	for _, path := range regexp.MustCompile(`/assets/[0-9a-f]{16}/[a-z0-9]+\.[a-z]+`).FindAllString(page, -1) {
		found[path] = true
	}
	return found
}
