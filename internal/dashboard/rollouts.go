package dashboard

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// The most that the list shows: of those under way all, which are few, and of those that ended a page.
const (
	mostUnderWay = 200
	pageOfEnded  = 25
)

// rolloutListPage is the list of rollouts in three parts, what needs a look first.
type rolloutListPage struct {
	Groups []rolloutGroup
	Filter rolloutFilter
	Apps   []string
	// Live is where the same is had again; Older the next page of those that ended.
	Live, Older string
	MayManage   bool
	// Empty is what to do where there is no rollout at all; nil where there is one, or a filter.
	Empty *firstCommands
}

type rolloutGroup struct {
	Title string
	Rows  []rolloutRow
}

// rolloutRow is a rollout in a line.
type rolloutRow struct {
	api.Rollout
	// Sentence says what was decided last, or that nothing was.
	Sentence string
	// Why is what is to be looked at; empty for nothing.
	Why    string
	Ramp   ramp
	Weight string
	Latest moment
}

// rolloutFilter is what the form above the list asks for; empty members ask for nothing.
type rolloutFilter struct{ App, State, Mode string }

func (f rolloutFilter) any() bool { return f != rolloutFilter{} }

func (f rolloutFilter) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"app": f.App, "state": f.State, "mode": f.Mode} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// States are those to choose from.
func (rolloutFilter) States() []api.State {
	return []api.State{api.StateActive, api.StatePaused, api.StatePromoted, api.StateRolledBack, api.StateAborted}
}

// Modes are those to choose from.
func (rolloutFilter) Modes() []api.Mode { return []api.Mode{api.ModeShadow, api.ModeCanary} }

func (h *Handler) rolloutList(r *request) error {
	page, err := h.rolloutListPage(r)
	if err != nil {
		return err
	}
	return r.page(http.StatusOK, "rollouts", "Rollouts", "live.js", page)
}

func (h *Handler) rolloutListLive(r *request) error {
	page, err := h.rolloutListPage(r)
	if err != nil {
		return err
	}
	return r.part("rollouts", page)
}

func (h *Handler) rolloutListPage(r *request) (rolloutListPage, error) {
	f := rolloutFilter{App: r.Query("app"), State: r.Query("state"), Mode: r.Query("mode")}
	page := rolloutListPage{Filter: f, Live: "/rollouts/live?" + f.query().Encode(), MayManage: r.who.May(api.RolloutManage)}
	under, ended, next, err := h.findRollouts(r, f)
	if err != nil {
		return page, err
	}
	releases, err := h.Cases.Releases(r.Context(), r.who, "")
	if err != nil {
		return page, err
	}
	page.Apps = appsOf(releases)
	page.Groups = h.group(under, ended)
	if next != "" {
		q := f.query()
		q.Set("before", next)
		page.Older = "/rollouts?" + q.Encode()
	}
	if len(page.Groups) == 0 && !f.any() && r.Query("before") == "" {
		page.Empty = commandsFor(r, releases)
	}
	return page, nil
}

// findRollouts reads those under way, and a page of those that ended.
func (h *Handler) findRollouts(r *request, f rolloutFilter) (under, ended []api.Rollout, next string, err error) {
	filter := authority.RolloutFilter{AppID: f.App, Mode: api.Mode(f.Mode)}
	before := r.Query("before")
	var finished, unfinished []api.State
	for _, s := range f.States() {
		switch {
		case f.State != "" && f.State != string(s):
		case s.Finished():
			finished = append(finished, s)
		default:
			unfinished = append(unfinished, s)
		}
	}
	if len(unfinished) > 0 && before == "" {
		filter.States = unfinished
		list, err := h.Cases.Rollouts(r.Context(), r.who, filter, "", mostUnderWay)
		if err != nil {
			return nil, nil, "", err
		}
		under = list.Items
	}
	if len(finished) > 0 {
		filter.States = finished
		list, err := h.Cases.Rollouts(r.Context(), r.who, filter, before, pageOfEnded)
		if err != nil {
			return nil, nil, "", err
		}
		ended, next = list.Items, list.NextCursor
	}
	return under, ended, next, nil
}

// group sorts rollouts into what needs a look, what is under way and what ended, each by its last news.
func (h *Handler) group(under, ended []api.Rollout) []rolloutGroup {
	groups := []rolloutGroup{{Title: "Needs a look"}, {Title: "Under way"}, {Title: "Ended"}}
	for _, r := range slices.Concat(under, ended) {
		row := h.rolloutRow(r)
		at := 0
		switch {
		case row.Why != "":
		case r.State.Finished():
			at = 2
		default:
			at = 1
		}
		groups[at].Rows = append(groups[at].Rows, row)
	}
	for _, g := range groups {
		slices.SortStableFunc(g.Rows, func(a, b rolloutRow) int {
			return cmp.Or(b.Latest.At.Compare(a.Latest.At), cmp.Compare(b.ID, a.ID))
		})
	}
	return slices.DeleteFunc(groups, func(g rolloutGroup) bool { return len(g.Rows) == 0 })
}

func (h *Handler) rolloutRow(r api.Rollout) rolloutRow {
	row := rolloutRow{Rollout: r, Sentence: "Nobody has ticked this rollout yet.", Ramp: rampOf(r), Weight: weightOf(r), Latest: h.moment(r.CreatedAt), Why: why(r, h.Now())}
	if d := r.LastDecision; d != nil {
		row.Sentence, row.Latest = d.Reason.Text, h.moment(d.RecordedAt)
	}
	return row
}

// What is long for a rollout under way: without a first tick, and without a decision of another sort.
const (
	longUnticked = 15 * time.Minute
	longSilent   = 48 * time.Hour
	// freshEnd is how long a rollback stays in sight.
	freshEnd = 24 * time.Hour
)

// why says what of a rollout needs a look; empty if nothing does.
func why(r api.Rollout, now time.Time) string {
	d := r.LastDecision
	switch {
	case r.State == api.StateRolledBack && d != nil && now.Sub(d.RecordedAt) < freshEnd:
		return "rolled back"
	case r.State.Finished():
		return ""
	case r.State == api.StatePaused:
		return "paused"
	case d == nil && now.Sub(r.CreatedAt) > longUnticked:
		return "not ticked yet"
	case d == nil:
		return ""
	}
	for _, g := range d.Gates {
		if g.Verdict == api.Regressed {
			return "regressed"
		}
	}
	for _, c := range d.Checks {
		if c.Status != api.CheckOK {
			return "warning"
		}
	}
	switch {
	case d.Reason.Code == "pairwise_unavailable":
		return "judgments missing"
	case now.Sub(d.RecordedAt) > longSilent:
		return "no news"
	}
	return ""
}

func appsOf(releases []api.Release) []string {
	var apps []string
	for _, r := range releases {
		apps = append(apps, r.AppID)
	}
	slices.Sort(apps)
	return slices.Compact(apps)
}
