package dashboard

import (
	"math"
	"strconv"

	"github.com/cobound/prova/api"
)

// judgeCard is what one judge said of two releases, added up.
type judgeCard struct {
	api.JudgeSummary
	Name     string
	Sentence string
	// Drawing is the win rate against one half; nil where nothing was decided.
	Drawing *halves
	// Kappa says how to read the kappa of the calibration; empty without one.
	Kappa string
	// Poor is whether the judge agrees with people too little to be relied on.
	Poor bool
	// Rows are the confusion of the calibration, by label.
	Rows []confusionRow
	// Orders are the shares of pairs that were asked in both orders.
	Agreed, FirstTwice, SecondTwice, Longer string
}

// confusionRow counts, for one label of people, what the judge said.
type confusionRow struct {
	Label  string
	Counts []confusionCount
	Sum    int64
}

type confusionCount struct {
	N int64
	// Same is whether the judge says what people say.
	Same bool
}

// halves is a share with its interval on an axis from 0 to 1, and the mark of one half.
type halves struct {
	Value, Lo, Hi int
	// Side is better, worse or open: on which side of one half the interval lies.
	Side string
	Text string
}

// The axis of the drawing, in its own units.
const (
	halvesEdge = 14
	halvesSpan = 300
)

func halvesOf(s api.Share) *halves {
	if s.Value == nil || s.Lo == nil || s.Hi == nil {
		return nil
	}
	at := func(v float64) int { return halvesEdge + int(math.Round(v*halvesSpan)) }
	d := &halves{Value: at(*s.Value), Lo: at(*s.Lo), Hi: at(*s.Hi), Side: "open"}
	switch {
	case *s.Lo > 0.5:
		d.Side = "better"
	case *s.Hi < 0.5:
		d.Side = "worse"
	}
	d.Text = "win rate " + shareText(*s.Value) + ", 95 % interval " + shareText(*s.Lo) + " to " + shareText(*s.Hi) + ", against one half"
	return d
}

func judgeCardOf(j api.JudgeSummary) judgeCard {
	c := judgeCard{JudgeSummary: j, Name: j.Judge.String(), Drawing: halvesOf(j.WinRate)}
	c.Sentence = winSentence(c)
	f := j.Figures
	c.Agreed, c.FirstTwice, c.SecondTwice = part(f.Agreed, f.BothOrders), part(f.FirstTwice, f.BothOrders), part(f.SecondTwice, f.BothOrders)
	c.Longer = part(f.LongerWins, f.LongerKnown)
	if j.Calibration != nil {
		c.Kappa, c.Poor = kappaSays(j.Calibration.Kappa)
		c.Rows = confusionOf(j.Calibration.Confusion)
	}
	return c
}

// part is a share in words: how many of how many.
func part(x, n int64) string {
	if n == 0 {
		return "not known"
	}
	return shareText(float64(x)/float64(n)) + " (" + strconv.FormatInt(x, 10) + " of " + strconv.FormatInt(n, 10) + ")"
}

func winSentence(c judgeCard) string {
	if c.Drawing == nil {
		return "The judge has decided no pair yet."
	}
	found := "wins " + shareText(*c.WinRate.Value) + " of " + plural(c.WinRate.N, "decided pair") + " (95 % interval " + shareText(*c.WinRate.Lo) + " to " + shareText(*c.WinRate.Hi) + ")"
	switch c.Drawing.Side {
	case "better":
		return "The candidate " + found + ": more than half."
	case "worse":
		return "The candidate " + found + ": fewer than half."
	}
	return "The candidate " + found + ": a half is not excluded, so neither release is shown to be better."
}

// Below this kappa a judge is not to be relied on.
const poorKappa = 0.4

// kappaSays reads Cohen's kappa in the words of Landis and Koch, and whether it is poor.
func kappaSays(kappa *float64) (says string, poor bool) {
	if kappa == nil {
		return "kappa is not defined: chance alone explains the agreement, for example since all labels are the same; label pairs of all three kinds", true
	}
	k := *kappa
	reading := "almost perfect agreement"
	switch {
	case k <= 0:
		reading = "no better than chance"
	case k < 0.2:
		reading = "slight agreement"
	case k < poorKappa:
		reading = "fair agreement"
	case k < 0.6:
		reading = "moderate agreement"
	case k < 0.8:
		reading = "substantial agreement"
	}
	return "kappa " + strconv.FormatFloat(k, 'f', 2, 64) + ", " + reading, k < poorKappa
}

// labels are those of the confusion, in its order.
func labels() []string { return []string{"baseline", "candidate", "tie"} }

func confusionOf(c [3][3]int64) []confusionRow {
	var rows []confusionRow
	for i, label := range labels() {
		row := confusionRow{Label: label}
		for j := range labels() {
			row.Counts = append(row.Counts, confusionCount{N: c[i][j], Same: i == j})
			row.Sum += c[i][j]
		}
		rows = append(rows, row)
	}
	return rows
}
