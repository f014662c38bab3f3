package rolloutcmd

import (
	"strconv"
	"strings"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/figures"
)

// View is what is known about a rollout at one moment.
type View struct {
	Rollout api.Rollout
	// Verdict is nil where nothing was ticked: the last decision's figures stand in.
	Verdict *api.Verdict
	// Foot is a line about the watching itself; empty for none.
	Foot string
	// tick is the whole answer that Rollout and Verdict are from; nil for a read.
	tick *api.Tick
}

// Frame draws a rollout in lines of at most columns. It is a pure function.
func Frame(v View, style cli.Style, columns int) string {
	columns = max(columns-1, 40)
	r := v.Rollout
	lines := []string{
		style.Bold(cli.Plain(r.AppID)) + "  " + cli.Plain(r.BaselineRelease) + " → " + style.Bold(cli.Plain(r.CandidateRelease)) +
			"  " + style.Dim(string(r.Mode)+" in "+cli.Plain(r.Environment)),
		style.Dim(cli.Plain(r.ID)),
		"",
		"  " + figures.Ramp(r, style),
		"  " + figures.State(r, style) + " at " + figures.Weight(r) + "   " + progress(r, style),
		"",
	}
	lines = append(lines, conclusion(v, style, columns)...)
	lines = append(lines, evidence(v, style, columns)...)
	if v.Foot != "" {
		lines = append(lines, "", "  "+style.Dim(cli.Plain(v.Foot)))
	}
	for i, line := range lines {
		lines[i] = strings.TrimRight(cli.Cut(line, columns), " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// progress says how far the present step is, and how often it was looked.
func progress(r api.Rollout, style cli.Style) string {
	var parts []string
	if !r.State.Finished() {
		parts = append(parts, figures.Fresh(r, 12))
	}
	if n := r.Ledger.Looks; n > 0 {
		parts = append(parts, style.Dim("look "+strconv.FormatInt(n, 10)))
	}
	if r.Attempt > 1 {
		parts = append(parts, style.Dim("attempt "+strconv.Itoa(r.Attempt)))
	}
	return strings.Join(parts, "   ")
}

// evidence draws the gates: those of the verdict, or of the last decision.
func evidence(v View, style cli.Style, columns int) []string {
	lines := []string{""}
	if v.Verdict != nil {
		for _, line := range figures.Verdict(*v.Verdict, style, columns-2) {
			lines = append(lines, "  "+line)
		}
		return lines
	}
	d := v.Rollout.LastDecision
	if d == nil || len(d.Gates) == 0 {
		return nil
	}
	for _, line := range figures.Decided(d.Gates, v.Rollout.Policy.Gates, style) {
		lines = append(lines, "  "+line)
	}
	if checks := figures.Checks(d.Checks, style, columns-2); len(checks) > 0 {
		lines = append(lines, "")
		for _, line := range checks {
			lines = append(lines, "  "+line)
		}
	}
	return lines
}

// checks are those of the verdict, or those of the last decision that were not ok.
func (v View) checks() []api.Check {
	switch {
	case v.Verdict != nil:
		return v.Verdict.Checks
	case v.Rollout.LastDecision != nil:
		return v.Rollout.LastDecision.Checks
	}
	return nil
}

// conclusion says what was decided last, and why.
func conclusion(v View, style cli.Style, columns int) []string {
	d := v.Rollout.LastDecision
	if d == nil {
		return []string{"  " + style.Dim("Nobody has ticked this rollout yet.")}
	}
	var lines []string
	for _, line := range cli.Wrap(cli.Plain(d.Reason.Text), columns-2) {
		lines = append(lines, "  "+line)
	}
	about := word(*d) + " at " + d.RecordedAt.UTC().Format("15:04:05Z")
	if d.EventID != "" {
		about += ", receipt " + cli.Plain(d.EventID)
	}
	return append(lines, "  "+style.Dim(about))
}

// word names a decision, or the person's action that it was.
func word(d api.Decision) string {
	if d.Action != "" {
		return d.Action + " by " + cli.Plain(d.Actor)
	}
	return string(d.Decision)
}

// Line is a rollout in one line, for logs.
func Line(v View, style cli.Style) string {
	r := v.Rollout
	parts := []string{figures.State(r, style) + " at " + figures.Weight(r)}
	if !r.State.Finished() {
		parts = append(parts, strconv.FormatInt(r.FreshRuns, 10)+" of "+strconv.FormatInt(r.Policy.MinRuns, 10)+" fresh runs")
	}
	if v.Verdict != nil {
		parts = append(parts, figures.Word(v.Verdict.Verdict, style))
	}
	if d := r.LastDecision; d != nil {
		parts = append(parts, word(*d)+": "+cli.Plain(d.Reason.Text))
	}
	return strings.Join(parts, "  ")
}

// clock is the time of a line in a log.
func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }
