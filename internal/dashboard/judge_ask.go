package dashboard

import (
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// judgeAsking is the part of the page that has the server's judge judge pairs.
type judgeAsking struct {
	// May is whether the reader may ask, and Judge whom; empty if the server has no judge.
	May   bool
	Judge string
	// Rollout is whose pairs are judged; empty where the page shows no rollout.
	Rollout string
	// Job is the newest job of the rollout; nil before the first.
	Job *jobRow
	// MaxCalls and MaxCost are the bounds as they were typed.
	MaxCalls, MaxCost string
}

// jobRow is a judging job as it is shown.
type jobRow struct {
	api.JudgeJob
	Says     string
	Unpaired string
}

// Running is whether a job is under way.
func (a judgeAsking) Running() bool { return a.Job != nil && a.Job.State == api.JobRunning }

func (h *Handler) judgeAsking(r *request, of *judgedReleases) (judgeAsking, error) {
	a := judgeAsking{May: r.who.May(api.JudgeWrite), MaxCalls: r.PostForm.Get("max_calls"), MaxCost: r.PostForm.Get("max_cost_usd")}
	if judge, ok := h.Cases.ServerJudge(); ok {
		a.Judge = judge.String()
	}
	if of == nil || of.Rollout == nil {
		return a, nil
	}
	a.Rollout = of.Rollout.ID
	if !a.May {
		return a, nil
	}
	job, err := h.Cases.LastJudgeJob(r.Context(), r.who, a.Rollout)
	if err != nil || job == nil {
		return a, err
	}
	a.Job = &jobRow{JudgeJob: *job, Says: jobSays(*job), Unpaired: unpairedSays(job.Unpaired)}
	return a, nil
}

// jobSays is how far a job is, in a line.
func jobSays(j api.JudgeJob) string {
	if j.Pairs == 0 && j.State == api.JobRunning {
		return "It has read no pair yet."
	}
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	says := count(j.Judged) + " of " + plural(j.Pairs, "pair") + " judged, " + count(j.Recorded) + " by this job"
	if j.NoVerdict > 0 {
		says += ", " + count(j.NoVerdict) + " of them without a verdict"
	}
	says += "; " + plural(j.Calls, "call") + ", " + plural(j.Cached, "answer") + " from before"
	if j.CostUSD > 0 {
		says += ", $" + strconv.FormatFloat(j.CostUSD, 'f', 4, 64)
	}
	return says + "."
}

// unpairedSays tells of how many probes no pair could be made, and why; empty if of none.
func unpairedSays(u api.Unpaired) string {
	var parts []string
	for _, p := range []struct {
		n   int64
		why string
	}{
		{u.BaselineOnly, "ran on the baseline only"},
		{u.CandidateOnly, "ran on the candidate only"},
		{u.NoOutput, "have no payload.output"},
		{u.InputsDiffer, "were given different inputs"},
	} {
		if p.n > 0 {
			parts = append(parts, strconv.FormatInt(p.n, 10)+" "+p.why)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "Probes without a pair: " + strings.Join(parts, ", ") + "."
}

// startJudging begins a job of the server's judge for a rollout.
func (h *Handler) startJudging(r *request) error {
	id := r.PostForm.Get("rollout")
	err := invalid("/rollout", "say which rollout's pairs are to be judged")
	if id != "" {
		var bounds api.StartJudging
		if bounds, err = boundsOf(r.PostForm); err == nil {
			_, err = h.Cases.StartJudging(r.Context(), r.who, id, bounds)
		}
	}
	if a, ok := refusal(err); err != nil && ok && r.who.May(api.ReleaseRead) {
		return h.showJudge(r, a.Status, authority.Judged{RolloutID: id}, a)
	}
	if err != nil {
		return err
	}
	http.Redirect(r.out, r.Request, "/judge?"+url.Values{"rollout": {id}, "done": {"judging"}}.Encode(), http.StatusSeeOther)
	return nil
}

// boundsOf reads the bounds of a job; empty fields set none.
func boundsOf(form url.Values) (api.StartJudging, error) {
	var b api.StartJudging
	if text := strings.TrimSpace(form.Get("max_calls")); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return b, invalid("/max_calls", "the most calls are a whole number from 1 on, or empty for no bound")
		}
		b.MaxCalls = &n
	}
	if text := strings.TrimSpace(form.Get("max_cost_usd")); text != "" {
		c, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(c, 0) || math.IsNaN(c) {
			return b, invalid("/max_cost_usd", "the most cost is a number of dollars above 0, such as 2.50, or empty for no bound")
		}
		b.MaxCostUSD = &c
	}
	return b, nil
}
