package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/prova"
)

// demoRouter stands where a load balancer or a service mesh would: it sends
// each request to the baseline or the candidate by weight. Nothing but a
// signed webhook moves the weight during a rollout.
type demoRouter struct {
	// hook is its subscription.
	hook   string
	agent  demoAgent
	random *rand.Rand
	http   *http.Server
	served chan struct{}

	mu sync.Mutex // guards what webhooks change
	demoSplit
	last    *api.WebhookEvent
	obeyed  int
	refused string
	runs    int
}

// demoSplit is how requests are divided.
type demoSplit struct {
	baseline, candidate string
	percent             int // of requests that the candidate gets
}

// demoStatus is what a router has done so far.
type demoStatus struct {
	demoSplit
	runs int
	// last is the latest webhook of the present rollout; nil before the first.
	last   *api.WebhookEvent
	obeyed int
}

// openDemoRouter listens on a free port, subscribes itself and takes deliveries.
func openDemoRouter(ctx context.Context, client *prova.Client) (*demoRouter, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	hook, err := client.CreateWebhook(ctx, api.CreateWebhook{URL: "http://" + listener.Addr().String() + "/prova", Events: api.WebhookEvents(), Description: "the demo's router"})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	r := &demoRouter{hook: hook.ID, served: make(chan struct{})}
	receiver, err := prova.NewWebhookReceiver(r.obey, hook.Secret)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	receiver.Note = r.note
	r.http = &http.Server{Handler: receiver, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(r.served)
		_ = r.http.Serve(listener) // ends when it is closed, and says so
	}()
	return r, nil
}

func (r *demoRouter) close() error {
	err := r.http.Close()
	<-r.served
	return err
}

// obey carries out an event whose signature was verified. A test changes nothing.
func (r *demoRouter) obey(_ context.Context, event api.WebhookEvent) error {
	if event.Data.Test {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if event.Data.CandidateRelease != r.candidate {
		return fmt.Errorf("the router splits for %s", r.candidate)
	}
	r.percent = event.Data.Weight // 0 on a rollback
	r.last = &event
	r.obeyed++
	return nil
}

func (r *demoRouter) note(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = line
}

// trouble is the last thing that went wrong with a delivery.
func (r *demoRouter) trouble() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused == "" {
		return "nothing was delivered"
	}
	return r.refused
}

// serve sends all requests to one release.
func (r *demoRouter) serve(release string) { r.split(release, "", 0) }

// split begins a rollout.
func (r *demoRouter) split(baseline, candidate string, percent int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.demoSplit, r.last = demoSplit{baseline, candidate, percent}, nil
}

func (r *demoRouter) weight() int { return r.status().percent }

func (r *demoRouter) sent() int { return r.status().runs }

func (r *demoRouter) status() demoStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return demoStatus{demoSplit: r.demoSplit, runs: r.runs, last: r.last, obeyed: r.obeyed}
}

// handle routes a number of requests and records what became of them in one
// batch. more is false once the agent has no run left for a release.
func (r *demoRouter) handle(ctx context.Context, client *prova.Client, requests int) (more bool, err error) {
	split := r.status().demoSplit
	var events []api.Event
	runs := 0
	for more = true; more && runs < requests; {
		release := split.baseline
		if r.random.IntN(100) < split.percent {
			release = split.candidate
		}
		var run []api.Event
		if run, more = r.agent.run(release); more {
			events = append(events, run...)
			runs++
		}
	}
	if runs == 0 {
		return more, nil
	}
	if _, err := record(ctx, client, events); err != nil {
		return more, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs += runs
	return more, nil
}

// record sends runs and wants all of them taken.
func record(ctx context.Context, client *prova.Client, events []api.Event) ([]api.IngestResult, error) {
	answer, err := client.Ingest(ctx, events)
	if err != nil {
		return nil, err
	}
	return taken(answer)
}

// taken wants all of a batch taken.
func taken(answer api.IngestAnswer) ([]api.IngestResult, error) {
	for _, result := range answer.Results {
		if result.Status == api.IngestRefused && result.Problem != nil {
			return nil, fmt.Errorf("the server refused an event: %w", result.Problem)
		}
	}
	return answer.Results, nil
}
