package dashboard

import "github.com/cobound/prova/api"

// route is one thing that the dashboard answers for somebody who is signed in.
type route struct {
	// pattern is of http.ServeMux.
	pattern string
	// permission is what the use cases behind it ask for; anybody needs none.
	permission api.Permission
	// nav is its name in the navigation; empty keeps it out.
	nav    string
	answer func(*request) error
}

// anybody marks a route for everybody who is signed in.
const anybody api.Permission = ""

// routes is the table of all pages but those that nobody signs in for, in the
// order of the navigation. What a key may not do is neither offered nor
// answered. A page has a file of its own here and a template of its name.
func (h *Handler) routes() []route {
	return []route{
		{"GET /rollouts", api.ReleaseRead, "Rollouts", h.rolloutList},
		{"GET /rollouts/live", api.ReleaseRead, "", h.rolloutListLive},
		{"GET /rollouts/new", api.RolloutManage, "", h.createForm},
		{"POST /rollouts/new", api.RolloutManage, "", h.create},
		{"GET /rollouts/{id}", api.ReleaseRead, "", h.rollout},
		{"GET /rollouts/{id}/live", api.ReleaseRead, "", h.rolloutLive},
		{"POST /rollouts/{id}/{action}", api.RolloutManage, "", h.operate},
		{"GET /receipts/{id}", api.AuditRead, "", h.receipt},
		{"GET /receipts/{id}/proof", api.AuditRead, "", h.receiptProof},
		{"GET /releases", api.ReleaseRead, "Releases", h.appList},
		{"GET /releases/{app}", api.ReleaseRead, "", h.releaseList},
		{"GET /compare", api.ReleaseRead, "Compare", h.compare},
		{"GET /vault", api.AuditRead, "Vault", h.vault},
		{"POST /vault/bundle", api.AuditRead, "", h.takeBundle},
		{"POST /vault/export", api.AuditRead, "", h.takeExport},
		{"GET /judge", api.ReleaseRead, "Judge", h.judge},
		{"GET /judge/live", api.ReleaseRead, "", h.judgeLive},
		{"POST /judge", api.JudgeWrite, "", h.startJudging},
		{"GET /webhooks", api.WebhookManage, "Webhooks", h.webhookList},
		{"POST /webhooks", api.WebhookManage, "", h.createWebhook},
		{"GET /webhooks/{id}", api.WebhookManage, "", h.webhookDetail},
		{"POST /webhooks/{id}/test", api.WebhookManage, "", h.testWebhook},
		{"POST /webhooks/{id}/redeliver", api.WebhookManage, "", h.redeliver},
		{"GET /webhooks/{id}/delete", api.WebhookManage, "", h.confirmDeleteWebhook},
		{"POST /webhooks/{id}/delete", api.WebhookManage, "", h.deleteWebhook},
		{"GET /keys", anybody, "Keys", h.keys},
		{"POST /keys", api.KeyManage, "", h.createKey},
		{"GET /keys/{id}/revoke", api.KeyManage, "", h.confirmRevokeKey},
		{"POST /keys/{id}/revoke", api.KeyManage, "", h.revokeKey},
		{"GET /settings", anybody, "Settings", h.settings},
		{"POST /settings/orgs", api.OrgManage, "", h.createOrg},
		{"POST /sign-out", anybody, "", h.signOut},
	}
}
