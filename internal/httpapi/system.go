package httpapi

import (
	"context"
	"io"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// health is the answer of the two probes.
type health struct {
	Status string `json:"status"`
}

// healthz says that the process answers, and nothing about the database.
func healthz(context.Context, authority.Principal, struct{}) (reply, error) {
	return ok(health{"ok"}, nil)
}

// readyz says whether requests can be served: not without a database, and not while shutting down.
func (s *service) readyz(ctx context.Context, _ authority.Principal, _ struct{}) (reply, error) {
	if s.draining.Err() != nil {
		return reply{}, refuse(authority.CodeUnavailable, "the server is shutting down")
	}
	if err := s.cases.Ready(ctx); err != nil {
		if authority.CodeOf(err) == authority.CodeReadOnly {
			return reply{}, err
		}
		return reply{}, &authority.Error{Code: authority.CodeUnavailable, Detail: "the database does not answer", Cause: err}
	}
	return ok(health{"ready"}, nil)
}

// openAPI serves the description of this API.
func openAPI(context.Context, authority.Principal, struct{}) (reply, error) {
	return reply{contentType: typeJSON, stream: func(w io.Writer) error {
		_, err := w.Write(api.OpenAPIJSON())
		return err
	}}, nil
}

// index is what somebody finds who opens the address of the server.
type index struct {
	Name    string            `json:"name"`
	About   string            `json:"about"`
	Version string            `json:"version"`
	Links   map[string]string `json:"links"`
}

func (s *service) index(context.Context, authority.Principal, struct{}) (reply, error) {
	return ok(index{
		Name:    "prova",
		About:   "Compares releases of an agent, ramps a canary on a clean verdict, rolls back on a regression, and signs every decision.",
		Version: s.version,
		Links: map[string]string{
			"api":            "/api/v1",
			"description":    "/openapi.json",
			"health":         "/healthz",
			"readiness":      "/readyz",
			"public_keys":    "/api/v1/keys",
			"verify":         "/verify",
			"record_runs":    "/api/v1/audit/ingest",
			"rollouts":       "/api/v1/rollouts",
			"compare":        "/api/v1/compare",
			"authentication": "Authorization: Bearer prv_<id>_<secret>",
		},
	}, nil)
}
