package main

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
)

// demoHouse is what a demo that is kept adds, so that each page of the dashboard
// has something to show: other agents, each with a rollout in another state. All
// of it is made with the client, as anybody would make it, and comes out the same
// whatever the seed of the demo is.
type demoHouse struct {
	*demoStage
	// batch makes the keys of this demo's runs differ from those of any other.
	batch string
	runs  int
	// of counts the runs by app and release.
	of map[string]int
	// random says which runs of the watched agent fail.
	random *rand.Rand
}

// The releases of the other agents.
const (
	houseBaseline  = "v36"
	houseCandidate = "v37"
)

// houseAgent is the traffic of one agent: n runs of the candidate, each after per
// runs of the baseline. Of each so many fail, spread evenly.
type houseAgent struct {
	app                string
	n, per             int
	worse, asBaseline  int
	mode               api.Mode
	steps              []int
	what               string                    // why it stands in the list
	replay             func(e *api.Event, i int) // makes the i-th run of a release one on an input
	then               func(*demoHouse, context.Context, api.Rollout) (api.Rollout, error)
	pairwise           *api.CreatePairwise
	baseline, proposed string // releases, where they are other ones
}

// houseAgents are the agents but the one that is watched closely.
func houseAgents() []houseAgent {
	return []houseAgent{
		{app: "search-agent", n: 12, per: 19, worse: 1, asBaseline: 22, mode: api.ModeCanary, baseline: "v11", proposed: "v12", what: "it holds, with too few runs"},
		{app: "voice-agent", n: 40, per: 1, worse: 1, asBaseline: 1, mode: api.ModeShadow, steps: []int{50, 100}, what: "a shadow, which goes on signing verdicts", then: (*demoHouse).onPaper},
		{app: "billing-agent", n: 40, per: 4, worse: 2, asBaseline: 9, mode: api.ModeCanary, steps: []int{20, 50, 100}, what: "it holds, with too few pairs that the judge decided", pairwise: housePairwise(), replay: billed, then: (*demoHouse).judged},
		{app: "sales-agent", n: 12, per: 19, worse: 1, asBaseline: 22, mode: api.ModeCanary, what: "by a person", then: (*demoHouse).paused},
		{app: "travel-agent", n: 12, per: 19, worse: 1, asBaseline: 22, mode: api.ModeCanary, baseline: "v7", proposed: "v8", what: "by a person; the router refuses the webhook", then: (*demoHouse).aborted},
	}
}

// furnish makes the house and tells of each rollout as it is there.
func (s *demoStage) furnish(ctx context.Context, scene int) error {
	s.screen.scene(scene, "The dashboard: other agents are made up, so that each page has something to show", "")
	h := &demoHouse{demoStage: s, batch: crand.Text()[:8], of: map[string]int{}, random: rand.New(rand.NewPCG(1, 3))}
	// The router splits for the agent that is watched closely. What is decided about others it refuses.
	s.router.split(houseBaseline, houseCandidate, 0)
	if err := h.history(ctx); err != nil {
		return err
	}
	for _, a := range houseAgents() {
		r, err := h.play(ctx, a)
		if err != nil {
			return fmt.Errorf("%s: %w", a.app, err)
		}
		h.tell(r, a.what)
	}
	r, err := h.watched(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", watchedApp, err)
	}
	h.tell(r, fmt.Sprintf("at %d %%, with inputs that both releases ran", *r.Weight))
	return h.settle(ctx)
}

// tell says what became of a rollout.
func (h *demoHouse) tell(r api.Rollout, what string) {
	state := string(r.State)
	if r.Advisory {
		state += ", on paper"
	}
	h.screen.check(h.screen.style.Green("✓"), cli.Plain(r.AppID), strings.ReplaceAll(state, "_", " ")+": "+what)
}

// play declares an agent's rollout, lets its traffic flow, ticks and does what comes then.
func (h *demoHouse) play(ctx context.Context, a houseAgent) (api.Rollout, error) {
	if a.baseline == "" {
		a.baseline, a.proposed = houseBaseline, houseCandidate
	}
	r, _, err := h.client.CreateRollout(ctx, api.CreateRollout{
		AppID: a.app, BaselineRelease: a.baseline, CandidateRelease: a.proposed, Mode: a.mode, Steps: a.steps,
		RequirePairwise: a.pairwise != nil, Pairwise: a.pairwise,
	})
	if err != nil {
		return r, err
	}
	run := func(release string, i int, success bool) api.Event {
		e := h.event(a.app, release, success)
		if a.replay != nil {
			a.replay(&e, i)
		}
		return e
	}
	var events []api.Event
	for i := range a.n {
		for j := i * a.per; j < (i+1)*a.per; j++ {
			events = append(events, run(a.baseline, j, spread(j, a.n*a.per, a.asBaseline)))
		}
		events = append(events, run(a.proposed, i, spread(i, a.n, a.worse)))
	}
	if _, err := record(ctx, h.client, events); err != nil {
		return r, err
	}
	tick, err := h.client.Evaluate(ctx, r.ID)
	if err != nil || a.then == nil {
		return tick.Rollout, err
	}
	return a.then(h, ctx, tick.Rollout)
}

// spread reports whether the i-th of n runs succeeds when so many fail, evenly.
func spread(i, n, failures int) bool { return (i+1)*failures/n == i*failures/n }

// event is a run of the house.
func (h *demoHouse) event(app, release string, success bool) api.Event {
	h.runs++
	id := "house-" + h.batch + "-" + strconv.Itoa(h.runs)
	h.of[app+" "+release]++
	_, wobble := math.Modf(float64(h.of[app+" "+release]) * math.Phi) // as even as 0 to 1 can be covered, however few the runs are
	return api.Event{
		Kind: api.KindAgentRun, IdempotencyKey: id, RunID: id, Source: api.EventSource{AppID: app, Release: release, Framework: "prova-demo"},
		Metrics: map[string]api.Metric{"success": api.Bool(success), "latency_ms": api.Number(math.Round(600 + 400*wobble)), "cost_usd": api.Number(math.Round(1e5*(0.01+0.004*wobble)) / 1e5)},
	}
}

// history is what the watched agent ran before: older releases, one in staging, and runs that do not say their release.
func (h *demoHouse) history(ctx context.Context) error {
	var events []api.Event
	for _, past := range []struct {
		release, environment string
		runs                 int
	}{{"v34", "", 60}, {"v35", "", 80}, {houseBaseline, "", 90}, {"v38", "staging", 25}, {"", "", 3}} {
		for i := range past.runs {
			e := h.claim(past.release, i)
			e.Source.Environment = past.environment
			events = append(events, e)
		}
	}
	_, err := record(ctx, h.client, events)
	return err
}

func (h *demoHouse) paused(ctx context.Context, r api.Rollout) (api.Rollout, error) {
	return h.client.Pause(ctx, r.ID, "the price list changes today; go on tomorrow")
}

func (h *demoHouse) aborted(ctx context.Context, r api.Rollout) (api.Rollout, error) {
	return h.client.Abort(ctx, r.ID, "it quotes the fares of last year; v9 follows")
}

// onPaper lets a shadow go on after it has ended on paper.
func (h *demoHouse) onPaper(ctx context.Context, r api.Rollout) (api.Rollout, error) {
	var events []api.Event
	for i := range 20 {
		events = append(events, h.event(r.AppID, r.BaselineRelease, i != 7), h.event(r.AppID, r.CandidateRelease, i != 13))
	}
	if _, err := record(ctx, h.client, events); err != nil {
		return r, err
	}
	tick, err := h.client.Evaluate(ctx, r.ID)
	return tick.Rollout, err
}

// settle makes what the settings pages show: keys of others, one of them revoked, and a test of the webhook.
func (h *demoHouse) settle(ctx context.Context) error {
	for _, k := range []api.CreateAPIKey{
		{Name: "the CD system", Permissions: []api.Permission{api.RolloutManage}},
		{Name: watchedApp + " in production, sends runs", Environment: api.DefaultEnvironment, Permissions: []api.Permission{api.AuditIngest}},
	} {
		if _, err := h.client.CreateAPIKey(ctx, k); err != nil {
			return err
		}
	}
	old, err := h.client.CreateAPIKey(ctx, api.CreateAPIKey{Name: "the CD system, until it moved", Permissions: []api.Permission{api.RolloutManage}})
	if err != nil {
		return err
	}
	if _, err := h.client.RevokeAPIKey(ctx, old.ID); err != nil {
		return err
	}
	_, err = h.client.TestWebhook(ctx, h.router.hook)
	return err
}
