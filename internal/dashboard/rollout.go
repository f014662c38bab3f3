package dashboard

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// How much the page of a rollout shows.
const (
	mostDecisions = 200 // that the funnel and the time line are drawn from
	mostListed    = 40  // of the time line, unless all are asked for
	mostInputs    = 20
)

// rolloutPage is one rollout, with all that explains where it stands.
type rolloutPage struct {
	api.Rollout
	Sentence string
	// Latest is when the sentence was decided.
	Latest *moment
	Ramp   ramp
	// Fresh is the share of the fresh runs that the step needs, in percent, at most 100.
	Fresh float64
	// Runs counts both releases' runs at the step; nil once it has ended.
	Runs     *authority.Observed
	Gates    []gateRow
	Signals  []gateRow
	Pairwise *pairwiseGate
	// Of is the decision that the figures are from; nil before the first.
	Of       *moment
	Warnings []warning
	Funnels  []funnel
	Budgets  []ledgerRow
	Inputs   *inputsTable
	Timeline []timelineRow
	// Older says that there are decisions before those listed; All is where they are, if that is another page.
	Older bool
	All   string
	// Operate is what the key may do to it now; empty if nothing.
	Operate []operation
	// MayRead says that the key may read receipts.
	MayRead bool
	// Live is where news of it are had; empty where there will be none.
	Live string
	// Problem is what went wrong with a form, Typed the reason that was typed into that of Action.
	Problem       *api.Problem
	Action, Typed string
}

// warning is a condition that is not as it should be.
type warning struct{ Status, Name, Detail string }

// timelineRow is a decision.
type timelineRow struct {
	api.Decision
	// Word names it, or the action of a person that it was.
	Word string
	At   moment
}

func (h *Handler) rollout(r *request) error {
	page, err := h.rolloutPage(r.Context(), r, r.PathValue("id"))
	if err != nil {
		return err
	}
	return r.page(http.StatusOK, "rollout", page.title(), "live.js", page)
}

// rolloutLive answers when there is news, or after a while.
func (h *Handler) rolloutLive(r *request) error {
	since, err := strconv.ParseInt(r.Query("since"), 10, 64)
	if err != nil {
		return &authority.Error{Code: authority.CodeInvalid, Detail: "since is the sequence of the rollout that you have"}
	}
	ctx, stop := h.untilDraining(r.Context())
	defer stop()
	if _, err := h.Cases.WaitRollout(ctx, r.who, r.PathValue("id"), since, waiting); err != nil && h.draining.Err() == nil {
		return err
	}
	page, err := h.rolloutPage(r.Context(), r, r.PathValue("id"))
	if err != nil {
		return err
	}
	return r.part("rollout", page)
}

// untilDraining ends with ctx, or when the server shuts down.
func (h *Handler) untilDraining(ctx context.Context) (context.Context, func()) {
	waiting, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(h.draining, cancel)
	return waiting, func() { stop(); cancel() }
}

func (p rolloutPage) title() string {
	return p.AppID + " " + p.CandidateRelease
}

func (h *Handler) rolloutPage(ctx context.Context, r *request, id string) (rolloutPage, error) {
	var page rolloutPage
	f, err := h.Cases.Findings(ctx, r.who, id, mostDecisions)
	if err != nil {
		return page, err
	}
	inputs, err := h.Cases.Inputs(ctx, r.who, id, mostInputs)
	if err != nil {
		return page, err
	}
	ro := f.Rollout
	page = rolloutPage{
		Rollout: ro, Sentence: "Nobody has ticked this rollout yet: prova-rollout watch --id " + ro.ID, Ramp: rampOf(ro), Runs: f.Observed,
		Fresh:    freshShare(ro),
		Warnings: warnings(f), Funnels: funnels(ro, f.Decisions, f.Verdict), Budgets: ledgerRows(ro), Inputs: inputsOf(inputs),
		MayRead: r.who.May(api.AuditRead),
	}
	if d := ro.LastDecision; d != nil {
		at := h.moment(d.RecordedAt)
		page.Sentence, page.Latest = d.Reason.Text, &at
	}
	if f.Verdict != nil {
		at := h.moment(f.Of.RecordedAt)
		page.Of, page.Pairwise = &at, pairwiseOf(page.ID, f.Verdict.Pairwise)
		page.Gates, page.Signals = gateRows(f.Verdict.Gates), gateRows(f.Verdict.Signals)
	}
	page.Timeline = h.timeline(f.Decisions)
	page.Older = f.Older
	live := "/rollouts/" + ro.ID + "/live?since=" + strconv.FormatInt(ro.Sequence, 10)
	if r.Query("all") == "" && len(page.Timeline) > mostListed {
		page.Timeline, page.All = page.Timeline[:mostListed], "/rollouts/"+ro.ID+"?all=1"
	} else if r.Query("all") != "" {
		live += "&all=1"
	}
	if !ro.State.Finished() || ro.Mode == api.ModeShadow { // a shadow goes on signing after its paper ending
		page.Live = live
	}
	if r.who.May(api.RolloutManage) {
		page.Operate = operations(ro)
	}
	return page, nil
}

// freshShare is how far the step is with its fresh runs, in percent.
func freshShare(r api.Rollout) float64 {
	if r.Policy.MinRuns <= 0 {
		return 100
	}
	return min(100*float64(r.FreshRuns)/float64(r.Policy.MinRuns), 100)
}

// timeline lists decisions, newest first.
func (h *Handler) timeline(decisions []api.Decision) []timelineRow {
	rows := make([]timelineRow, 0, len(decisions))
	for _, d := range slices.Backward(decisions) {
		row := timelineRow{Decision: d, Word: string(d.Decision), At: h.moment(d.RecordedAt)}
		if d.Action != "" {
			row.Word = d.Action
		}
		rows = append(rows, row)
	}
	return rows
}

// checkWarnings are the checks that are not ok.
func checkWarnings(checks []api.Check) []warning {
	var out []warning
	for _, c := range checks {
		if c.Status != api.CheckOK {
			out = append(out, warning{c.Status, c.Check, c.Detail})
		}
	}
	return out
}

// warnings are what a reader should know before trusting the figures.
func warnings(f authority.Findings) []warning {
	var out []warning
	if f.Waiting {
		out = append(out, warning{api.CheckWarn, "tick due", "runs wait for a tick to look at them"})
	}
	if f.Verdict == nil {
		return out
	}
	out = append(out, checkWarnings(f.Verdict.Checks)...)
	for _, g := range f.Verdict.Gates {
		for _, c := range []struct {
			whose string
			api.CohortFigure
		}{{"candidate", g.Candidate}, {"baseline", g.Baseline}} {
			if g.Pair == "" && c.Missing > 0 {
				out = append(out, warning{api.CheckWarn, "metric missing", plural(c.Missing, "run") + " of the " + c.whose + " of " + strconv.FormatInt(c.Missing+c.N, 10) + " carry no " + g.Metric})
			}
		}
	}
	if r := f.Rollout; r.Attempt > 1 {
		out = append(out, warning{api.CheckWarn, "attempt", "this is attempt " + strconv.Itoa(r.Attempt) + " at this candidate: " + r.AttemptReason})
	}
	return out
}
