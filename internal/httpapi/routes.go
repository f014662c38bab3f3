package httpapi

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// route is one call.
type route struct {
	// pattern is of http.ServeMux; "{$}" aside it is also the path in openapi.yaml.
	pattern string
	// permission is what the use case asks for; open needs no key at all.
	permission api.Permission
	answer     endpoint
}

// open marks a route for everybody.
const open api.Permission = ""

// routes is the table of everything that is served.
func (s *service) routes() []route { return append(s.vaultRoutes(), s.releaseRoutes()...) }

// vaultRoutes are the calls about evidence, the log and the keys that sign.
func (s *service) vaultRoutes() []route {
	return []route{
		{"POST /api/v1/audit/ingest", api.AuditIngest, serve(readBatch, s.ingest)},
		{"GET /api/v1/audit/receipts", api.AuditRead, serve(readReceiptList, s.receipts)},
		{"GET /api/v1/audit/receipts/{id}", api.AuditRead, serve(byID, s.receipt)},
		{"GET /api/v1/audit/receipts/{id}/bundle", api.AuditRead, serve(readReceiptScope, s.bundle)},
		{"POST /api/v1/audit/receipts/{id}/erase", api.KeyManage, serve(readErase, s.erase)},
		{"GET /api/v1/audit/bundle", api.AuditRead, serve(readScope, s.bundle)},
		{"GET /api/v1/audit/export", api.AuditRead, serve(readFrom, s.export)},
		{"GET /api/v1/log/checkpoint", api.AuditRead, serve(readSize, s.checkpoint)},
		{"GET /api/v1/log/checkpoints", api.AuditRead, serve((*request).page, s.checkpoints)},
		{"GET /api/v1/log/proof/inclusion", api.AuditRead, serve(readInclusion, s.inclusion)},
		{"GET /api/v1/log/proof/consistency", api.AuditRead, serve(readConsistency, s.consistency)},
		{"GET /api/v1/log/tiles/checkpoint", api.AuditRead, serve(nothing, s.checkpointNote)},
		{"GET /api/v1/log/tiles/tile/{tile...}", api.AuditRead, serve(readTile, s.tile)},
		{"GET /api/v1/log/witnesses", api.AuditRead, serve(nothing, s.witnesses)},
		{"POST /api/v1/log/scrub", api.AuditRead, serve(readScrub, s.scrub)},
		{"GET /api/v1/keys", open, serve(nothing, s.signingKeys)},
		{"GET /api/v1/keys/{id}", open, serve(byID, s.signingKey)},
		{"POST /api/v1/keys", api.OrgManage, serve(body[api.AddKey], s.addKey)},
		{"POST /api/v1/keys/rotate", api.OrgManage, serve(readReason, s.rotateKey)},
		{"POST /api/v1/keys/{id}/retire", api.OrgManage, serve(readOperatorAction, s.retireKey)},
		{"POST /api/v1/keys/{id}/revoke", api.OrgManage, serve(readRevokeKey, s.revokeKey)},
	}
}

// releaseRoutes are the calls about releases, and about the server itself.
func (s *service) releaseRoutes() []route {
	c := s.cases
	return []route{
		{"GET /api/v1/compare", api.ReleaseRead, serve(readCompare, s.compare)},
		{"POST /api/v1/compare", api.ReleaseRead, serve(body[api.CompareRequest], s.compare)},
		{"GET /api/v1/apps", api.ReleaseRead, serve(nothing, s.apps)},
		{"GET /api/v1/apps/{id}/releases", api.ReleaseRead, serve(byID, s.releases)},
		{"GET /api/v1/runs", api.ReleaseRead, serve(readRuns, s.runs)},

		{"POST /api/v1/rollouts", api.RolloutManage, serve(body[api.CreateRollout], s.createRollout)},
		{"GET /api/v1/rollouts", api.ReleaseRead, serve(readRolloutList, s.rollouts)},
		{"POST /api/v1/rollouts/evaluate", api.RolloutManage, serve(readEvaluateActive, s.evaluateActive)},
		{"GET /api/v1/rollouts/{id}", api.ReleaseRead, serve(readRollout, s.rollout)},
		{"POST /api/v1/rollouts/{id}/evaluate", api.RolloutManage, serve(readEvaluate, s.evaluate)},
		{"POST /api/v1/rollouts/{id}/pause", api.RolloutManage, operator(c.Pause)},
		{"POST /api/v1/rollouts/{id}/resume", api.RolloutManage, operator(c.Resume)},
		{"POST /api/v1/rollouts/{id}/abort", api.RolloutManage, operator(c.Abort)},
		{"POST /api/v1/rollouts/{id}/promote", api.RolloutManage, operator(c.PromoteStep)},
		{"GET /api/v1/rollouts/{id}/decisions", api.ReleaseRead, serve(readPageOf, s.decisions)},
		{"GET /api/v1/rollouts/{id}/gate", api.ReleaseRead, serve(readGate, s.gate)},

		{"POST /api/v1/judgments", api.JudgeWrite, serve(readJudgments, s.recordJudgments)},
		{"GET /api/v1/judgments", api.ReleaseRead, serve(readJudged, s.judgments)},
		{"GET /api/v1/pairs", api.JudgeWrite, serve(readPairs, s.pairs)},
		{"POST /api/v1/judge-calibrations", api.JudgeWrite, serve(body[api.Calibration], s.recordCalibration)},
		{"POST /api/v1/rollouts/{id}/judge", api.JudgeWrite, serve(readStartJudging, s.startJudging)},
		{"GET /api/v1/judge-jobs/{id}", api.JudgeWrite, serve(byID, s.judgeJob)},

		{"POST /api/v1/webhooks", api.WebhookManage, serve(body[api.CreateWebhook], s.createWebhook)},
		{"GET /api/v1/webhooks", api.WebhookManage, serve(nothing, s.webhooks)},
		{"GET /api/v1/webhooks/{id}", api.WebhookManage, serve(byID, s.webhook)},
		{"DELETE /api/v1/webhooks/{id}", api.WebhookManage, serve(byID, s.deleteWebhook)},
		{"POST /api/v1/webhooks/{id}/test", api.WebhookManage, serve(readAction, s.testWebhook)},
		{"GET /api/v1/webhooks/{id}/deliveries", api.WebhookManage, serve(readPageOf, s.deliveries)},
		{"POST /api/v1/webhooks/deliveries/{id}/redeliver", api.WebhookManage, serve(readAction, s.redeliver)},
		{"POST /api/v1/webhooks/{hook}/deliveries/{id}/redeliver", api.WebhookManage, serve(readAction, s.redeliver)},

		{"POST /api/v1/api-keys", api.KeyManage, serve(body[api.CreateAPIKey], s.createAPIKey)},
		{"GET /api/v1/api-keys", api.KeyManage, serve(nothing, s.apiKeys)},
		{"DELETE /api/v1/api-keys/{id}", api.KeyManage, serve(byID, s.revokeAPIKey)},
		{"POST /api/v1/orgs", api.OrgManage, serve(body[api.CreateOrg], s.createOrg)},
		{"GET /api/v1/orgs", api.OrgManage, serve(nothing, s.orgs)},

		{"GET /healthz", open, serve(nothing, healthz)},
		{"GET /readyz", open, serve(nothing, s.readyz)},
		{"GET /openapi.json", open, serve(nothing, openAPI)},
		{"GET /{$}", open, serve(nothing, s.index)},
	}
}

// handle authenticates and turns the error of an endpoint into a problem.
func (s *service) handle(rt route) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w := out.(*recorder) // ServeHTTP is the only way in
		err := s.authenticate(rt, w, r)
		if err == nil {
			q := newRequest(w, r)
			q.who = w.who
			err = rt.answer(q)
		}
		if cut, ok := errors.AsType[cutOff](err); ok {
			s.log.LogAttrs(r.Context(), slog.LevelWarn, "answer cut off", slog.String("request_id", w.id),
				slog.String("route", r.Pattern), slog.String("error", cut.Error()))
			panic(http.ErrAbortHandler)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	})
}

func (s *service) authenticate(rt route, w *recorder, r *http.Request) error {
	if rt.permission == open {
		return nil
	}
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(key) == "" {
		return refuse(authority.CodeUnauthenticated, "send an API key as Authorization: Bearer prv_…")
	}
	who, err := s.cases.Authenticate(r.Context(), strings.TrimSpace(key))
	w.who = who
	return err
}
