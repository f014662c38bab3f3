package authority

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cobound/prova/api"
)

// How a judging job is kept.
const (
	// jobSaved is how often a job that runs is saved at most.
	jobSaved = time.Second
	// jobSilent is how old the last save of a job may be that is still running; an older one was interrupted.
	jobSilent = 2 * time.Minute
	// jobsWaiting bounds the jobs that wait for the one that runs.
	jobsWaiting = 16
	// pairsPage is how many pairs a job reads at once.
	pairsPage = 50
)

// judging is a job that waits for its turn.
type judging struct {
	principal Principal
	job       api.JudgeJob
	bounds    api.StartJudging
}

// StartJudging has the server's judge judge the pairs of a rollout. The job is
// begun by [Authority.JudgeLoop]; one that is under way for the rollout is answered with.
//
// What a job has judged is recorded as it goes: after a crash, begin it again,
// and it asks about what is left.
func (a *Authority) StartJudging(ctx context.Context, p Principal, rolloutID string, bounds api.StartJudging) (api.JudgeJob, error) {
	if err := p.need(api.JudgeWrite); err != nil {
		return api.JudgeJob{}, err
	}
	if a.Judger == nil {
		return api.JudgeJob{}, fail(CodeConflict, "this server has no judge: start it with PROVA_JUDGE_URL and PROVA_JUDGE_MODEL, or judge from elsewhere with prova judge run --rollout %s", rolloutID)
	}
	if n := bounds.MaxCalls; n != nil && *n < 1 {
		return api.JudgeJob{}, invalid("/max_calls", "max_calls is a whole number from 1 on; got %d", *n)
	}
	if c := bounds.MaxCostUSD; c != nil && !(*c > 0) {
		return api.JudgeJob{}, invalid("/max_cost_usd", "max_cost_usd is more than 0; got %v", *c)
	}
	now := a.now()
	job := api.JudgeJob{ID: a.newID("job_", now), RolloutID: rolloutID, State: api.JobRunning, Judge: a.Judger.Judge(), CreatedAt: stamp(now), UpdatedAt: stamp(now)}
	begun := false
	err := a.Store.Update(ctx, p.Org, func(tx Tx) error {
		begun = false
		if _, err := tx.LockHead(); err != nil { // two that begin at once begin one job
			return err
		}
		record, err := tx.Rollout(rolloutID)
		if err == nil && !p.sees(record.Environment) {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		last, err := tx.JudgeJobs(rolloutID, 1)
		if err != nil {
			return err
		}
		if len(last) > 0 {
			before, err := a.openJob(last[0])
			if err != nil {
				return err
			}
			if before.State == api.JobRunning {
				job = before
				return nil
			}
		}
		begun = true
		return saveJob(tx, job)
	})
	if err != nil || !begun {
		return job, storeError("rollout", err)
	}
	select {
	case a.judgings <- judging{p, job, bounds}:
		return job, nil
	default:
	}
	job.State, job.Detail = api.JobFailed, fmt.Sprintf("%d jobs wait already; try again when some are done", jobsWaiting)
	a.keepJob(ctx, p, job)
	return job, fail(CodeUnavailable, "%s", job.Detail)
}

// JudgeJob reads a judging job.
func (a *Authority) JudgeJob(ctx context.Context, p Principal, id string) (api.JudgeJob, error) {
	if err := p.need(api.JudgeWrite); err != nil {
		return api.JudgeJob{}, err
	}
	var job api.JudgeJob
	err := a.Store.View(ctx, p.Org, func(s Snapshot) error {
		record, err := s.JudgeJob(id)
		if err != nil {
			return err
		}
		r, err := s.Rollout(record.RolloutID)
		if err != nil {
			return err
		}
		if !p.sees(r.Environment) {
			return ErrNotFound
		}
		job, err = a.openJob(record)
		return err
	})
	return job, storeError("judging job", err)
}

// openJob reads a job. One that says that it is running and has not moved was interrupted.
func (a *Authority) openJob(record JobRecord) (api.JudgeJob, error) {
	var job api.JudgeJob
	if err := json.Unmarshal(record.Doc, &job); err != nil {
		return job, fmt.Errorf("judging job %s: %w", record.ID, err)
	}
	updated, err := time.Parse(time.RFC3339Nano, job.UpdatedAt)
	if job.State == api.JobRunning && (err != nil || a.now().Sub(updated) > jobSilent) {
		job.State, job.Detail = api.JobInterrupted, "the server that ran it has stopped; begin it again, and it goes on where it was"
	}
	return job, nil
}

func saveJob(tx Tx, job api.JudgeJob) error {
	doc, err := json.Marshal(job)
	if err != nil {
		return err
	}
	return tx.SaveJudgeJob(JobRecord{ID: job.ID, RolloutID: job.RolloutID, Doc: doc})
}

// keepJob saves a job as it stands. That it could not is logged: the judgments are what counts.
func (a *Authority) keepJob(ctx context.Context, p Principal, job api.JudgeJob) api.JudgeJob {
	job.UpdatedAt = stamp(a.now())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := a.Store.Update(ctx, p.Org, func(tx Tx) error { return saveJob(tx, job) }); err != nil {
		a.Log.Error("a judging job could not be saved", "org", p.Org, "job", job.ID, "error", err)
	}
	return job
}

// JudgeLoop runs judging jobs, one after the other, until ctx ends.
func (a *Authority) JudgeLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-a.judgings:
			a.runJob(ctx, j)
		}
	}
}

func (a *Authority) runJob(ctx context.Context, j judging) {
	job := a.keepJob(ctx, j.principal, j.job)
	saved := a.now()
	source := jobSource{a, j.principal, j.job}
	alive, stop := context.WithCancel(ctx)
	defer stop()
	err := a.Judger.Run(alive, source, j.bounds, func(now api.JudgeJob) {
		now.ID, now.RolloutID, now.Judge, now.State, now.CreatedAt = job.ID, job.RolloutID, job.Judge, api.JobRunning, job.CreatedAt
		if job = now; a.now().Sub(saved) >= jobSaved {
			saved = a.now()
			job = a.keepJob(ctx, j.principal, job)
		}
	})
	switch {
	case err == nil:
		job.State = api.JobDone
	case ctx.Err() != nil:
		job.State, job.Detail = api.JobInterrupted, "the server was stopped; begin it again, and it goes on where it was"
	default:
		job.State, job.Detail = api.JobFailed, err.Error()
		if refused, ok := errors.AsType[*Error](err); ok {
			job.Detail = refused.Detail
		}
	}
	a.keepJob(ctx, j.principal, job)
}

// jobSource gives a job the pairs of its rollout and takes its judgments.
type jobSource struct {
	a         *Authority
	principal Principal
	job       api.JudgeJob
}

// Pairs reads a page of pairs.
func (s jobSource) Pairs(ctx context.Context, cursor string) (api.PairList, error) {
	return s.a.Pairs(ctx, s.principal, Judged{RolloutID: s.job.RolloutID}, s.job.Judge, cursor, pairsPage)
}

// Record keeps judgments. One whose idempotency key is taken was recorded before, by a run that got no answer.
func (s jobSource) Record(ctx context.Context, judgments []api.Judgment) error {
	batch := make([]JudgmentSubmission, len(judgments))
	for i, j := range judgments {
		batch[i].Judgment = j
	}
	results, err := s.a.RecordJudgments(ctx, s.principal, batch)
	for _, r := range results {
		if err == nil && r.Problem != nil && r.Problem.Status != http.StatusConflict {
			err = *r.Problem
		}
	}
	return err
}
