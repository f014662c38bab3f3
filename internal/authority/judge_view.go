package authority

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/cobound/prova/api"
)

// ServerJudge names the server's own judge; ok is false if it has none.
func (a *Authority) ServerJudge() (judge api.Judge, ok bool) {
	if a.Judger == nil {
		return api.Judge{}, false
	}
	return a.Judger.Judge(), true
}

// LastJudgeJob reads the newest judging job of a rollout; nil before the first.
func (a *Authority) LastJudgeJob(ctx context.Context, p Principal, rolloutID string) (*api.JudgeJob, error) {
	if err := p.need(api.JudgeWrite); err != nil {
		return nil, err
	}
	var out *api.JudgeJob
	err := a.Store.View(ctx, p.Org, func(s Snapshot) error {
		out = nil
		r, err := s.Rollout(rolloutID)
		if err != nil {
			return err
		}
		if !p.sees(r.Environment) {
			return ErrNotFound
		}
		jobs, err := s.JudgeJobs(rolloutID, 1)
		if err != nil || len(jobs) == 0 {
			return err
		}
		job, err := a.openJob(jobs[0])
		out = &job
		return err
	})
	return out, storeError("rollout", err)
}

// Outputs are what runs answered, by their event ids. What is not in the log,
// has no payload.output, was erased, or is of an environment that the key may
// not see, is left out.
func (a *Authority) Outputs(ctx context.Context, p Principal, eventIDs []string) (map[string]json.RawMessage, error) {
	if err := p.need(api.JudgeWrite); err != nil {
		return nil, err
	}
	out := map[string]json.RawMessage{}
	err := a.Store.View(ctx, p.Org, func(s Snapshot) error {
		clear(out)
		for _, id := range eventIDs {
			e, err := s.Entry(id)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if e.Kind != api.KindAgentRun || !p.sees(e.Environment) {
				continue
			}
			side, _, err := pairRun(s, e.Index)
			if err != nil {
				return err
			}
			if side.Output != nil {
				out[id] = side.Output
			}
		}
		return nil
	})
	return out, storeError("run", err)
}
