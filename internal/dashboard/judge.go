package dashboard

import (
	"cmp"
	"net/http"
	"net/url"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// pageOfJudgments is how many judgments stand on a page.
const pageOfJudgments = 25

// judgePage is what judges said of two releases.
type judgePage struct {
	Sentence string
	Choice   judgeChoice
	// Refused is why what was asked for was not done.
	Refused attempted
	// Of are the releases that are looked at; nil where none are chosen, or cannot be read.
	Of        *judgedReleases
	Judges    []judgeCard
	Judgments []judgmentRow
	// Older is the next page of judgments, Newest whether this is the first.
	Older  string
	Newest bool
	Asking judgeAsking
	// Live is where the page is had again while a job runs; empty otherwise.
	Live string
	// MayAudit is whether receipts may be read.
	MayAudit bool
	First    *firstCommands
}

// judgeChoice is the form that chooses what is looked at.
type judgeChoice struct {
	// Rollouts are those that require the judge, newest first.
	Rollouts []api.Rollout
	Asked    authority.Judged
	Apps     []string
	Releases []string
}

// judgedReleases are two releases of an app, and their rollout if it was named.
type judgedReleases struct {
	AppID, Environment, Baseline, Candidate string
	Rollout                                 *api.Rollout
}

func (h *Handler) judge(r *request) error {
	return h.showJudge(r, http.StatusOK, askedOf(r), attempted{})
}

func (h *Handler) judgeLive(r *request) error {
	page, err := h.judgePage(r, askedOf(r))
	if err != nil {
		return err
	}
	return r.part("judge", page)
}

// askedOf is what the address asks for.
func askedOf(r *request) authority.Judged {
	if id := r.Query("rollout"); id != "" {
		return authority.Judged{RolloutID: id}
	}
	q := authority.Judged{AppID: r.Query("app"), Environment: r.Query("environment"), Baseline: r.Query("baseline"), Candidate: r.Query("candidate")}
	if q != (authority.Judged{}) && q.Environment == "" {
		q.Environment = cmp.Or(r.who.Environment, api.DefaultEnvironment)
	}
	return q
}

func (h *Handler) showJudge(r *request, status int, asked authority.Judged, refused attempted) error {
	page, err := h.judgePage(r, asked)
	if err != nil {
		return err
	}
	if refused.Problem != nil {
		page.Refused = refused
	} else if page.Refused.Problem != nil {
		status = page.Refused.Status
	}
	return r.page(status, "judge", "Judge", "live.js", page)
}

func (h *Handler) judgePage(r *request, asked authority.Judged) (judgePage, error) {
	page := judgePage{Newest: r.Query("before") == "", MayAudit: r.who.May(api.AuditRead)}
	var err error
	if page.Choice, err = h.judgeChoice(r, asked); err != nil {
		return page, err
	}
	asked = page.Choice.Asked
	if asked == (authority.Judged{}) {
		return h.firstJudge(r, page)
	}
	list, err := h.Cases.Judgments(r.Context(), r.who, asked, r.Query("before"), pageOfJudgments)
	if a, ok := refusal(err); err != nil && ok {
		page.Refused = a
		page.Sentence = "Choose a rollout, or an app and two of its releases."
		return page, nil
	}
	if err != nil {
		return page, err
	}
	if page.Of, err = h.judgedReleases(r, asked); err != nil {
		return page, err
	}
	for _, j := range list.Judges {
		page.Judges = append(page.Judges, judgeCardOf(j))
	}
	if page.Judgments, err = h.judgmentRows(r, list.Judgments); err != nil {
		return page, err
	}
	if list.NextCursor != "" {
		q := queryOf(asked)
		q.Set("before", list.NextCursor)
		page.Older = "/judge?" + q.Encode()
	}
	page.Sentence = judgeSentence(page.Judges)
	if len(page.Judges) == 1 { // it is said already
		page.Judges[0].Sentence = ""
	}
	page.Asking, err = h.judgeAsking(r, page.Of)
	if page.Asking.Running() {
		page.Live = "/judge/live?" + queryOf(asked).Encode()
	}
	return page, err
}

// judgeChoice reads what there is to choose from. Where nothing is asked for,
// the newest rollout that requires the judge is.
func (h *Handler) judgeChoice(r *request, asked authority.Judged) (judgeChoice, error) {
	c := judgeChoice{Asked: asked}
	rollouts, err := h.Cases.Rollouts(r.Context(), r.who, authority.RolloutFilter{}, "", mostUnderWay)
	if err != nil {
		return c, err
	}
	for _, ro := range rollouts.Items {
		if ro.Policy.RequirePairwise {
			c.Rollouts = append(c.Rollouts, ro)
		}
	}
	if asked == (authority.Judged{}) && len(c.Rollouts) > 0 {
		c.Asked.RolloutID = c.Rollouts[0].ID
	}
	releases, err := h.Cases.Releases(r.Context(), r.who, "")
	if err != nil {
		return c, err
	}
	c.Apps = appsOf(releases)
	seen := map[string]bool{"": true}
	for _, release := range releases {
		if !seen[release.Release] {
			seen[release.Release] = true
			c.Releases = append(c.Releases, release.Release)
		}
	}
	return c, nil
}

// firstJudge is the page where nothing can be shown: what to run.
func (h *Handler) firstJudge(r *request, page judgePage) (judgePage, error) {
	releases, err := h.Cases.Releases(r.Context(), r.who, "")
	page.Sentence = "No rollout asks for a judge yet."
	page.First = commandsFor(r, releases)
	return page, err
}

func (h *Handler) judgedReleases(r *request, asked authority.Judged) (*judgedReleases, error) {
	if asked.RolloutID == "" {
		return &judgedReleases{AppID: asked.AppID, Environment: asked.Environment, Baseline: asked.Baseline, Candidate: asked.Candidate}, nil
	}
	ro, err := h.Cases.Rollout(r.Context(), r.who, asked.RolloutID)
	return &judgedReleases{AppID: ro.AppID, Environment: ro.Environment, Baseline: ro.BaselineRelease, Candidate: ro.CandidateRelease, Rollout: &ro}, err
}

// queryOf is the address of what is looked at.
func queryOf(asked authority.Judged) url.Values {
	q := url.Values{}
	for name, value := range map[string]string{
		"rollout": asked.RolloutID, "app": asked.AppID, "environment": asked.Environment, "baseline": asked.Baseline, "candidate": asked.Candidate,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// judgeSentence says what the judge, or the judges, found.
func judgeSentence(judges []judgeCard) string {
	switch len(judges) {
	case 0:
		return "Nobody has judged these two releases yet."
	case 1:
		return judges[0].Sentence
	}
	return plural(int64(len(judges)), "judge") + " have judged these two releases; their verdicts are never added up."
}
