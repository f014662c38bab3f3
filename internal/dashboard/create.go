package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/simulate"
)

// createPage is the form for a new rollout, and what that would do.
type createPage struct {
	Form     createForm
	Apps     []string
	Releases []string
	// Known are gates to copy: those of metrics that need no more words.
	Known   []api.Known
	Problem *api.Problem
	// Plan is nil while the form does not say enough.
	Plan *plan
}

// createForm is what was typed, as it was typed.
type createForm struct {
	App, Environment, Baseline, Candidate, Mode, Steps, MinRuns, Gates string
	ErrorBudget, PromoteMargin, SRM, AttemptReason                     string
}

// More reports whether something was typed into what is folded away.
func (f createForm) More() bool {
	return f.ErrorBudget != "" || f.PromoteMargin != "" || f.SRM != "" || f.AttemptReason != ""
}

func readCreateForm(v url.Values) createForm {
	get := func(name string) string { return strings.TrimSpace(v.Get(name)) }
	return createForm{
		App: get("app"), Environment: get("environment"), Baseline: get("baseline"), Candidate: get("candidate"), Mode: get("mode"),
		Steps: get("steps"), MinRuns: get("min_runs"), Gates: get("gates"), ErrorBudget: get("error_budget"),
		PromoteMargin: get("promote_margin"), SRM: get("srm"), AttemptReason: get("attempt_reason"),
	}
}

// request is the form as a request; what cannot be read is told by its field.
func (f createForm) request() (api.CreateRollout, []api.FieldError) {
	r := api.CreateRollout{
		AppID: f.App, Environment: f.Environment, BaselineRelease: f.Baseline, CandidateRelease: f.Candidate,
		Mode: api.Mode(f.Mode), SRM: f.SRM, AttemptReason: f.AttemptReason,
	}
	var wrong []api.FieldError
	bad := func(pointer, detail string) { wrong = append(wrong, api.FieldError{Pointer: pointer, Detail: detail}) }
	for step := range strings.FieldsFuncSeq(f.Steps, func(c rune) bool { return c == ',' || c == ' ' || c == '%' }) {
		n, err := strconv.Atoi(step)
		if err != nil {
			bad("/steps", "steps are whole numbers in percent, such as 5, 25, 50, 100")
			break
		}
		r.Steps = append(r.Steps, n)
	}
	if f.MinRuns != "" {
		n, err := strconv.ParseInt(f.MinRuns, 10, 64)
		if err != nil {
			bad("/min_runs", "the fresh runs of a step are a whole number, such as 30")
		}
		r.MinRuns = &n
	}
	for line := range strings.Lines(f.Gates) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		g, err := api.ParseGate(line)
		if err != nil {
			bad("/gates", err.Error())
			continue
		}
		r.Gates = append(r.Gates, g)
	}
	r.ErrorBudget = percentOf(f.ErrorBudget, "/error_budget", bad)
	if r.PromoteMargin = percentOf(f.PromoteMargin, "/promote_margin", bad); r.PromoteMargin != nil {
		r.PromoteOn = api.PromoteNonInferior
	}
	return r, wrong
}

// percentOf reads a share that is typed in percent; nil if nothing was.
func percentOf(text, pointer string, bad func(pointer, detail string)) *float64 {
	if text == "" {
		return nil
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(text, "%")), 64)
	if err != nil || v != v {
		bad(pointer, "want a number in percent, such as 5")
		return nil
	}
	v /= 100
	return &v
}

// createForm shows the form, and what the rollout that it describes would do.
func (h *Handler) createForm(r *request) error {
	f := readCreateForm(r.URL.Query())
	page, err := h.createPage(r, f)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if f.App != "" && f.Baseline != "" && f.Candidate != "" {
		wanted, wrong := f.request()
		if len(wrong) == 0 {
			page.Plan, wrong, err = h.plan(r, wanted)
		}
		if err != nil {
			return err
		}
		if len(wrong) > 0 {
			page.Problem = authority.ProblemOf(&authority.Error{Code: authority.CodeInvalid, Detail: "Nothing would be created like this", Fields: wrong})
			status = page.Problem.Status
		}
	}
	return r.page(status, "create", "New rollout", "", page)
}

// create makes the rollout, or shows the form again with what is wrong.
func (h *Handler) create(r *request) error {
	f := readCreateForm(r.PostForm)
	wanted, wrong := f.request()
	var err error
	if len(wrong) > 0 {
		err = &authority.Error{Code: authority.CodeInvalid, Detail: "Nothing was created", Fields: wrong}
	} else {
		var ro api.Rollout
		var created bool
		if ro, created, err = h.Cases.CreateRollout(r.Context(), r.who, wanted); err == nil {
			code := "created"
			if !created {
				code = "equal"
			}
			return r.see("/rollouts/"+ro.ID, code)
		}
	}
	problem := authority.ProblemOf(err)
	if problem.Status >= http.StatusInternalServerError {
		return err
	}
	page, err := h.createPage(r, f)
	if err != nil {
		return err
	}
	page.Problem = problem
	return r.page(problem.Status, "create", "New rollout", "", page)
}

func (h *Handler) createPage(r *request, f createForm) (createPage, error) {
	page := createPage{Form: f, Known: api.KnownMetrics()}
	if f.Environment == "" {
		page.Form.Environment = r.who.Environment
	}
	releases, err := h.Cases.Releases(r.Context(), r.who, "")
	if err != nil {
		return page, err
	}
	page.Apps = appsOf(releases)
	slices.SortFunc(releases, func(a, b api.Release) int { return int(b.LastIndex - a.LastIndex) })
	for _, release := range releases {
		if len(page.Releases) < mostOffered && release.Release != "" && (f.App == "" || release.AppID == f.App) && !slices.Contains(page.Releases, release.Release) {
			page.Releases = append(page.Releases, release.Release)
		}
	}
	return page, nil
}

// mostOffered is how many releases are offered.
const mostOffered = 50

// plan is what a policy would do.
type plan struct {
	simulate.Explanation
	// TooLong: the ramp has more candidate runs than are played while somebody waits.
	TooLong bool
	Rows    []planRow
}

type planRow struct {
	Candidate, RolledBack, Interval, After, Promoted, Ends string
}

// Rollouts is how many of each candidate were played.
func (p plan) Rollouts() int64 {
	if len(p.Expected) == 0 {
		return 0
	}
	return p.Expected[0].Rollouts
}

// Gates are those that decide.
func (p plan) Gates() []api.Gate {
	return slices.DeleteFunc(slices.Clone(p.Policy.Gates), func(g api.Gate) bool { return g.On == api.OnWarn })
}

// playedAtOnce is how many rollouts of each candidate are played for a page: a
// tenth of what the command line plays, since the reader waits.
const playedAtOnce = 100

// plan fills in the policy and plays it, one page at a time: playing takes a processor.
func (h *Handler) plan(r *request, wanted api.CreateRollout) (*plan, []api.FieldError, error) {
	known, err := h.known(r, wanted)
	if err != nil {
		return nil, nil, err
	}
	policy, wrong := rollout.NewPolicy(wanted, known.Metrics)
	if len(wrong) > 0 {
		return nil, wrong, nil
	}
	select {
	case h.playing <- struct{}{}:
		defer func() { <-h.playing }()
	case <-r.Context().Done():
		return nil, nil, r.Context().Err()
	}
	e, err := simulate.Explain(policy, known, playedAtOnce, 1, func(float64) bool { return r.Context().Err() == nil && h.draining.Err() == nil })
	p := &plan{Explanation: e, TooLong: err != nil}
	for _, x := range e.Expected {
		p.Rows = append(p.Rows, planRow{
			Candidate: x.Candidate, RolledBack: shareText(x.RolledBack.Rate), Interval: shareText(x.RolledBack.Lo) + " … " + shareText(x.RolledBack.Hi),
			After: median(x.RunsToRollback), Promoted: shareText(x.Promoted.Rate), Ends: median(x.RunsToEnd),
		})
	}
	return p, nil, r.Context().Err()
}

func median(r simulate.Runs) string {
	if r.Median == nil {
		return "–"
	}
	return strconv.FormatInt(*r.Median, 10)
}
