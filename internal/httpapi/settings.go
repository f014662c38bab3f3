package httpapi

import (
	"context"
	"net/http"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// created answers 201 with what was made and where it is.
func created(value any, location string, err error) (reply, error) {
	a := reply{status: http.StatusCreated, value: value}
	if location != "" {
		a.header = map[string]string{"Location": location}
	}
	return a, err
}

func (s *service) createWebhook(ctx context.Context, who authority.Principal, in api.CreateWebhook) (reply, error) {
	hook, err := s.cases.CreateWebhook(ctx, who, in)
	return created(hook, "/api/v1/webhooks/"+hook.ID, err)
}

func (s *service) webhooks(ctx context.Context, who authority.Principal, _ struct{}) (reply, error) {
	return all(s.cases.Webhooks(ctx, who))
}

func (s *service) webhook(ctx context.Context, who authority.Principal, id string) (reply, error) {
	return ok(s.cases.Webhook(ctx, who, id))
}

func (s *service) deleteWebhook(ctx context.Context, who authority.Principal, id string) (reply, error) {
	return reply{status: http.StatusNoContent}, s.cases.DeleteWebhook(ctx, who, id)
}

// readAction reads a call that needs no body.
func readAction(r *request) string {
	r.noBody()
	return r.id("id")
}

func (s *service) testWebhook(ctx context.Context, who authority.Principal, id string) (reply, error) {
	return ok(s.cases.TestWebhook(ctx, who, id))
}

func (s *service) deliveries(ctx context.Context, who authority.Principal, in pageOf) (reply, error) {
	return ok(s.cases.Deliveries(ctx, who, in.id, in.cursor, in.limit))
}

func (s *service) redeliver(ctx context.Context, who authority.Principal, id string) (reply, error) {
	return ok(s.cases.Redeliver(ctx, who, id))
}

func (s *service) createAPIKey(ctx context.Context, who authority.Principal, in api.CreateAPIKey) (reply, error) {
	key, err := s.cases.CreateAPIKey(ctx, who, in)
	return created(key, "", err)
}

func (s *service) apiKeys(ctx context.Context, who authority.Principal, _ struct{}) (reply, error) {
	return all(s.cases.APIKeys(ctx, who))
}

func (s *service) revokeAPIKey(ctx context.Context, who authority.Principal, id string) (reply, error) {
	return ok(s.cases.RevokeAPIKey(ctx, who, id))
}

func (s *service) createOrg(ctx context.Context, who authority.Principal, in api.CreateOrg) (reply, error) {
	org, err := s.cases.CreateOrg(ctx, who, in)
	return created(org, "", err)
}

func (s *service) orgs(ctx context.Context, who authority.Principal, _ struct{}) (reply, error) {
	return all(s.cases.Orgs(ctx, who))
}
