package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/rolloutcmd"
)

// demoScreen tells the story: a live frame on a terminal, otherwise a line for
// each change. Output that cannot be written ends nothing: the exit code still
// says how it went.
type demoScreen struct {
	env     *cli.Env
	style   cli.Style
	live    *cli.Live // nil without a terminal
	columns int
	shown   api.Rollout
	obeyed  int
}

// widest is the widest text without a terminal, which is read in a file.
const widest = 100

func newDemoScreen(env *cli.Env) *demoScreen {
	s := &demoScreen{env: env, style: env.Out(), columns: widest}
	if cli.IsTerminal(env.Stdout) && env.Getenv("TERM") != "dumb" {
		s.live = cli.NewLive(env.Stdout)
		columns, _ := cli.Size(env.Stdout)
		s.columns = min(columns, widest)
	}
	return s
}

func (s *demoScreen) print(format string, args ...any) {
	_ = s.env.Print(fmt.Sprintf(format, args...) + "\n")
}

// labelled prints a text behind a label, wrapped under itself.
func (s *demoScreen) labelled(label, text string, width int) {
	for i, line := range cli.Wrap(text, s.columns-width-3) {
		if i > 0 {
			label = ""
		}
		s.print("  %s%s", cli.Pad(label, width), line)
	}
}

// title begins the demo with what takes part in it.
func (s *demoScreen) title(text string, parts [][2]string) {
	s.print("\n%s\n", s.style.Bold("Prova: "+text))
	for _, p := range parts {
		s.labelled(s.style.Dim(p[0]), p[1], 9)
	}
}

// scene begins a part of the demo.
func (s *demoScreen) scene(number int, text string) {
	s.print("\n%s  %s", s.style.Cyan(strconv.Itoa(number)), s.style.Bold(text))
	s.shown = api.Rollout{}
}

// declared says what was asked of a rollout.
func (s *demoScreen) declared(r api.Rollout) {
	p := r.Policy
	steps := make([]string, len(p.Steps))
	for i, w := range p.Steps {
		steps[i] = strconv.Itoa(w)
	}
	text := fmt.Sprintf("Steps of %s %% of traffic. Each next one takes a clean verdict and %d fresh runs of %s.", strings.Join(steps, ", "), p.MinRuns, cli.Plain(r.CandidateRelease))
	for _, line := range cli.Wrap(text, s.columns-4) {
		s.print("   %s", s.style.Dim(line))
	}
	s.print("")
}

// The columns of a line of the log.
const (
	runsColumn   = 7
	weightColumn = 7
	wordColumn   = 10
)

// ticked shows what a tick answered.
func (s *demoScreen) ticked(v rolloutcmd.View, router demoStatus) {
	if s.live != nil {
		columns, _ := cli.Size(s.env.Stdout)
		v.Rollout.Environment = cli.Plain(v.Rollout.Environment)
		s.live.Draw(rolloutcmd.Frame(v, s.style, columns) + s.routerLines(router))
		s.shown, s.obeyed = v.Rollout, router.obeyed
		return
	}
	r := v.Rollout
	if d := r.LastDecision; d != nil && s.news(r) {
		s.line(router.runs, d.WeightFrom, s.decision(d.Decision), cli.Plain(d.Reason.Text))
	}
	if router.last != nil && router.obeyed != s.obeyed {
		s.line(-1, 0, s.style.Cyan("webhook"), s.webhook(router))
	}
	s.shown, s.obeyed = r, router.obeyed
}

// news reports whether a reader of the log would want to know.
func (s *demoScreen) news(r api.Rollout) bool {
	was := s.shown
	return was.LastDecision == nil || was.State != r.State || was.Step != r.Step || was.LastDecision.Decision != r.LastDecision.Decision ||
		was.LastDecision.Reason.Code != r.LastDecision.Reason.Code
}

// line prints a line of the log; runs below 0 belong to the line before.
func (s *demoScreen) line(runs, weight int, word, text string) {
	left := strings.Repeat(" ", runsColumn+weightColumn)
	if runs >= 0 {
		left = cli.PadLeft(strconv.Itoa(runs), runsColumn) + cli.PadLeft(strconv.Itoa(weight)+" %", weightColumn)
	}
	left += "  " + cli.Pad(word, wordColumn)
	for i, line := range cli.Wrap(text, s.columns-cli.Width(left)) {
		if i > 0 {
			left = strings.Repeat(" ", cli.Width(left))
		}
		s.print("%s%s", left, line)
	}
}

func (s *demoScreen) decision(a api.Action) string {
	switch a {
	case api.Promote:
		return s.style.Green(string(a))
	case api.Rollback:
		return s.style.Red(string(a))
	case api.Hold:
	}
	return s.style.Yellow(string(a))
}

// webhook says what the router was told last and what it did.
func (s *demoScreen) webhook(router demoStatus) string {
	d := router.last.Data
	return fmt.Sprintf("%s, signature verified: the router now sends %d %% to %s", router.last.Event, d.Weight, cli.Plain(d.CandidateRelease))
}

// routerLines stand below the frame.
func (s *demoScreen) routerLines(router demoStatus) string {
	candidate := cli.Plain(router.candidate)
	told := "none yet: the first weight is from the rollout's creation"
	if router.last != nil {
		told = fmt.Sprintf("%s, signature verified: %d %% to %s", router.last.Event, router.last.Data.Weight, candidate)
	}
	columns, _ := cli.Size(s.env.Stdout)
	lines := []string{
		"  " + s.style.Cyan("router ") + fmt.Sprintf("  sends %d %% of requests to %s, %d runs recorded so far", router.percent, candidate, router.runs),
		"  " + s.style.Cyan("webhook") + "  " + told,
	}
	for i, line := range lines {
		lines[i] = cli.Cut(line, columns-1)
	}
	return "\n" + strings.Join(lines, "\n") + "\n"
}

// rest lets people watch: a beat, or longer after a transition.
func (s *demoScreen) rest(ctx context.Context, moved bool) error {
	if s.live == nil {
		return ctx.Err()
	}
	wait := demoBeat
	if moved {
		wait = demoPause
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

// settled says how a rollout ended.
func (s *demoScreen) settled(r api.Rollout) {
	s.close()
	candidate, baseline := cli.Plain(r.CandidateRelease), cli.Plain(r.BaselineRelease)
	s.print("")
	switch r.State {
	case api.StatePromoted:
		s.print("   %s", s.style.Green("✓ "+candidate+" is promoted: it takes all traffic."))
	case api.StateRolledBack:
		s.print("   %s", s.style.Red("✗ "+candidate+" is rolled back: "+baseline+" takes all traffic."))
	case api.StateActive, api.StatePaused, api.StateAborted:
		s.print("   %s", s.style.Yellow("○ "+candidate+" is not settled."))
	}
}

// remark says what is out of the ordinary.
func (s *demoScreen) remark(text string) {
	for _, line := range cli.Wrap(text, s.columns-6) {
		s.print("     %s", s.style.Yellow(line))
	}
}

// close leaves the last frame behind and gives the cursor back.
func (s *demoScreen) close() {
	if s.live != nil {
		s.live.Finish("")
	}
}
