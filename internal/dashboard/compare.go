package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// Comparisons compare two releases on demand.
type Comparisons interface {
	Compare(ctx context.Context, p authority.Principal, r api.CompareRequest) (api.Comparison, error)
}

// mostSuggested is how many releases the form suggests: the newest.
const mostSuggested = 200

// comparePage is the form for a comparison and, once it is asked for, its result.
type comparePage struct {
	Form               compareForm
	Apps, Environments []string
	// Releases are suggested for both fields, newest first.
	Releases []api.Release
	Problem  *api.Problem
	Result   *compareResult
	// Empty is what to do where there are no two releases to compare; nil where there are, or where somebody asks for some.
	Empty *firstRuns
}

// compareForm is what is asked for; its fields are parameters of the address,
// so that a result can be linked.
type compareForm struct{ App, Environment, Baseline, Candidate, Gates, Pair string }

// Pairings are the ways to pair that can be chosen.
func (compareForm) Pairings() []string { return []string{api.PairAuto, api.PairProbe, api.PairNone} }

// Swapped is the address of the comparison the other way round.
func (f compareForm) Swapped() string {
	f.Baseline, f.Candidate = f.Candidate, f.Baseline
	return f.address()
}

func (f compareForm) address() string {
	q := url.Values{}
	for name, value := range map[string]string{"app": f.App, "environment": f.Environment, "baseline": f.Baseline, "candidate": f.Candidate, "gates": f.Gates, "pair": f.Pair} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return "/compare?" + q.Encode()
}

// compareResult is a verdict as the page shows it.
type compareResult struct {
	api.Comparison
	Gates, Signals []gateRow
	// Pairs are the gates with pairs to count.
	Pairs []gateRow
	// Warnings are the checks that are not ok; Passed counts the others.
	Warnings []warning
	Passed   int
}

func (h *Handler) compare(r *request) error {
	releases, err := h.Cases.Releases(r.Context(), r.who, "")
	if err != nil {
		return err
	}
	q := r.URL.Query()
	page := comparePage{Form: compareForm{q.Get("app"), q.Get("environment"), q.Get("baseline"), q.Get("candidate"), q.Get("gates"), cmp.Or(q.Get("pair"), api.PairAuto)}}
	asked := q.Has("baseline") || q.Has("candidate")
	if !asked && page.Form.App == "" && !canCompare(releases) {
		if page.Empty, err = runsFor(r, releases); err != nil {
			return err
		}
		return r.page(http.StatusOK, "compare", "Compare", "", page)
	}
	page.suggest(releases, asked, r.who.Environment)
	status := http.StatusOK
	if asked {
		if status, err = h.compareAsked(r, &page); err != nil {
			return err
		}
	}
	return r.page(status, "compare", "Compare", "", page)
}

// compareAsked fills in the result, or what is wrong with the question.
func (h *Handler) compareAsked(r *request, page *comparePage) (status int, err error) {
	f := page.Form
	gates, faults := parseGates(f.Gates)
	if len(faults) > 0 {
		err = &authority.Error{Code: authority.CodeInvalid, Detail: faults[0].Detail, Fields: faults}
	} else {
		var c api.Comparison
		c, err = h.Cases.Compare(r.Context(), r.who, api.CompareRequest{
			AppID: f.App, Environment: f.Environment, Baseline: f.Baseline, Candidate: f.Candidate, Gates: gates, Pair: f.Pair,
		})
		page.Result = resultOf(c)
	}
	if err == nil {
		return http.StatusOK, nil
	}
	page.Result = nil
	if authority.CodeOf(err) != authority.CodeInvalid {
		return 0, err
	}
	page.Problem = formProblem(err)
	return page.Problem.Status, nil
}

// formProblem is a problem above the form that it is about; what its detail says is not said twice.
func formProblem(err error) *api.Problem {
	p := *authority.ProblemOf(err)
	if len(p.Errors) == 1 && p.Errors[0].Detail == p.Detail {
		p.Errors = nil
	}
	return &p
}

// mostGates is how many gates a comparison takes here; each mean is resampled.
const mostGates = 32

// parseGates reads one gate a line, each once.
func parseGates(text string) (gates []api.Gate, faults []api.FieldError) {
	bad := func(format string, args ...any) {
		faults = append(faults, api.FieldError{Pointer: "/gates", Detail: fmt.Sprintf(format, args...)})
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		g, err := api.ParseGate(line)
		same := func(o api.Gate) bool { return o.ID() == g.ID() }
		switch {
		case err != nil:
			bad("%v", err)
		case slices.ContainsFunc(gates, same):
			bad("%s is named twice; leave one of them out", g.ID())
		default:
			gates = append(gates, g)
		}
	}
	if len(gates) > mostGates {
		bad("%d gates; the most is %d", len(gates), mostGates)
	}
	return gates, faults
}

func resultOf(c api.Comparison) *compareResult {
	out := &compareResult{Comparison: c, Gates: gateRows(c.Verdict.Gates), Signals: gateRows(c.Verdict.Signals), Warnings: checkWarnings(c.Verdict.Checks)}
	out.Passed = len(c.Verdict.Checks) - len(out.Warnings)
	if len(out.Gates) == 1 { // the verdict's own reason says it
		out.Gates[0].Reason = ""
	}
	for _, g := range slices.Concat(out.Gates, out.Signals) {
		if g.Pairs != nil {
			out.Pairs = append(out.Pairs, g)
		}
	}
	return out
}

// canCompare reports whether some app has two releases in one environment.
func canCompare(releases []api.Release) bool {
	for _, r := range releases {
		if r.Release != "" && releaseBefore(r, releases) != "" {
			return true
		}
	}
	return false
}

// releaseBefore is the release that was seen first next before r, of the same app and environment; "" if r is the first.
func releaseBefore(r api.Release, releases []api.Release) string {
	found := api.Release{FirstIndex: -1}
	for _, o := range releases {
		if o.AppID == r.AppID && o.Environment == r.Environment && o.Release != "" && o.Release != r.Release && o.FirstIndex < r.FirstIndex && o.FirstIndex > found.FirstIndex {
			found = o
		}
	}
	return found.Release
}

// newestFirst sorts releases by when they were first seen.
func newestFirst(releases []api.Release) []api.Release {
	return slices.SortedFunc(slices.Values(releases), func(a, b api.Release) int { return cmp.Compare(b.FirstIndex, a.FirstIndex) })
}

// suggest fills what the form offers. Where nothing was asked for yet, it
// proposes the newest release and the one before it.
func (p *comparePage) suggest(releases []api.Release, asked bool, limited string) {
	f := &p.Form
	newest := newestFirst(releases)
	if !asked {
		for _, r := range newest {
			if r.Release == "" || f.App != "" && r.AppID != f.App || f.Environment != "" && r.Environment != f.Environment || releaseBefore(r, releases) == "" {
				continue
			}
			f.App, f.Environment, f.Candidate, f.Baseline = r.AppID, r.Environment, r.Release, releaseBefore(r, releases)
			break
		}
	}
	f.Environment = cmp.Or(f.Environment, limited, api.DefaultEnvironment)
	p.Apps = appsOf(releases)
	if f.App != "" && !slices.Contains(p.Apps, f.App) {
		p.Apps = append(p.Apps, f.App)
	}
	p.Environments = environmentsOf(releases, f.Environment)
	seen := map[string]bool{}
	for _, r := range newest {
		if r.Release == "" || seen[r.Release] || r.AppID != f.App || r.Environment != f.Environment || len(p.Releases) == mostSuggested {
			continue
		}
		seen[r.Release] = true
		p.Releases = append(p.Releases, r)
	}
}

// environmentsOf are those seen, and one more.
func environmentsOf(releases []api.Release, also string) []string {
	names := []string{also}
	for _, r := range releases {
		names = append(names, r.Environment)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
