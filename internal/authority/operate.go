package authority

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
)

// Pause stops a rollout from advancing. It is still ticked and may roll back.
func (a *Authority) Pause(ctx context.Context, p Principal, id, reason string) (api.Rollout, error) {
	return a.operate(ctx, p, id, rollout.ActionPause, reason)
}

// Resume lets a paused rollout advance again.
func (a *Authority) Resume(ctx context.Context, p Principal, id, reason string) (api.Rollout, error) {
	return a.operate(ctx, p, id, rollout.ActionResume, reason)
}

// Abort ends a rollout: weight 0, and in canary mode a rollback webhook.
func (a *Authority) Abort(ctx context.Context, p Principal, id, reason string) (api.Rollout, error) {
	return a.operate(ctx, p, id, rollout.ActionAbort, reason)
}

// PromoteStep overrides the verdict for one step. The receipt says so.
func (a *Authority) PromoteStep(ctx context.Context, p Principal, id, reason string) (api.Rollout, error) {
	return a.operate(ctx, p, id, rollout.ActionPromote, reason)
}

func (a *Authority) operate(ctx context.Context, p Principal, id, action, reason string) (api.Rollout, error) {
	if err := p.need(api.RolloutManage); err != nil {
		return api.Rollout{}, err
	}
	reason = strings.TrimSpace(reason)
	if reason == "" || len(reason) > maxReason || !utf8.ValidString(reason) || strings.ContainsRune(reason, 0) {
		return api.Rollout{}, invalid("/reason", "say why, in 1 to %d bytes of text: the reason stands in the signed receipt", maxReason)
	}
	var first *view
	for range maxCatchUp {
		v, err := a.read(ctx, p, id)
		if err != nil {
			return api.Rollout{}, storeError("rollout", err)
		}
		if first == nil {
			first = &v
		}
		if action == rollout.ActionPromote && v.Transition != first.Transition { // the person meant the step that they saw
			return api.Rollout{}, fail(CodeConflict, "the rollout moved to %d %% while you promoted it; look at it, and promote it again if you still want to", v.Core.Weight())
		}
		next, d, err := v.Core.Operate(action, reason)
		if err != nil {
			return api.Rollout{}, &Error{Code: CodeConflict, Detail: err.Error()}
		}
		done, _, err := a.write(ctx, p, v, next, d)
		if errors.Is(err, ErrVersion) {
			continue
		}
		if err != nil {
			return api.Rollout{}, storeError("rollout", err)
		}
		a.changed.notify()
		a.deliverPending(ctx, p.Org, id)
		return done.view(), nil
	}
	return api.Rollout{}, fail(CodeUnavailable, "the rollout is being changed all the time; try again")
}
