package httpapi

import (
	"context"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

func readReason(r *request) string {
	reason := body[api.OperatorRequest](r).Reason
	if r.wrong == nil && strings.TrimSpace(reason) == "" {
		r.note(invalid("/reason", "say why: the reason is signed and stays in the log"))
	}
	return reason
}

func (s *service) addKey(ctx context.Context, who authority.Principal, in api.AddKey) (reply, error) {
	return ok(s.cases.AddKey(ctx, who, in))
}

func (s *service) rotateKey(ctx context.Context, who authority.Principal, reason string) (reply, error) {
	return ok(s.cases.RotateKey(ctx, who, reason))
}

func (s *service) retireKey(ctx context.Context, who authority.Principal, in operatorAction) (reply, error) {
	return ok(s.cases.RetireKey(ctx, who, in.id, in.reason))
}

type revokeKey struct {
	id string
	api.RevokeKey
}

func readRevokeKey(r *request) revokeKey {
	return revokeKey{r.id("id"), body[api.RevokeKey](r)}
}

func (s *service) revokeKey(ctx context.Context, who authority.Principal, in revokeKey) (reply, error) {
	return ok(s.cases.RevokeKey(ctx, who, in.id, in.RevokeKey))
}

type erase struct {
	id string
	api.Erase
}

func readErase(r *request) erase { return erase{r.id("id"), body[api.Erase](r)} }

func (s *service) erase(ctx context.Context, who authority.Principal, in erase) (reply, error) {
	return ok(s.cases.Erase(ctx, who, in.id, in.Erase))
}
