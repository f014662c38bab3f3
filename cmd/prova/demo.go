package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
)

// Demo shows the product on this machine: a good release is ramped and
// promoted, a bad one is rolled back, and the evidence is verified.
type Demo struct {
	Seed uint64 `default:"1" placeholder:"N" help:"Seed of the simulated agent and of the router's choices; the same seed tells the same story (default ${default})."`
	Keep bool   `help:"Leave the server and its dashboard running at the end, until Ctrl-C. Without --file other agents are added, with a rollout in every state. The data stays."`
	Data string `type:"path" placeholder:"DIR" help:"Keep the data in this new or empty directory instead of a temporary one."`

	File        string `type:"path" placeholder:"FILE" help:"Replay recorded runs instead of the simulated agent: JSON lines as for prova runs import."`
	App         string `placeholder:"APP" help:"With --file: the agent whose runs are replayed."`
	Baseline    string `placeholder:"RELEASE" help:"With --file: the release that is trusted."`
	Candidate   string `placeholder:"RELEASE" help:"With --file: the release to be proved."`
	Environment string `placeholder:"NAME" help:"With --file: where the runs come from (default production)."`
	Steps       []int  `placeholder:"5,25,50,100" help:"Weights of the ramp in percent."`
	MinRuns     *int64 `placeholder:"N" help:"Fresh candidate runs that each step needs (default 30)."`
	// most runs that a simulated rollout may take; 0 is demoMost.
	most int

	Gate []string `sep:"none" placeholder:"GATE" help:"With --file: what is judged, as for prova rollout create. May be repeated."`
}

// Help shows examples and the exit codes.
func (Demo) Help() string {
	return `It needs no account, no key and no network beyond this machine. The exit code is 0 when the good release was promoted, the bad one rolled back and the evidence verified, 3 when the story went otherwise. With --file it is 0 for promoted, 1 for rolled back, 3 when the runs did not suffice for either.

Examples:

  prova demo
  prova demo --keep
  prova demo --file runs.jsonl --app claims-agent --baseline v36 --candidate v37 --steps 50,100`
}

// Run plays the demo.
func (c *Demo) Run(ctx context.Context, env *cli.Env) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	screen := newDemoScreen(env)
	stage, err := openDemoStage(ctx, c.Data, c.Keep, screen)
	if err != nil {
		return err
	}
	defer func() {
		screen.close()
		if _, told := errors.AsType[*cli.ExitError](err); err != nil && !told && ctx.Err() == nil {
			_, _ = io.WriteString(env.Stderr, stage.lastWords())
		}
		err = errors.Join(err, stage.close())
	}()
	code, err := c.play(ctx, stage)
	if err != nil {
		return err
	}
	if c.Keep && c.File == "" {
		if err := stage.furnish(ctx, 4); err != nil {
			return err
		}
	}
	if err := stage.farewell(ctx, c.Keep); err != nil {
		return err
	}
	return cli.Exit(code)
}

// check refuses options that do not fit together before anything is started.
func (c *Demo) check() error {
	of := []struct{ flag, value string }{{"--app", c.App}, {"--baseline", c.Baseline}, {"--candidate", c.Candidate}}
	for _, o := range of {
		switch {
		case c.File == "" && o.value != "":
			return cli.Usagef("%s is for --file; the simulated agent has releases of its own", o.flag)
		case c.File != "" && o.value == "":
			return cli.Usagef("--file needs %s", o.flag)
		}
	}
	if c.File == "" && (c.Environment != "" || len(c.Gate) > 0) {
		return cli.Usagef("--environment and --gate are for --file")
	}
	if c.File != "" && c.Baseline == c.Candidate {
		return cli.Usagef("--baseline and --candidate are the same release")
	}
	if c.Data == "" {
		return nil
	}
	entries, err := os.ReadDir(c.Data)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return cli.Usagef("--data: %w", err)
	}
	if len(entries) > 0 {
		return cli.Usagef("--data %s holds something already; a demo begins in an empty directory", c.Data)
	}
	return nil
}

// play shows the ramps and then the proof, and returns the exit code.
func (c *Demo) play(ctx context.Context, s *demoStage) (int, error) {
	var code int
	var err error
	if c.File != "" {
		code, err = c.replay(ctx, s)
	} else {
		code, err = c.simulate(ctx, s)
	}
	if err != nil {
		return code, err
	}
	number := 2
	if c.File == "" {
		number = 3
	}
	proved, err := s.prove(ctx, number)
	if err == nil && !proved {
		err = errors.New("the evidence did not verify as it should; that is a bug, please report it")
	}
	return code, err
}

// request is the rollout that is declared. What is not given is left to the server.
func (c *Demo) request(app, baseline, candidate string) (api.CreateRollout, error) {
	r := api.CreateRollout{
		AppID: app, Environment: c.Environment, BaselineRelease: baseline, CandidateRelease: candidate,
		Mode: api.ModeCanary, Steps: c.Steps, MinRuns: c.MinRuns,
	}
	for _, text := range c.Gate {
		gate, err := api.ParseGate(text)
		if err != nil {
			return r, cli.Usagef("--gate: %w", err)
		}
		r.Gates = append(r.Gates, gate)
	}
	return r, nil
}

// The releases of the simulated agent.
const (
	demoApp   = "support-agent"
	demoFirst = "v1"
	demoGood  = "v2"
	demoBad   = "v3"
	// demoWarmUp is the number of runs of the first release before the first
	// rollout: a server that has seen nothing could say little about the plan.
	demoWarmUp = 120
)

// simulate ramps a good release and then a bad one.
func (c *Demo) simulate(ctx context.Context, s *demoStage) (int, error) {
	agent := newSimulatedAgent(c.Seed)
	s.begin(agent, c.Seed)
	s.screen.title("A good release is promoted, a bad one is rolled back, and the proof is checked.", [][2]string{
		{"server", s.server.url + ", its data in " + s.where()},
		{"agent", fmt.Sprintf("simulated (seed %d). v1 and v2 fail %.0f %% of their runs; v3 fails %.0f %%, and is slower", c.Seed, goodFailures*100, badFailures*100)},
		{"router", "splits the requests by weight, records each run, and obeys signed webhooks only"},
	})
	s.router.serve(demoFirst)
	agent.left = demoWarmUp
	if err := s.traffic(ctx, demoWarmUp); err != nil {
		return 0, err
	}
	serving, code := demoFirst, cli.Done
	for i, candidate := range []string{demoGood, demoBad} {
		request, err := c.request(demoApp, serving, candidate)
		if err != nil {
			return 0, err
		}
		if agent.left = c.most; c.most == 0 {
			agent.left = demoMost
		}
		end, err := s.ramp(ctx, i+1, request)
		if err != nil {
			return 0, err
		}
		if !s.asAnnounced(candidate, end) {
			code = cli.Undecided
		}
		if !end.State.Finished() {
			break // an app has one canary at a time
		}
		if end.State == api.StatePromoted {
			serving = candidate
		}
	}
	return code, nil
}

// asAnnounced reports whether a rollout ended as its release deserves. If not,
// it says so: with some seeds chance has it otherwise.
func (s *demoStage) asAnnounced(candidate string, r api.Rollout) bool {
	want := api.StatePromoted
	if candidate == demoBad {
		want = api.StateRolledBack
	}
	switch {
	case r.State == want:
		return true
	case !r.State.Finished():
		s.screen.remark(fmt.Sprintf("After %d runs there is not enough evidence for either, so it holds. The demo ends it here.", s.router.sent()))
	case want == api.StatePromoted:
		s.screen.remark(fmt.Sprintf("%s does no harm, and this seed had it look otherwise. A ramp rolls a harmless release back with a chance of at most %.0f %%: that is its error budget. Run the demo with another --seed.",
			candidate, r.Policy.ErrorBudget*100))
	default:
		s.screen.remark(fmt.Sprintf("%s fails far more often, and this seed hid it for a whole ramp: a clean ramp shows that no harm was seen, not that there is none.", candidate))
	}
	return false
}

// replay ramps a release on recorded runs.
func (c *Demo) replay(ctx context.Context, s *demoStage) (int, error) {
	request, err := c.request(c.App, c.Baseline, c.Candidate)
	if err != nil {
		return 0, err
	}
	if request.Environment == "" {
		request.Environment = api.DefaultEnvironment
	}
	recorded, err := readRecording(ctx, c.File, request)
	if err != nil {
		return 0, err
	}
	s.begin(recorded, c.Seed)
	s.screen.title("Recorded runs are replayed as if "+cli.Plain(c.Candidate)+" were ramped now.", [][2]string{
		{"server", s.server.url + ", its data in " + s.where()},
		{"runs", recorded.summary()},
		{"router", fmt.Sprintf("takes the next recorded run of the release that the weight picks (seed %d)", c.Seed)},
	})
	end, err := s.ramp(ctx, 1, request)
	if err != nil {
		return 0, err
	}
	switch end.State {
	case api.StatePromoted:
		return cli.Done, nil
	case api.StateRolledBack:
		return cli.Regressed, nil
	case api.StateActive, api.StatePaused, api.StateAborted:
	}
	s.screen.remark(recorded.usedUp(end))
	return cli.Undecided, nil
}
