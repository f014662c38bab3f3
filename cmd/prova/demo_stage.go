package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/rolloutcmd"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/prova"
)

// demoStage is what a demo plays on: a server of its own, a client of it, and
// the router in front of the agent.
type demoStage struct {
	screen *demoScreen
	server *server
	client *prova.Client
	router *demoRouter
	data   string
	// temporary: the data goes with the demo.
	temporary bool
	log       *os.File
	// decision is the latest one that has a receipt, and rollout the one that it is of.
	decision api.Decision
	rollout  string
}

// openDemoStage starts the server on a free port and subscribes the router.
func openDemoStage(ctx context.Context, data string, keep bool, screen *demoScreen) (s *demoStage, err error) {
	s = &demoStage{screen: screen, data: data}
	if s.data == "" {
		s.temporary = !keep
		if s.data, err = os.MkdirTemp("", "prova-demo-"); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(cli.Configf("the demo cannot start: %w", err), s.close())
		}
	}()
	if err = os.MkdirAll(s.data, 0o700); err != nil {
		return nil, err
	}
	if s.log, err = os.OpenFile(filepath.Join(s.data, "server.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return nil, err
	}
	s.server, err = start(ctx, settings{
		addr: "127.0.0.1:0", data: s.data, origin: "prova", deliveryLoop: true,
		log: slog.New(slog.NewTextHandler(s.log, nil)),
	})
	if err != nil {
		return nil, err
	}
	if s.client, err = prova.New(prova.Options{BaseURL: s.server.url, APIKey: s.server.owner, UserAgent: "prova-demo"}); err != nil {
		return nil, err
	}
	s.router, err = openDemoRouter(ctx, s.client)
	return s, err
}

// close ends what was started, in the reverse order.
func (s *demoStage) close() error {
	var errs []error
	if s.router != nil {
		errs = append(errs, s.router.close())
	}
	if s.server != nil {
		errs = append(errs, s.server.stop())
	}
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	if s.temporary {
		errs = append(errs, os.RemoveAll(s.data))
	}
	return errors.Join(errs...)
}

// where says where the data is.
func (s *demoStage) where() string {
	if s.temporary {
		return "a temporary directory"
	}
	return s.data
}

// lastWords is the end of the server's log, for when the demo fails.
func (s *demoStage) lastWords() string {
	const most = 10
	data, err := os.ReadFile(s.log.Name())
	if err != nil || len(data) == 0 {
		return ""
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	return "The server's log ends with:\n" + string(bytes.Join(lines[max(len(lines)-most, 0):], []byte("\n"))) + "\n"
}

// begin gives the router an agent and a seed.
func (s *demoStage) begin(agent demoAgent, seed uint64) {
	s.router.agent = agent
	s.router.random = rand.New(rand.NewPCG(seed, 1))
}

// The pace of a demo. On a terminal a beat of traffic takes a while, so that
// it can be watched, and a transition is held a little longer. The batches are
// the same without one, so that the story is too.
const (
	demoBatch    = 15
	demoBeat     = 140 * time.Millisecond
	demoPause    = 1400 * time.Millisecond
	demoReading  = 2500 * time.Millisecond
	demoPatience = 10 * time.Second // how long a webhook may take to arrive
)

// traffic lets the router handle a number of requests and records their runs.
func (s *demoStage) traffic(ctx context.Context, requests int) error {
	for left := requests; left > 0; left -= demoBatch {
		if _, err := s.router.handle(ctx, s.client, min(left, demoBatch)); err != nil {
			return err
		}
	}
	return nil
}

// ramp declares a rollout and does what a CD system does: it lets traffic
// flow, ticks, and leaves the weight to the webhooks. It returns when the
// rollout is settled or the agent has no more runs.
func (s *demoStage) ramp(ctx context.Context, scene int, request api.CreateRollout) (api.Rollout, error) {
	r, _, err := s.client.CreateRollout(ctx, request)
	if err != nil {
		return r, err
	}
	explanation := "The same rules."
	if scene == 1 {
		explanation = rules(r)
	}
	s.screen.scene(scene, cli.Plain(r.CandidateRelease)+" is the candidate, "+cli.Plain(r.BaselineRelease)+" serves", explanation)
	if err := s.screen.rest(ctx, demoReading); err != nil {
		return r, err
	}
	// Creating a rollout fires nothing: the first weight is in the answer.
	s.router.split(request.BaselineRelease, request.CandidateRelease, *r.Weight)
	for !r.State.Finished() {
		more, err := s.router.handle(ctx, s.client, demoBatch)
		if err != nil {
			return r, err
		}
		tick, err := s.tick(ctx, r)
		if err != nil {
			return r, err
		}
		wait := demoBeat
		if tick.Rollout.Step != r.Step || tick.Rollout.State != r.State {
			wait = demoPause
		}
		r = tick.Rollout
		s.screen.ticked(rolloutcmd.View{Rollout: r, Verdict: tick.Verdict}, s.router.status())
		if !more && tick.Decision.Reason.Code != rollout.ReasonCatchingUp {
			break
		}
		if err := s.screen.rest(ctx, wait); err != nil {
			return r, err
		}
	}
	s.screen.settled(r)
	return r, nil
}

// tick ticks once and waits until the router has obeyed: the delivery of a
// transition is a part of the tick that decided it, or follows in moments.
func (s *demoStage) tick(ctx context.Context, r api.Rollout) (api.Tick, error) {
	tick, err := s.client.Evaluate(ctx, r.ID)
	if err != nil {
		return tick, err
	}
	if tick.Decision.EventID != "" {
		s.decision, s.rollout = tick.Decision, r.ID
	}
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	for s.router.weight() != *tick.Rollout.Weight {
		select {
		case <-ctx.Done():
			return tick, fmt.Errorf("the router stands at %d %% and the server authorised %d %%: no webhook came (%s)", s.router.weight(), *tick.Rollout.Weight, cli.Plain(s.router.trouble()))
		case <-time.After(5 * time.Millisecond):
		}
	}
	return tick, nil
}
