package dashboard

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// Server is what the settings page tells of how the server was started; no secret is among it.
type Server struct {
	// Database is its kind; empty where it is not known, and nothing below is.
	Database string
	// DeliveryLoop is whether due webhooks are sent between ticks too.
	DeliveryLoop bool
	// TickEvery is how often the server ticks by itself; 0 is never.
	TickEvery time.Duration
}

// settingsPage is what this server is.
type settingsPage struct {
	Sentence string
	Server   Server
	// URL is where the reader reached the server.
	URL     string
	Engine  string
	Receipt string
	// Judge is the server's judge; empty if it has none.
	Judge string
	// Log is the origin of the org's log.
	Log    string
	Limits []bound
	// Operator is whether the reader may manage orgs; the members below are empty otherwise.
	Operator bool
	Orgs     []api.Org
	Name     string
	// Refused is why the org was not created, Made the org that just was.
	Refused attempted
	Made    *api.Org
}

type bound struct{ What, Most string }

func (h *Handler) settings(r *request) error {
	return h.showSettings(r, http.StatusOK, settingsPage{})
}

func (h *Handler) showSettings(r *request, status int, page settingsPage) error {
	page.Server, page.URL, page.Engine, page.Receipt, page.Limits = h.Server, r.base(), api.Engine, receipt.Schema, limits()
	page.Sentence = "A rollout moves when it is ticked: " + tickSays(h.Server)
	if judge, ok := h.Cases.ServerJudge(); ok {
		page.Judge = judge.String()
	}
	var err error
	if page.Log, err = h.Cases.LogOrigin(r.Context(), r.who); err != nil {
		return err
	}
	page.Operator = r.who.May(api.OrgManage) && r.who.Org == authority.DefaultOrg && r.who.Environment == ""
	if page.Operator {
		if page.Orgs, err = h.Cases.Orgs(r.Context(), r.who); err != nil {
			return err
		}
		slices.SortFunc(page.Orgs, func(a, b api.Org) int { return strings.Compare(a.Name, b.Name) })
	}
	return r.page(status, "settings", "Settings", "copy.js", page)
}

// tickSays is who ticks here.
func tickSays(s Server) string {
	switch {
	case s.Database == "":
		return "by your CD system, or by the server if it was started with --tick-every."
	case s.TickEvery > 0:
		return "this server ticks every unfinished one each " + s.TickEvery.String() + "."
	}
	return "this server does not tick by itself, so your CD system has to (POST /api/v1/rollouts/evaluate), or start it with --tick-every 30s."
}

func limits() []bound {
	count := func(n int) string { return strconv.Itoa(n) }
	size := func(n int) string {
		if n >= 1<<20 {
			return count(n>>20) + " MiB"
		}
		return count(n>>10) + " KiB"
	}
	return []bound{
		{"a request", size(api.MaxBody)},
		{"one event", size(api.MaxEvent)},
		{"events of a request", count(api.MaxEvents)},
		{"metrics of a run", count(api.MaxMetrics)},
		{"nesting of an event", count(api.MaxDepth)},
		{"a name: an app, a release, a probe", count(api.MaxName) + " bytes"},
		{"a session here", count(int(authority.SessionTime.Hours())) + " hours"},
	}
}

func (h *Handler) createOrg(r *request) error {
	name := r.PostForm.Get("name")
	made, err := h.Cases.CreateOrg(r.Context(), r.who, api.CreateOrg{Name: name})
	if err != nil {
		a, ok := refusal(err)
		if !ok {
			return err
		}
		return h.showSettings(r, a.Status, settingsPage{Refused: a, Name: name})
	}
	return h.showSettings(r, http.StatusCreated, settingsPage{Made: &made})
}

// base is where the reader reached the server.
func (r *request) base() string {
	if r.secure() {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
