package authority

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/cobound/prova/api"
)

// Rollouts lists rollouts, newest first. It never ticks.
func (a *Authority) Rollouts(ctx context.Context, p Principal, f RolloutFilter, cursor string, limit int) (api.List[api.Rollout], error) {
	var none api.List[api.Rollout]
	if err := p.need(api.ReleaseRead); err != nil {
		return none, err
	}
	if p.Environment != "" {
		if f.Environment != "" && f.Environment != p.Environment {
			return none, fail(CodeForbidden, "this key is limited to the environment %q", p.Environment)
		}
		f.Environment = p.Environment
	}
	var err error
	if f.BeforeID, err = cursorText(cursor); err != nil {
		return none, err
	}
	var items []api.Rollout
	err = a.Store.View(ctx, p.Org, func(s Snapshot) error {
		records, err := s.Rollouts(f, limit+1)
		if err != nil {
			return err
		}
		for _, r := range records {
			d, err := open(r)
			if err != nil {
				return err
			}
			items = append(items, d.view())
		}
		return nil
	})
	if err != nil {
		return none, storeError("rollout", err)
	}
	return page(items, limit, func(r api.Rollout) string { return r.ID }), nil
}

// Rollout reads one rollout. It never ticks.
func (a *Authority) Rollout(ctx context.Context, p Principal, id string) (api.Rollout, error) {
	if err := p.need(api.ReleaseRead); err != nil {
		return api.Rollout{}, err
	}
	s, err := a.rollout(ctx, p, id)
	if err != nil {
		return api.Rollout{}, err
	}
	return s.view(), nil
}

func (a *Authority) rollout(ctx context.Context, p Principal, id string) (stored, error) {
	var out stored
	err := a.Store.View(ctx, p.Org, func(s Snapshot) error {
		record, err := s.Rollout(id)
		if err != nil {
			return err
		}
		if !p.sees(record.Environment) {
			return ErrNotFound
		}
		out, err = open(record)
		return err
	})
	return out, storeError("rollout", err)
}

// lookAgain is how often a waiting reader looks for a change that another server made.
const lookAgain = time.Second

// WaitRollout returns when the rollout's sequence is above since, or when the time is over.
func (a *Authority) WaitRollout(ctx context.Context, p Principal, id string, since int64, wait time.Duration) (api.Rollout, error) {
	over := time.NewTimer(wait)
	defer over.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		changed := a.changed.wait() // before reading, so that no change in between is missed
		r, err := a.Rollout(ctx, p, id)
		if err != nil || r.Sequence > since {
			return r, err
		}
		select {
		case <-changed:
		case <-again.C:
		case <-over.C:
			return r, nil
		case <-ctx.Done():
			return r, nil
		}
	}
}

// Decisions lists the time line, oldest first.
func (a *Authority) Decisions(ctx context.Context, p Principal, id, cursor string, limit int) (api.List[api.Decision], error) {
	var none api.List[api.Decision]
	if err := p.need(api.ReleaseRead); err != nil {
		return none, err
	}
	after, err := cursorNumber(cursor)
	if err != nil {
		return none, err
	}
	if _, err := a.rollout(ctx, p, id); err != nil {
		return none, err
	}
	var items []api.Decision
	err = a.Store.View(ctx, p.Org, func(s Snapshot) (err error) {
		items, err = s.Decisions(id, after, limit+1)
		return err
	})
	if err != nil {
		return none, storeError("rollout", err)
	}
	return page(items, limit, func(d api.Decision) string { return strconv.FormatInt(d.Sequence, 10) }), nil
}

// Gate answers CD systems that poll: promote if the authorised weight is above
// weight or the rollout is promoted, rollback if it was rolled back or
// aborted, else hold. It never ticks. A shadow always holds.
func (a *Authority) Gate(ctx context.Context, p Principal, id string, weight int) (api.GateAnswer, error) {
	if err := p.need(api.ReleaseRead); err != nil {
		return api.GateAnswer{}, err
	}
	s, err := a.rollout(ctx, p, id)
	if err != nil {
		return api.GateAnswer{}, err
	}
	r := s.view()
	g := api.GateAnswer{RolloutID: r.ID, Decision: api.Hold, State: r.State, Weight: r.Weight}
	if r.LastDecision != nil {
		g.Reason = r.LastDecision.Reason.Text
	}
	switch {
	case s.shadow():
	case r.State == api.StateRolledBack || r.State == api.StateAborted:
		g.Decision = api.Rollback
	case r.State == api.StatePromoted || *r.Weight > weight:
		g.Decision = api.Promote
	}
	return g, nil
}

// Apps lists the agents that have been seen.
func (a *Authority) Apps(ctx context.Context, p Principal) ([]api.App, error) {
	releases, err := a.Releases(ctx, p, "")
	if err != nil {
		return nil, err
	}
	apps := map[string]*api.App{}
	names := map[[2]string]bool{}
	for _, r := range releases {
		app := apps[r.AppID]
		if app == nil {
			app = &api.App{AppID: r.AppID}
			apps[r.AppID] = app
		}
		if !slices.Contains(app.Environments, r.Environment) {
			app.Environments = append(app.Environments, r.Environment)
		}
		if r.Release != "" && !names[[2]string{r.AppID, r.Release}] {
			names[[2]string{r.AppID, r.Release}] = true
			app.Releases++
		}
		app.Runs += r.Runs
	}
	out := []api.App{}
	for _, name := range slices.Sorted(maps.Keys(apps)) {
		out = append(out, *apps[name])
	}
	return out, nil
}

// Releases lists an app's releases, or all, with the runs and metrics seen of them.
func (a *Authority) Releases(ctx context.Context, p Principal, appID string) ([]api.Release, error) {
	if err := p.need(api.ReleaseRead); err != nil {
		return nil, err
	}
	out := []api.Release{}
	err := a.Store.View(ctx, p.Org, func(s Snapshot) error {
		found, err := s.Releases(appID, p.Environment)
		out = append(out, found...)
		return err
	})
	return out, storeError("app", err)
}
