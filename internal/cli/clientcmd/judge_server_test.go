package clientcmd_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/judge"
)

// vault is as much of a server as the judge's commands ask for.
type vault struct {
	mu           sync.Mutex
	pairs        []api.Pair
	unpaired     api.Unpaired
	judgments    []api.Judgment
	calibrations []api.Calibration
	// refuse is a probe whose judgments are refused; status is answered to recordings, if set.
	refuse string
	status int
	// behind: another run judges at the same time, and the pairs are listed as if it did not.
	behind bool
}

func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch r.Method + " " + r.URL.Path {
	case "GET /api/v1/pairs":
		v.listPairs(w, r)
	case "POST /api/v1/judgments":
		v.take(w, r)
	case "GET /api/v1/judgments":
		answer(w, 200, v.list(r.URL.Query().Get("cursor")))
	case "POST /api/v1/judge-calibrations":
		var c api.Calibration
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
			answer(w, 400, api.Problem{Status: 400, Detail: err.Error()})
			return
		}
		c.EventID = "evt_calibration"
		v.calibrations = append(v.calibrations, c)
		answer(w, 201, c)
	default:
		answer(w, 404, api.Problem{Type: api.ProblemBase + "not_found", Status: 404, Detail: "no " + r.URL.Path})
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	if _, ok := body.(api.Problem); ok {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// listPairs answers two pairs on a page.
func (v *vault) listPairs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	by := api.Judge{Model: q.Get("model"), Version: q.Get("version"), Template: q.Get("template")}
	from, _ := strconv.Atoi(q.Get("cursor"))
	to := min(from+2, len(v.pairs))
	list := api.PairList{AppID: "claims-agent", Environment: "production", BaselineRelease: "v36", CandidateRelease: "v37\x1b[2J"}
	for _, p := range v.pairs[from:to] {
		for _, j := range v.judgments {
			p.Judged = p.Judged || !v.behind && j.ProbeID == p.ProbeID && j.Judge == by
		}
		list.Pairs = append(list.Pairs, p)
	}
	if from == 0 {
		list.Unpaired = v.unpaired
	}
	if to < len(v.pairs) {
		list.NextCursor = strconv.Itoa(to)
	}
	answer(w, 200, list)
}

func (v *vault) take(w http.ResponseWriter, r *http.Request) {
	if v.status != 0 {
		answer(w, v.status, api.Problem{Type: api.ProblemBase + "refused", Status: v.status, Detail: "not now"})
		return
	}
	var batch []api.Judgment
	if err := json.NewDecoder(r.Body).Decode(&batch); err != nil {
		answer(w, 400, api.Problem{Status: 400, Detail: err.Error()})
		return
	}
	results := make([]api.IngestResult, len(batch))
	for i, j := range batch {
		results[i] = api.IngestResult{Index: i, Status: api.IngestCreated}
		if j.ProbeID == v.refuse {
			results[i] = api.IngestResult{Index: i, Status: api.IngestRefused, Problem: &api.Problem{Status: 400, Detail: "no such\x1b[2J probe"}}
			continue
		}
		for _, known := range v.judgments {
			if known.IdempotencyKey == j.IdempotencyKey {
				results[i] = api.IngestResult{Index: i, Status: api.IngestRefused, Problem: &api.Problem{Status: 409, Detail: "used before"}}
			}
		}
		if results[i].Status == api.IngestCreated {
			v.judgments = append(v.judgments, j)
		}
	}
	answer(w, 200, api.IngestAnswer{Results: results})
}

// list answers three judgments on a page, newest first.
func (v *vault) list(cursor string) api.JudgmentList {
	var list api.JudgmentList
	order := []api.Judge{}
	figures := map[api.Judge]*api.JudgedFigures{}
	for i, j := range v.judgments {
		if figures[j.Judge] == nil {
			figures[j.Judge] = &api.JudgedFigures{}
			order = append(order, j.Judge)
		}
		figures[j.Judge].Count(j)
		list.Judgments = append([]api.RecordedJudgment{{EventID: fmt.Sprintf("evt_%d", i), RecordedAt: "2026-11-26T17:00:00Z", Judgment: j}}, list.Judgments...)
	}
	for _, by := range order {
		s := api.JudgeSummary{Judge: by, Figures: *figures[by], WinRate: judge.ShareOf(figures[by].Wins, figures[by].Decided())}
		for _, c := range v.calibrations {
			if c.Judge == by {
				s.Calibration = &c
			}
		}
		list.Judges = append(list.Judges, s)
	}
	from, _ := strconv.Atoi(cursor)
	to := min(from+3, len(list.Judgments))
	if to < len(list.Judgments) {
		list.NextCursor = strconv.Itoa(to)
	}
	list.Judgments = list.Judgments[from:to]
	return list
}
