package figures

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
)

// FewLabels is the number of labels below which a calibration says little.
const FewLabels = 100

// Share writes a proportion with its interval: 80 % (12 of 15; 55 % to 93 %).
func Share(s api.Share) string {
	if s.Value == nil || s.Lo == nil || s.Hi == nil {
		return "none yet"
	}
	return fmt.Sprintf("%s (%d of %d; %s to %s)", percent(*s.Value), s.X, s.N, percent(*s.Lo), percent(*s.Hi))
}

func percent(v float64) string { return strconv.FormatFloat(math.Round(v*1000)/10, 'f', -1, 64) + " %" }

// Judged writes what a judge's judgments of two releases add up to, and how far
// they can be trusted. A judge that was never calibrated is marked.
func Judged(s api.JudgeSummary, style cli.Style) []string {
	f := s.Figures
	rows := [][2]string{
		{"win rate", style.Bold(Share(s.WinRate)) + " of decided pairs" + halfTies(s.HalfTies)},
		{"pairs", Tally(f) + repeats(f.Repeats)},
		{"order", orders(f)},
		{"length", longer(f.LongerWins, f.LongerKnown)},
		{"calibration", calibrated(s.Calibration, style)},
	}
	return append([]string{style.Bold("judge ") + style.Cyan(cli.Plain(s.Judge.String()))}, aligned(rows, style)...)
}

// Tally counts what the candidate won and lost.
func Tally(f api.JudgedFigures) string {
	losses := "1 loss"
	if f.Losses != 1 {
		losses = strconv.FormatInt(f.Losses, 10) + " losses"
	}
	return fmt.Sprintf("%s, %s, %s, %d without a verdict", plural(f.Wins, "win"), losses, plural(f.Ties, "tie"), f.NoVerdict)
}

func halfTies(v *float64) string {
	if v == nil {
		return ""
	}
	return ", " + percent(*v) + " with ties as half"
}

func repeats(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %s left out", plural(n, "repeat"))
}

// orders says how often the judge contradicted itself, and which way.
func orders(f api.JudgedFigures) string {
	if f.BothOrders == 0 {
		return "no pair was asked in both orders"
	}
	text := fmt.Sprintf("both orders agree on %d of %s", f.Agreed, plural(f.BothOrders, "pair"))
	if n := f.FirstTwice + f.SecondTwice; n > 0 {
		text += fmt.Sprintf("; what was shown first won both times in %d, second in %d", f.FirstTwice, f.SecondTwice)
	}
	return text
}

func longer(won, known int64) string {
	if known == 0 {
		return "no decided pair with answers of known and different length"
	}
	return fmt.Sprintf("the longer answer won %d of %s that were decided", won, plural(known, "pair"))
}

// calibrated is how well a judge agrees with people, or the mark that nobody knows.
func calibrated(c *api.Calibration, style cli.Style) string {
	if c == nil {
		return style.Yellow("UNCALIBRATED") + ": nobody has held it against people's labels; see prova judge calibrate --help"
	}
	text := "agrees with people on " + Share(c.Agreement) + ", " + Kappa(c.Kappa)
	if c.Labels < FewLabels {
		text += style.Yellow(fmt.Sprintf("; only %s", plural(c.Labels, "label")))
	}
	return text
}

// Kappa writes Cohen's kappa with what it is commonly taken for (Landis and Koch 1977).
func Kappa(k *float64) string {
	if k == nil {
		return "kappa not defined"
	}
	word := "almost perfect"
	for _, c := range []struct {
		below float64
		word  string
	}{{0, "worse than chance"}, {0.2, "slight"}, {0.4, "fair"}, {0.6, "moderate"}, {0.8, "substantial"}} {
		if *k <= c.below {
			word = c.word
			break
		}
	}
	return "kappa " + strconv.FormatFloat(*k, 'f', 2, 64) + ", " + word
}

// Calibration writes a calibration whole.
func Calibration(c api.Calibration, style cli.Style) []string {
	rows := [][2]string{
		{"labels", fmt.Sprintf("%d, of which the judge gave a verdict on %d", c.Labels, c.Compared)},
		{"agreement", style.Bold(Share(c.Agreement))},
		{"kappa", strings.TrimPrefix(Kappa(c.Kappa), "kappa ") + "; 1 is full agreement, 0 what chance gives with as many of each verdict"},
		{"order", "both orders agree on " + Share(c.Consistent)},
		{"", firstBias(c.FirstBias)},
		{"length", "of the decided pairs the longer answer won, with the judge: " + Share(c.LongerWins)},
		{"", "with people: " + Share(c.LabelsLonger)},
		{"retest", retest(c.Retest)},
	}
	lines := append([]string{style.Bold("judge ") + style.Cyan(cli.Plain(c.Judge.String()))}, aligned(rows, style)...)
	lines = append(lines, "")
	classes := []string{"baseline", "candidate", "tie"}
	t := cli.Table{Head: []string{"people say", "judge: baseline", "candidate", "tie"}, Right: map[int]bool{1: true, 2: true, 3: true}}
	for i, class := range classes {
		row := c.Confusion[i]
		t.Add(class, strconv.FormatInt(row[0], 10), strconv.FormatInt(row[1], 10), strconv.FormatInt(row[2], 10))
	}
	return append(lines, strings.Split(strings.TrimRight(t.Text(style), "\n"), "\n")...)
}

func firstBias(s api.Share) string {
	if s.N == 0 {
		return "on no pair did it choose the same place in both orders"
	}
	return "of the pairs on which it chose the same place in both orders, that was the first in " + Share(s)
}

func retest(s api.Share) string {
	if s.N == 0 {
		return "no pair was judged twice"
	}
	return "the same verdict again on " + Share(s)
}

// UnpairedText says of how many probes no pair could be made, and why; empty if of all one could.
func UnpairedText(u api.Unpaired) string {
	var parts []string
	for _, c := range []struct {
		n   int64
		why string
	}{
		{u.BaselineOnly, "ran on the baseline only"},
		{u.CandidateOnly, "ran on the candidate only"},
		{u.NoOutput, "without an output"},
		{u.InputsDiffer, "with different inputs"},
	} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.why))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	total := u.BaselineOnly + u.CandidateOnly + u.NoOutput + u.InputsDiffer
	return plural(total, "probe") + " not paired: " + strings.Join(parts, ", ")
}

// aligned puts names in front of texts.
func aligned(rows [][2]string, style cli.Style) []string {
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = "  " + style.Dim(cli.Pad(row[0], nameWidth)) + "  " + row[1]
	}
	return lines
}
