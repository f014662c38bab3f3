package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/figures"
	"github.com/cobound/prova/internal/cli/rolloutcmd"
	"github.com/cobound/prova/internal/compare"
)

// demoScreen tells the story: a live frame on a terminal, otherwise a line for
// each change. Output that cannot be written ends nothing: the exit code still
// says how it went.
type demoScreen struct {
	env     *cli.Env
	style   cli.Style
	live    *cli.Live // nil without a terminal
	columns int
	// shown is the rollout as it was in the latest line, and obeyed the number
	// of webhooks until then.
	shown  api.Rollout
	obeyed int
	frame  string // the latest
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

// scene begins a part of the demo and explains it, if there is need.
func (s *demoScreen) scene(number int, text, explanation string) {
	s.print("\n%s  %s", s.style.Cyan(strconv.Itoa(number)), s.style.Bold(text))
	for _, line := range cli.Wrap(explanation, s.columns-4) {
		s.print("   %s", s.style.Dim(line))
	}
	s.print("")
	s.shown = api.Rollout{}
}

// rules explains what a rollout is about to do.
func rules(r api.Rollout) string {
	candidate, steps := cli.Plain(r.CandidateRelease), ""
	for i, w := range r.Policy.Steps {
		switch {
		case i == len(r.Policy.Steps)-1:
			steps += " and then "
		case i > 0:
			steps += ", "
		}
		steps += strconv.Itoa(w)
	}
	var judged []string
	for _, g := range r.Policy.Gates {
		if g.On == api.OnRollback {
			judged = append(judged, figures.Title(g))
		}
	}
	return fmt.Sprintf("%s gets %s %% of the traffic. Each advance takes a clean verdict and %d fresh runs: runs of %s since the weight was set. "+
		"Judged is the %s: if it is worse than with %s by more than chance explains, %s is rolled back at once.",
		candidate, steps, r.Policy.MinRuns, candidate, strings.Join(judged, " and the "), cli.Plain(r.BaselineRelease), candidate)
}

// The columns of a line of the log.
const (
	runsColumn   = 7
	weightColumn = 8
	wordColumn   = 10
)

// ticked shows what a tick answered.
func (s *demoScreen) ticked(v rolloutcmd.View, router demoStatus) {
	if s.live != nil {
		columns, _ := cli.Size(s.env.Stdout)
		s.frame = s.routerLines(router, columns) + "\n" + rolloutcmd.Frame(v, s.style, columns)
		s.live.Draw(s.frame)
		return
	}
	if s.shown.ID == "" {
		s.print("%s", s.style.Dim(cli.PadLeft("runs", runsColumn)+cli.PadLeft("weight", weightColumn)+"  decision  because"))
	}
	if d := v.Rollout.LastDecision; d != nil && s.news(v.Rollout) {
		s.line(router.runs, d.WeightFrom, s.decision(d.Decision), because(*d))
	}
	if router.last != nil && router.obeyed != s.obeyed {
		s.line(-1, 0, s.style.Cyan("webhook"), told(router))
	}
	s.shown, s.obeyed = v.Rollout, router.obeyed
}

// because is a decision's reason without what stands in the line already.
func because(d api.Decision) string {
	text := cli.Plain(d.Reason.Text)
	if d.Decision == api.Hold {
		text = strings.TrimPrefix(text, fmt.Sprintf("Holding at %d%%: ", d.Weight))
	}
	if d.Decision == api.Rollback {
		_, text, _ = strings.Cut(text, ", ") // the column beside it says that it rolls back, and at which weight
	}
	if d.Reason.Code == compare.ReasonNoLook {
		text, _, _ = strings.Cut(text, ";")
	}
	return text
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

// told says what the router was told last and what it did.
func told(router demoStatus) string {
	return fmt.Sprintf("%s, signature verified: %s gets %d %% from now on", router.last.Event, cli.Plain(router.candidate), router.last.Data.Weight)
}

// routerLines stand above the frame.
func (s *demoScreen) routerLines(router demoStatus, columns int) string {
	webhook := s.style.Dim("none yet: the first weight came with the rollout's creation")
	if router.last != nil {
		webhook = told(router)
	}
	return cli.Cut(s.style.Cyan("router ")+fmt.Sprintf("  sends %d %% of requests to %s; %d runs recorded so far", router.percent, cli.Plain(router.candidate), router.runs), columns-1) + "\n" +
		cli.Cut(s.style.Cyan("webhook")+"  "+webhook, columns-1) + "\n"
}

// rest lets people watch for a while, where there are any.
func (s *demoScreen) rest(ctx context.Context, wait time.Duration) error {
	if s.live == nil {
		return ctx.Err()
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
		s.live.Finish(s.frame)
		s.frame = ""
	}
}
