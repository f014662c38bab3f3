package dashboard

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/compare"
)

// ReleaseLists says what was seen of apps.
type ReleaseLists interface {
	Apps(ctx context.Context, p authority.Principal) ([]api.App, error)
	ReleaseFigures(ctx context.Context, p authority.Principal, appID, environment, cursor string, limit int) (api.List[authority.ReleaseFigures], error)
}

const (
	// pageOfReleases is how many releases of an app are shown at once.
	pageOfReleases = 25
	// rolloutsOfApp is how many rollouts of an app, the newest, are looked through for those of its releases.
	rolloutsOfApp = 200
	// rolloutsOfRelease is how many of them are shown beside a release.
	rolloutsOfRelease = 3
)

// appListPage is what apps were seen.
type appListPage struct {
	Apps     []appRow
	Runs     int64
	Releases int
	// Empty is what to send where no run was seen; nil where one was.
	Empty *firstRuns
}

type appRow struct {
	api.App
	Path string
	// Newest is the release that was first seen last; empty where no run carries any.
	Newest string
}

func (h *Handler) appList(r *request) error {
	if r.Query("app") != "" { // an app whose name is no part of a path, or the form of its page
		return h.releasesOf(r, r.Query("app"))
	}
	apps, err := h.Cases.Apps(r.Context(), r.who)
	if err != nil {
		return err
	}
	releases, err := h.Cases.Releases(r.Context(), r.who, "")
	if err != nil {
		return err
	}
	page := appListPage{}
	if len(apps) == 0 {
		if page.Empty, err = runsFor(r, releases); err != nil {
			return err
		}
	}
	newest := newestFirst(releases)
	for _, a := range apps {
		row := appRow{App: a, Path: releasesPath(a.AppID, nil)}
		if i := slices.IndexFunc(newest, func(r api.Release) bool { return r.AppID == a.AppID && r.Release != "" }); i >= 0 {
			row.Newest = newest[i].Release
		}
		page.Apps = append(page.Apps, row)
		page.Runs += a.Runs
		page.Releases += a.Releases
	}
	return r.page(http.StatusOK, "apps", "Releases", "", page)
}

// releasesPath is where the releases of an app are shown. A name that a
// browser would take for a step in the path is asked for by a parameter.
func releasesPath(app string, q url.Values) string {
	path := "/releases/" + url.PathEscape(app)
	if app == "." || app == ".." {
		path = "/releases"
		q = url.Values{"app": {app}, "environment": q["environment"], "before": q["before"]}
	}
	if query := q.Encode(); query != "" {
		path += "?" + query
	}
	return path
}

// releaseListPage is the releases of an app in one environment.
type releaseListPage struct {
	App, Environment string
	Environments     []string
	// Runs and Releases count all of the environment; Unnamed those of Runs that carry no release.
	Runs, Unnamed int64
	Releases      int
	// Rate is the name of the rate that is drawn; empty where none is reported.
	Rate     string
	Axis     rateAxis
	Rows     []releaseRow
	Newer    bool
	Older    string
	Rollouts string
}

// releaseRow is a release in a line.
type releaseRow struct {
	api.Release
	First, Last moment
	Rate        *cohortCell
	Plot        *ratePlot
	// Figures are the other known metrics in words.
	Figures []releaseFigure
	// Before is the release that came before it and Compare the comparison with it; both are empty for the first one.
	Before, Compare string
	Rollouts        []api.Rollout
}

type releaseFigure struct{ Name, Value, Of string }

func (h *Handler) releaseList(r *request) error { return h.releasesOf(r, r.PathValue("app")) }

func (h *Handler) releasesOf(r *request, app string) error {
	releases, err := h.Cases.Releases(r.Context(), r.who, app)
	if err != nil {
		return err
	}
	if len(releases) == 0 {
		return &authority.Error{Code: authority.CodeNotFound, Detail: "no run of an app of this name has been seen; Releases lists those that were"}
	}
	page := releaseListPage{App: app, Environment: environmentFor(r, releases), Newer: r.Query("before") != "", Rollouts: "/rollouts?" + url.Values{"app": {app}}.Encode()}
	page.Environments = environmentsOf(releases, page.Environment)
	for _, s := range releases {
		switch {
		case s.Environment != page.Environment:
			continue
		case s.Release == "":
			page.Unnamed += s.Runs
		default:
			page.Releases++
		}
		page.Runs += s.Runs
	}
	if err := h.fillReleases(r, &page, releases); err != nil {
		return err
	}
	return r.page(http.StatusOK, "releases", "Releases of "+short(app), "live.js", page)
}

// environmentFor is that which is asked for, or which the key is limited to, or the default one if the app was seen there.
func environmentFor(r *request, releases []api.Release) string {
	asked := cmp.Or(r.Query("environment"), r.who.Environment)
	if asked != "" {
		return asked
	}
	if slices.ContainsFunc(releases, func(s api.Release) bool { return s.Environment == api.DefaultEnvironment }) {
		return api.DefaultEnvironment
	}
	return releases[0].Environment
}

func (h *Handler) fillReleases(r *request, page *releaseListPage, all []api.Release) error {
	list, err := h.Cases.ReleaseFigures(r.Context(), r.who, page.App, page.Environment, r.Query("before"), pageOfReleases)
	if err != nil {
		return err
	}
	if list.NextCursor != "" {
		page.Older = releasesPath(page.App, url.Values{"environment": {page.Environment}, "before": {list.NextCursor}})
	}
	rollouts, err := h.Cases.Rollouts(r.Context(), r.who, authority.RolloutFilter{AppID: page.App, Environment: page.Environment}, "", rolloutsOfApp)
	if err != nil {
		return err
	}
	rate, figures := drawnRate(list.Items)
	page.Axis = ratesAxis(figures)
	if rate.Metric != "" {
		page.Rate = nameOf(rate)
	}
	for _, f := range list.Items {
		row := releaseRow{Release: f.Release, First: h.moment(f.FirstSeen), Last: h.moment(f.LastSeen)}
		for _, m := range f.Figures {
			if m.Gate == rate {
				cohort := cellOf(m.Gate, m.Figure)
				if m.Figure.N == f.Runs { // as the column of runs says
					cohort.Runs = ""
				}
				row.Rate, row.Plot = &cohort, page.Axis.plot(page.Rate, m.Figure)
			} else if m.Figure.Value != nil {
				row.Figures = append(row.Figures, releaseFigure{nameOf(m.Gate), compare.FormatValue(m.Gate, *m.Figure.Value), plural(m.Figure.N, "run")})
			}
		}
		if row.Before = releaseBefore(f.Release, all); f.Release.Release != "" && row.Before != "" {
			row.Compare = compareForm{App: page.App, Environment: page.Environment, Baseline: row.Before, Candidate: f.Release.Release}.address()
		}
		for _, ro := range rollouts.Items {
			if ro.CandidateRelease == f.Release.Release && len(row.Rollouts) < rolloutsOfRelease {
				row.Rollouts = append(row.Rollouts, ro)
			}
		}
		page.Rows = append(page.Rows, row)
	}
	return nil
}

// drawnRate is the first known rate that a release has a value of, with the
// figures of all; the zero gate if there is none.
func drawnRate(list []authority.ReleaseFigures) (api.Gate, []api.CohortFigure) {
	var rate api.Gate
	var figures []api.CohortFigure
	for _, known := range api.KnownMetrics() {
		for _, release := range list {
			for _, f := range release.Figures {
				if f.Gate.Metric == known.Metric && f.Gate.Statistic == api.StatisticRate && f.Figure.Value != nil {
					rate = f.Gate
					figures = append(figures, f.Figure)
				}
			}
		}
		if rate.Metric != "" {
			break
		}
	}
	return rate, figures
}

// Unknown are the metrics of a release that no figure is shown of, in words; empty for none.
func (r releaseRow) Unknown() string {
	var names []string
	for _, m := range r.Metrics {
		if _, known := api.KnownMetric(m); !known {
			names = append(names, m)
		}
	}
	const most = 3
	if len(names) > most {
		return strings.Join(names[:most], ", ") + " and " + plural(int64(len(names)-most), "other")
	}
	return strings.Join(names, ", ")
}
