package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// exchange is a request that succeeds.
type exchange struct {
	target, body string
	status       int
}

// good has one exchange for every route.
var good = map[string]exchange{
	"POST /api/v1/audit/ingest":                              {"", aRun, 200},
	"GET /api/v1/audit/receipts":                             {"?kind=agent_run&app_id=a&environment=e&release=r&rollout_id=x&probe_id=p&since=2026-01-01T00:00:00Z&until=2027-01-01T00:00:00Z&limit=5&cursor=c", "", 200},
	"GET /api/v1/audit/receipts/{id}":                        {"", "", 200},
	"GET /api/v1/audit/receipts/{id}/bundle":                 {"?wait=5s", "", 200},
	"GET /api/v1/audit/bundle":                               {"?from=3&to=7&wait=5s", "", 200},
	"GET /api/v1/audit/export":                               {"?from=7&wait=5s", "", 200},
	"GET /api/v1/log/checkpoint":                             {"?size=7", "", 200},
	"GET /api/v1/log/checkpoints":                            {"?limit=3&cursor=c", "", 200},
	"GET /api/v1/log/proof/inclusion":                        {"?event_id=evt_1&size=7", "", 200},
	"GET /api/v1/log/proof/consistency":                      {"?from=3&to=7", "", 200},
	"GET /api/v1/log/tiles/checkpoint":                       {"", "", 200},
	"GET /api/v1/log/tiles/tile/{tile...}":                   {"", "", 200},
	"GET /api/v1/log/witnesses":                              {"", "", 200},
	"POST /api/v1/log/scrub":                                 {"", "", 200},
	"GET /api/v1/keys":                                       {"", "", 200},
	"GET /api/v1/keys/{id}":                                  {"", "", 200},
	"POST /api/v1/keys":                                      {"", `{"public_key":"k","reason":"another server"}`, 200},
	"POST /api/v1/keys/rotate":                               {"", aReason, 200},
	"POST /api/v1/keys/{id}/retire":                          {"", aReason, 200},
	"POST /api/v1/keys/{id}/revoke":                          {"", `{"reason":"stolen","since":"2026-05-15T18:42:00Z"}`, 200},
	"POST /api/v1/audit/receipts/{id}/erase":                 {"", `{"fields":["input"],"ground":"asked by the person"}`, 200},
	"GET /api/v1/compare":                                    {"?app_id=a&environment=e&baseline=v1&candidate=v2&gate=success&gate=latency_ms:p95:margin=5%25&confidence=0.9&min_runs=5&pair=auto", "", 200},
	"POST /api/v1/compare":                                   {"", `{"app_id":"a","baseline":"v1","candidate":"v2","gates":["success",{"metric":"latency_ms","margin":"5%"}],"confidence":0.9,"min_runs":5,"pair":"probe"}`, 200},
	"GET /api/v1/apps":                                       {"", "", 200},
	"GET /api/v1/apps/{id}/releases":                         {"", "", 200},
	"GET /api/v1/runs":                                       {"?app_id=a&after=41&wait=1ms", "", 200},
	"POST /api/v1/rollouts":                                  {"", aCreate, 201},
	"GET /api/v1/rollouts":                                   {"?app_id=a&environment=e&candidate_release=r&mode=canary&state=active&state=paused&limit=1000", "", 200},
	"POST /api/v1/rollouts/evaluate":                         {"", "", 200},
	"GET /api/v1/rollouts/{id}":                              {"?wait=1s&since=2", "", 200},
	"POST /api/v1/rollouts/{id}/evaluate":                    {"", "{}", 200},
	"POST /api/v1/rollouts/{id}/pause":                       {"", aReason, 200},
	"POST /api/v1/rollouts/{id}/resume":                      {"", aReason, 200},
	"POST /api/v1/rollouts/{id}/abort":                       {"", aReason, 200},
	"POST /api/v1/rollouts/{id}/promote":                     {"", aReason, 200},
	"GET /api/v1/rollouts/{id}/decisions":                    {"?limit=3&cursor=c", "", 200},
	"GET /api/v1/rollouts/{id}/gate":                         {"?weight=0", "", 200},
	"POST /api/v1/webhooks":                                  {"", `{"url":"https://example.com/","events":["rollout.promote"],"app_id":"a","environment":"e","description":"d"}`, 201},
	"GET /api/v1/webhooks":                                   {"", "", 200},
	"GET /api/v1/webhooks/{id}":                              {"", "", 200},
	"DELETE /api/v1/webhooks/{id}":                           {"", "", 204},
	"POST /api/v1/webhooks/{id}/test":                        {"", "", 200},
	"GET /api/v1/webhooks/{id}/deliveries":                   {"", "", 200},
	"POST /api/v1/webhooks/deliveries/{id}/redeliver":        {"", "", 200},
	"POST /api/v1/webhooks/{hook}/deliveries/{id}/redeliver": {"", "", 200},
	"POST /api/v1/judgments":                                 {"", aJudgmentSent, 200},
	"GET /api/v1/judgments":                                  {"?app_id=a&baseline=v1&candidate=v2&limit=5", "", 200},
	"GET /api/v1/pairs":                                      {"?rollout_id=rol_1&model=m&version=v&template=t", "", 200},
	"POST /api/v1/judge-calibrations":                        {"", aCalibrationSent, 201},
	"POST /api/v1/rollouts/{id}/judge":                       {"", `{"max_calls":10,"max_cost_usd":0.5}`, 202},
	"GET /api/v1/judge-jobs/{id}":                            {"", "", 200},
	"POST /api/v1/api-keys":                                  {"", `{"name":"ci","permissions":["rollout.manage"],"environment":"e","expires_at":"2027-01-01T00:00:00Z"}`, 201},
	"GET /api/v1/api-keys":                                   {"", "", 200},
	"DELETE /api/v1/api-keys/{id}":                           {"", "", 200},
	"POST /api/v1/orgs":                                      {"", `{"name":"acme"}`, 201},
	"GET /api/v1/orgs":                                       {"", "", 200},
	"GET /healthz":                                           {"", "", 200},
	"GET /readyz":                                            {"", "", 200},
	"GET /openapi.json":                                      {"", "", 200},
	"GET /{$}":                                               {"", "", 200},
}

const (
	aRun             = `{"kind":"agent_run","source":{"app_id":"a","release":"v2"},"metrics":{"success":true,"latency_ms":812.5}}`
	aCreate          = `{"app_id":"a","baseline_release":"v1","candidate_release":"v2","mode":"canary","steps":[5,100],"min_runs":30,"gates":["success:margin=2%"],"labels":{"a":"b"}}`
	aJudgmentSent    = `{"app_id":"a","baseline_release":"v1","candidate_release":"v2","probe_id":"p","judge":{"model":"m"},"answers":[{"first":"baseline","verdict":"second"},{"first":"candidate","verdict":"first"}]}`
	aCalibrationSent = `{"app_id":"a","judge":{"model":"m"},"labels":1,"compared":1,"agreement":{"x":1,"n":1,"value":1,"lo":0.2,"hi":1},"kappa":null,"confusion":[[1,0,0],[0,0,0],[0,0,0]],"consistent":{"x":0,"n":0,"value":null,"lo":null,"hi":null},"first_bias":{"x":0,"n":0,"value":null,"lo":null,"hi":null},"longer_wins":{"x":0,"n":0,"value":null,"lo":null,"hi":null},"labels_longer":{"x":0,"n":0,"value":null,"lo":null,"hi":null},"retest":{"x":0,"n":0,"value":null,"lo":null,"hi":null}}`
	aReason          = `{"reason":"because"}`
)

// target fills in the wildcards of a pattern.
func target(pattern, query string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	return method, strings.NewReplacer("{$}", "", "{id}", "some-id", "{hook}", "some-hook", "{tile...}", "0/000.p/1").Replace(path) + query
}

func everyRoute(t *testing.T, do func(t *testing.T, rt route, x exchange)) {
	for _, rt := range newService(Options{Cases: &fake{}}).routes() {
		t.Run(rt.pattern, func(t *testing.T) {
			x, ok := good[rt.pattern]
			if !ok {
				t.Fatal("there is no example of this route")
			}
			do(t, rt, x)
		})
	}
}

func TestEveryRouteAnswers(t *testing.T) {
	everyRoute(t, func(t *testing.T, rt route, x exchange) {
		h, _ := serving(t, &fake{})
		method, path := target(rt.pattern, x.target)
		w := ask(h, method, path, x.body, "Content-Type", "application/json; charset=utf-8")
		if w.Code != x.status {
			t.Fatalf("status %d, want %d: %s", w.Code, x.status, w.Body)
		}
	})
}

func TestEveryRouteRefusesUnknownParameters(t *testing.T) {
	everyRoute(t, func(t *testing.T, rt route, x exchange) {
		f := &fake{}
		h, _ := serving(t, f)
		join := "?"
		if x.target != "" {
			join = x.target + "&"
		}
		method, path := target(rt.pattern, join+"surprise=1")
		w := ask(h, method, path, x.body)
		wantProblem(t, w, 400, "invalid")
		if !strings.Contains(w.Body.String(), `"/surprise"`) {
			t.Errorf("the parameter is not named: %s", w.Body)
		}
	})
}

func TestKeyIsNeeded(t *testing.T) {
	everyRoute(t, func(t *testing.T, rt route, x exchange) {
		for _, header := range []string{"", "Bearer ", "Bearer prv_k_wrong", "Basic cHJ2", "prv_k_secret", "Bearer \"" + goodKey + "\""} {
			h, log := serving(t, &fake{})
			method, path := target(rt.pattern, x.target)
			w := ask(h, method, path, x.body, "Authorization", header)
			if rt.permission == open {
				if w.Code != x.status {
					t.Errorf("%q: status %d of an open route", header, w.Code)
				}
				continue
			}
			wantProblem(t, w, 401, "unauthenticated")
			if !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%q: WWW-Authenticate is %q", header, w.Header().Get("WWW-Authenticate"))
			}
			if strings.Contains(w.Body.String()+log.String(), "prv_k_") {
				t.Errorf("the key shows: %s %s", w.Body, log)
			}
		}
	})
}

// Every error of a use case has one status, at every route that needs a key.
func TestEveryErrorHasItsStatus(t *testing.T) {
	codes := map[authority.Code]int{
		authority.CodeInvalid: 400, authority.CodeUnauthenticated: 401, authority.CodeForbidden: 403, authority.CodeNotFound: 404,
		authority.CodeConflict: 409, authority.CodeUnavailable: 503, authority.CodeReadOnly: 503, authority.CodeInternal: 500, "strange": 500,
	}
	everyRoute(t, func(t *testing.T, rt route, x exchange) {
		if rt.permission == open {
			return
		}
		for code, status := range codes {
			h, log := serving(t, &fake{err: &authority.Error{Code: code, Detail: "do this", Cause: errSecret}})
			method, path := target(rt.pattern, x.target)
			w := ask(h, method, path, x.body)
			want := string(code)
			if status == 500 {
				want = "internal"
			}
			p := wantProblem(t, w, status, want)
			if (status == 500) == (p.Detail == "do this") {
				t.Errorf("%s: detail %q", code, p.Detail)
			}
			if strings.Contains(w.Body.String(), "hidden") {
				t.Errorf("%s: the cause shows: %s", code, w.Body)
			}
			if logged := strings.Contains(log.String(), "hidden"); logged != (status >= 500) {
				t.Errorf("%s: cause in the log: %v", code, logged)
			}
			if (w.Header().Get("Retry-After") != "") != (status == 503) {
				t.Errorf("%s: Retry-After %q", code, w.Header().Get("Retry-After"))
			}
		}
	})
}

func TestBodiesAreStrictEverywhere(t *testing.T) {
	everyRoute(t, func(t *testing.T, rt route, x exchange) {
		method, path := target(rt.pattern, x.target)
		if method != http.MethodPost {
			return
		}
		h, _ := serving(t, &fake{})
		whole := x.body
		if whole == "" {
			whole = "{}"
		}
		separator := ","
		if whole == "{}" {
			separator = ""
		}
		unknown := strings.TrimSuffix(whole, "}") + separator + `"sur~/prise":1}`
		p := wantProblem(t, ask(h, method, path, unknown), 400, "invalid")
		if len(p.Errors) != 1 || p.Errors[0].Pointer != "/sur~0~1prise" {
			t.Errorf("errors: %+v", p.Errors)
		}
		wantProblem(t, ask(h, method, path, whole, "Content-Type", "text/plain"), 415, "unsupported_media_type")
		wantProblem(t, ask(h, method, path, whole, "Content-Type", "application/json; charset=latin1"), 415, "unsupported_media_type")
		wantProblem(t, ask(h, method, path, whole, "Content-Encoding", "br"), 415, "unsupported_media_type")
		wantProblem(t, ask(h, method, path, whole+"x"), 400, "invalid")
		limit := maxRequest
		if path == ingestPath || path == "/api/v1/judgments" {
			limit = api.MaxBody
		}
		wantProblem(t, ask(h, method, path, whole+strings.Repeat(" ", limit)), 413, "too_large")
	})
}
