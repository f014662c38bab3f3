package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/cobound/prova/api"
)

// watchedApp is the agent whose rollout is in the middle of its ramp.
const watchedApp = "claims-agent"

// watchedInputs is how many inputs there are. The candidate has run the first of
// them when the baseline has run all: none so often that its runs count twice.
const watchedInputs = 640

// watched ramps a canary to its second step and goes on a little, with three
// gates. Some inputs come out otherwise with the candidate than with the baseline.
func (h *demoHouse) watched(ctx context.Context) (api.Rollout, error) {
	request := api.CreateRollout{AppID: watchedApp, BaselineRelease: houseBaseline, CandidateRelease: houseCandidate, Mode: api.ModeCanary, Labels: map[string]string{"team": "claims"}}
	for _, text := range []string{"success:margin=0.02", "error:margin=0.05:on=hold", "latency_ms:mean:margin=10%:on=hold"} {
		gate, err := api.ParseGate(text)
		if err != nil {
			return api.Rollout{}, err
		}
		request.Gates = append(request.Gates, gate)
	}
	r, _, err := h.client.CreateRollout(ctx, request)
	if err != nil {
		return r, err
	}
	h.router.split(houseBaseline, houseCandidate, *r.Weight)
	for batch, after := 0, 0; batch < 20 && after < 5; batch++ {
		per := 19 // baseline runs for each of the candidate's: 5 %
		if r.Step > 1 {
			per = 3 // 25 %
			after++
		}
		if _, err := record(ctx, h.client, h.claims(batch, per)); err != nil {
			return r, err
		}
		tick, err := h.tick(ctx, r)
		if err != nil {
			return r, err
		}
		r = tick.Rollout
	}
	return r, nil
}

// claims is a batch: five runs of the candidate, each among runs of the baseline.
func (h *demoHouse) claims(batch, per int) []api.Event {
	var events []api.Event
	for i := range 5 * (per + 1) {
		release, number, slow := houseBaseline, h.of[watchedApp+" "+houseBaseline], 0.0
		if i%(per+1) == 0 {
			release, number, slow = houseCandidate, batch*5+i/(per+1), 25
		}
		e := h.claim(release, number%watchedInputs)
		e.Metrics["latency_ms"] = api.Number(e.Metrics["latency_ms"].Value + slow)
		events = append(events, e)
	}
	return events
}

// claim is a run of the watched agent on an input.
func (h *demoHouse) claim(release string, input int) api.Event {
	failures := 0.08
	if release == houseCandidate {
		failures = 0.06
	}
	good := h.random.Float64() >= failures
	e := h.event(watchedApp, release, good)
	e.ProbeID = fmt.Sprintf("claim-%04d", input)
	e.Metrics["error"] = api.Bool(h.random.Float64() < 0.03)
	e.Payload = map[string]json.RawMessage{
		"input": quotedJSON(fmt.Sprintf("Claim %04d: the hail broke a window of the car. What do I do next?", input)), "output": quotedJSON(claimAnswer(release, input, good)),
	}
	return e
}

// claimAnswer is what a release answers.
func claimAnswer(release string, input int, good bool) string {
	switch {
	case !good:
		return "I am sorry, I cannot find this claim."
	case release == houseCandidate:
		return fmt.Sprintf("Send two photos and the invoice of the garage to claim %04d, before the 30th. You can do that online.", input)
	}
	return fmt.Sprintf("Please send us all documents of claim %04d. We are happy to help you.", input)
}

// quotedJSON is a text as JSON; a Go string always is one.
func quotedJSON(text string) json.RawMessage {
	data, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return data
}
