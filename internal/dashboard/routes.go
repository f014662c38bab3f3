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
		{"GET /releases", api.ReleaseRead, "Releases", h.appList},
		{"GET /releases/{app}", api.ReleaseRead, "", h.releaseList},
		{"GET /compare", api.ReleaseRead, "Compare", h.compare},
		{"GET /vault", api.AuditRead, "Vault", h.vault},
		{"POST /vault/bundle", api.AuditRead, "", h.takeBundle},
		{"POST /vault/export", api.AuditRead, "", h.takeExport},
		{"POST /sign-out", anybody, "", h.signOut},
	}
}
