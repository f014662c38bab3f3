package dashboard

import (
	"strconv"

	"github.com/cobound/prova/api"
)

// ramp is the steps of a rollout as they are drawn: those that are proved, the
// present one, those to come.
type ramp struct {
	Steps []rampStep
	// Width is that of the drawing, in its own units.
	Width int
	// Text says the same in words.
	Text string
}

type rampStep struct {
	Weight int
	// State is proved, present, ended or ahead.
	State string
	// X is the middle of the step, From where the line to it begins.
	X, From int
	First   bool
}

// Distances of the drawing.
const (
	rampEdge = 10
	rampGap  = 34
)

func rampOf(r api.Rollout) ramp {
	out := ramp{Width: 2*rampEdge + rampGap*(len(r.Policy.Steps)-1)}
	out.Text = "step " + strconv.Itoa(r.Step) + " of " + strconv.Itoa(len(r.Policy.Steps)) + ", " + weightOf(r)
	for i, weight := range r.Policy.Steps {
		number := i + 1
		s := rampStep{Weight: weight, State: "ahead", X: rampEdge + i*rampGap, First: i == 0}
		s.From = s.X - rampGap
		switch {
		case number < r.Step || r.State == api.StatePromoted:
			s.State = "proved"
		case number == r.Step && r.State.Finished():
			s.State = "ended"
		case number == r.Step:
			s.State = "present"
		}
		out.Steps = append(out.Steps, s)
	}
	return out
}

// weightOf is the weight that is authorised, or would be in shadow mode.
func weightOf(r api.Rollout) string {
	switch {
	case r.Weight != nil:
		return strconv.Itoa(*r.Weight) + " %"
	case r.PaperWeight != nil:
		return strconv.Itoa(*r.PaperWeight) + " % on paper"
	}
	return "–"
}
