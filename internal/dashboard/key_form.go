package dashboard

import (
	"net/http"
	"slices"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// keyForm is the form for a new API key as it was filled in.
type keyForm struct {
	Name, Environment, Expires string
	Permissions                []string
	attempted
	// Limited is the environment that the reader's key is limited to, Until when it ends; empty and nil for none.
	Limited string
	Until   *time.Time
	Boxes   []choice
}

// permissionSays is what a permission lets its holder do.
func permissionSays(p api.Permission) string {
	switch p {
	case api.RolloutManage:
		return "create, tick, pause, promote and abort rollouts, and read them"
	case api.ReleaseRead:
		return "read rollouts, releases, runs and comparisons"
	case api.AuditIngest:
		return "send runs: all that an agent needs"
	case api.AuditRead:
		return "read receipts and the log, and export them"
	case api.JudgeWrite:
		return "record judgments, and read the answers that are judged"
	case api.WebhookManage:
		return "create and delete webhooks"
	case api.KeyManage:
		return "create and revoke API keys"
	case api.OrgManage:
		return "create orgs, and change the keys that sign"
	}
	return ""
}

// Expiries are those to choose from.
func (keyForm) Expiries() []expiry {
	const day = 24 * time.Hour
	return []expiry{{"never", "never", 0}, {"1h", "in 1 hour", time.Hour}, {"1d", "in 1 day", day}, {"7d", "in 7 days", 7 * day}, {"30d", "in 30 days", 30 * day}, {"90d", "in 90 days", 90 * day}, {"365d", "in 365 days", 365 * day}}
}

type expiry struct {
	Code, Says string
	After      time.Duration // 0 is never
}

// offered fills in what the reader may give: no more than the reader has.
func (f keyForm) offered(who authority.Principal) keyForm {
	f.Limited, f.Until = who.Environment, who.ExpiresAt
	for _, p := range api.Permissions() {
		if who.May(p) {
			f.Boxes = append(f.Boxes, choice{Name: string(p), Says: permissionSays(p), On: slices.Contains(f.Permissions, string(p))})
		}
	}
	return f
}

func (h *Handler) createKey(r *request) error {
	f := keyForm{Name: r.PostForm.Get("name"), Environment: r.PostForm.Get("environment"), Expires: r.PostForm.Get("expires"), Permissions: r.PostForm["permissions"]}
	made, err := h.makeKey(r, f)
	if err != nil {
		a, ok := refusal(err)
		if !ok {
			return err
		}
		f.attempted = a
		return h.showKeys(r, a.Status, f, nil)
	}
	return h.showKeys(r, http.StatusCreated, keyForm{}, &made)
}

func (h *Handler) makeKey(r *request, f keyForm) (api.APIKey, error) {
	asked := api.CreateAPIKey{Name: f.Name, Environment: f.Environment}
	for _, p := range f.Permissions {
		asked.Permissions = append(asked.Permissions, api.Permission(p))
	}
	i := slices.IndexFunc(f.Expiries(), func(e expiry) bool { return e.Code == f.Expires })
	if i < 0 {
		return api.APIKey{}, invalid("/expires_at", "choose when the key expires")
	}
	if after := f.Expiries()[i].After; after > 0 {
		at := h.Now().Add(after)
		asked.ExpiresAt = &at
	}
	return h.Cases.CreateAPIKey(r.Context(), r.who, asked)
}
