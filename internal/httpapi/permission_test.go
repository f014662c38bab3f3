package httpapi

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/httpapi/contract"
	"github.com/cobound/prova/internal/store"
	"github.com/cobound/prova/receipt"
)

// mailbox takes every webhook.
type mailbox struct{}

func (mailbox) CheckURL(string) error { return nil }

func (mailbox) Deliver(context.Context, authority.Shipment) authority.Sent {
	return authority.Sent{StatusCode: 200, Answer: "thanks"}
}

// patient is a judge that finds nothing to do.
type patient struct{}

func (patient) Judge() api.Judge { return aJudge() }

func (patient) Run(context.Context, authority.JudgeSource, api.StartJudging, func(api.JudgeJob)) error {
	return nil
}

// installation is the real thing behind the routes, with a new database.
func installation(t *testing.T) (h http.Handler, owner string) {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "prova.db"), discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	_, receipts, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, checkpoints, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := receipt.NewSigner(receipts)
	if err != nil {
		t.Fatal(err)
	}
	a, err := authority.New(authority.Config{
		Store: s, Deliverer: mailbox{}, Signer: signer, CheckpointKey: checkpoints, Origin: "test.example",
		Now: time.Now, Random: func(p []byte) { _, _ = rand.Read(p) }, Log: discard(), Judger: patient{},
	})
	if err != nil {
		t.Fatal(err)
	}
	var jobs sync.WaitGroup
	jobs.Go(func() { a.JudgeLoop(t.Context()) })
	t.Cleanup(jobs.Wait)
	owner = a.ProposeKey()
	if _, err := a.Bootstrap(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	return contract.Validate(t, New(Options{Cases: a, Log: discard(), Version: "test"})), owner
}

// org acts with the keys of one tenant.
type org struct {
	t     *testing.T
	h     http.Handler
	name  string
	owner string
	made  int
}

// do sends a request and decodes its answer into v unless that is nil.
func (o *org) do(key, method, path, body string, v any) *httptest.ResponseRecorder {
	o.t.Helper()
	w := ask(o.h, method, path, body, "Authorization", "Bearer "+key)
	if v != nil {
		if w.Code >= 300 {
			o.t.Fatalf("%s %s %s: status %d: %s", o.name, method, path, w.Code, w.Body)
		}
		if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
			o.t.Fatal(err)
		}
	}
	return w
}

func (o *org) key(permissions ...api.Permission) string {
	o.t.Helper()
	return o.newKey(permissions...).Secret
}

func (o *org) newKey(permissions ...api.Permission) api.APIKey {
	o.t.Helper()
	body, err := json.Marshal(api.CreateAPIKey{Name: "k", Permissions: permissions})
	if err != nil {
		o.t.Fatal(err)
	}
	var k api.APIKey
	o.do(o.owner, "POST", "/api/v1/api-keys", string(body), &k)
	return k
}

// things are one of everything that has an id.
type things struct{ app, receipt, rollout, hook, delivery, key, signing, job string }

func (o *org) things() things {
	o.t.Helper()
	o.made++
	x := things{app: fmt.Sprintf("%s-app-%d", o.name, o.made)}
	o.do(o.owner, "POST", ingestPath, x.fill(strings.ReplaceAll(aRun, "v2", "v1")), &api.IngestAnswer{})
	var sent api.IngestAnswer
	o.do(o.owner, "POST", ingestPath, x.fill(aRun), &sent)
	var envelope struct {
		Body struct {
			EventID string `json:"event_id"`
		} `json:"body"`
	}
	if err := json.Unmarshal(sent.Results[0].Receipt, &envelope); err != nil {
		o.t.Fatal(err)
	}
	x.receipt = envelope.Body.EventID
	var ro api.Rollout
	o.do(o.owner, "POST", "/api/v1/rollouts", x.fill(aCreate), &ro)
	var hook api.Webhook
	o.do(o.owner, "POST", "/api/v1/webhooks", `{"url":"https://example.com/","events":["rollout.promote"]}`, &hook)
	var d api.Delivery
	o.do(o.owner, "POST", "/api/v1/webhooks/"+hook.ID+"/test", "", &d)
	var k api.APIKey
	o.do(o.owner, "POST", "/api/v1/api-keys", `{"name":"k","permissions":["release.read"]}`, &k)
	var keys api.List[api.SigningKey]
	o.do(o.owner, "GET", "/api/v1/keys", "", &keys)
	var job api.JudgeJob
	o.do(o.owner, "POST", "/api/v1/rollouts/"+ro.ID+"/judge", "", &job)
	x.rollout, x.hook, x.delivery, x.key, x.signing, x.job = ro.ID, hook.ID, d.ID, k.ID, keys.Items[0].KeyID, job.ID
	return x
}

func (x things) fill(body string) string {
	return strings.ReplaceAll(body, `"app_id":"a"`, `"app_id":"`+x.app+`"`)
}

func (x things) all() []string {
	return []string{x.app, x.receipt, x.rollout, x.hook, x.delivery, x.key, x.job}
}

// path fills in the ids that a pattern stands for.
func (x things) path(pattern, query string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	id := ""
	switch {
	case strings.Contains(path, "/deliveries/{id}"):
		id = x.delivery
	case strings.Contains(path, "/webhooks/{id}"):
		id = x.hook
	case strings.Contains(path, "/receipts/{id}"):
		id = x.receipt
	case strings.Contains(path, "/rollouts/{id}"):
		id = x.rollout
	case strings.Contains(path, "/apps/{id}"):
		id = x.app
	case strings.Contains(path, "/v1/keys/{id}"):
		id = x.signing
	case strings.Contains(path, "/judge-jobs/{id}"):
		id = x.job
	case strings.Contains(path, "/api-keys/{id}"):
		id = x.key
	}
	return method, strings.NewReplacer("{$}", "", "{id}", id, "{hook}", x.hook, "{tile...}", "entries/000.p/1").Replace(path) + query
}

// queries are the parameters that a route cannot do without, bodies the request bodies.
var (
	queries = map[string]string{
		"GET /api/v1/compare":            "?baseline=v1&candidate=v2&app_id=",
		"GET /api/v1/rollouts/{id}/gate": "?weight=5",
		"GET /api/v1/judgments":          "?rollout_id=",
		"GET /api/v1/pairs":              "?rollout_id=",

		"GET /api/v1/audit/bundle":          "?from=0&to=1",
		"GET /api/v1/log/proof/inclusion":   "?index=0",
		"GET /api/v1/log/proof/consistency": "?from=1",
	}
	bodies = map[string]string{
		"POST /api/v1/compare":               `{"app_id":"a","baseline":"v1","candidate":"v2"}`,
		"POST /api/v1/api-keys":              `{"name":"n","permissions":["key.manage"]}`,
		"POST /api/v1/webhooks":              `{"url":"https://example.com/","events":["rollout.promote"]}`,
		"POST /api/v1/rollouts/{id}/pause":   aReason,
		"POST /api/v1/rollouts/{id}/resume":  aReason,
		"POST /api/v1/rollouts/{id}/abort":   aReason,
		"POST /api/v1/rollouts/{id}/promote": aReason,
		"POST /api/v1/audit/ingest":          aRun,
		"POST /api/v1/rollouts":              aCreate,
		"POST /api/v1/orgs":                  `{"name":"another"}`,
		"POST /api/v1/judgments":             aJudgmentSent,
		"POST /api/v1/judge-calibrations":    aCalibrationSent,

		"POST /api/v1/keys":                      `{"public_key":"O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=","reason":"because"}`,
		"POST /api/v1/keys/rotate":               aReason,
		"POST /api/v1/keys/{id}/retire":          aReason,
		"POST /api/v1/keys/{id}/revoke":          aReason,
		"POST /api/v1/audit/receipts/{id}/erase": `{"ground":"because"}`,
	}
)

func (x things) request(rt route) (method, path, body string) {
	query := queries[rt.pattern]
	if strings.HasSuffix(query, "app_id=") {
		query += x.app
	}
	if strings.HasSuffix(query, "rollout_id=") {
		query += x.rollout
	}
	method, path = x.path(rt.pattern, query)
	return method, path, x.fill(bodies[rt.pattern])
}

// Every route against every kind of key.
func TestPermissions(t *testing.T) {
	h, owner := installation(t)
	home := &org{t: t, h: h, name: "default", owner: owner}
	var made api.Org
	home.do(owner, "POST", "/api/v1/orgs", `{"name":"other"}`, &made)
	other := &org{t: t, h: h, name: "other", owner: made.OwnerKey}
	other.things()

	ended := home.newKey(api.Permissions()...)
	home.do(owner, "DELETE", "/api/v1/api-keys/"+ended.ID, "", &api.APIKey{})
	revoked := ended.Secret

	everyRoute(t, func(t *testing.T, rt route, _ exchange) {
		if rt.permission == open {
			return
		}
		home.t, other.t = t, t
		x := home.things()
		method, path, body := x.request(rt)
		for _, key := range []string{"", "prv_nobody_0123456789abcdef0123456789abcdef", revoked, revoked[:len(revoked)-1] + "x", owner + "x"} {
			wantProblem(t, home.do(key, method, path, body, nil), 401, "unauthenticated")
		}
		lacking := slices.DeleteFunc(api.Permissions(), func(p api.Permission) bool {
			return p == rt.permission || rt.permission == api.ReleaseRead && p == api.RolloutManage
		})
		wantProblem(t, home.do(home.key(lacking...), method, path, body, nil), 403, "forbidden")
		foreign(t, other, rt, x)
		w := home.do(home.key(rt.permission), method, path, body, nil)
		if accepted := w.Code < 300 || w.Code == 409; !accepted {
			t.Errorf("with %s alone: status %d: %s", rt.permission, w.Code, w.Body)
		}
		if rt.permission == api.ReleaseRead {
			if w := home.do(home.key(api.RolloutManage), method, path, body, nil); w.Code >= 300 {
				t.Errorf("rollout.manage includes release.read: status %d: %s", w.Code, w.Body)
			}
		}
	})
}

// foreign asks another org for x. What it answers is what it answers about
// things that nobody has, and holds nothing of x.
func foreign(t *testing.T, other *org, rt route, x things) {
	t.Helper()
	nobody := things{app: "nobody", receipt: "evt_nobody", rollout: "rol_nobody", hook: "whk_nobody", delivery: "dlv_nobody", key: "nobody", signing: "nobody", job: "job_nobody"}
	method, path, body := x.request(rt)
	w := other.do(other.owner, method, path, body, nil)
	for _, id := range x.all() {
		// An app's name is no secret of an org: both may have one of that name.
		if id != x.app && strings.Contains(w.Body.String(), id) {
			t.Errorf("another org is told of %s: %s", id, w.Body)
		}
	}
	if !strings.Contains(rt.pattern, "{id}") {
		return
	}
	method, path, body = nobody.request(rt)
	absent := other.do(other.owner, method, path, body, nil)
	if w.Code != absent.Code || w.Body.String() != absent.Body.String() {
		t.Errorf("foreign: %d %s\nabsent:  %d %s", w.Code, w.Body, absent.Code, absent.Body)
	}
	if rt.permission == api.OrgManage { // the operator's alone
		wantProblem(t, w, 403, "forbidden")
		return
	}
	if unseen := strings.Contains(rt.pattern, "/apps/"); w.Code != 404 && !unseen { // an app that was not seen has no releases
		t.Errorf("foreign: status %d: %s", w.Code, w.Body)
	}
}

// A key that is limited to an environment sees nothing of the others.
func TestEnvironmentOfAKey(t *testing.T) {
	h, owner := installation(t)
	home := &org{t: t, h: h, name: "default", owner: owner}
	x := home.things()
	var k api.APIKey
	home.do(owner, "POST", "/api/v1/api-keys",
		`{"name":"staging","environment":"staging","permissions":["rollout.manage","audit.ingest","audit.read","judge.write"]}`, &k)
	for _, path := range []string{
		"/api/v1/rollouts/" + x.rollout, "/api/v1/rollouts/" + x.rollout + "/decisions", "/api/v1/audit/receipts/" + x.receipt,
		"/api/v1/log/proof/inclusion?event_id=" + x.receipt, "/api/v1/audit/receipts/" + x.receipt + "/bundle", "/api/v1/audit/bundle?rollout=" + x.rollout,
		"/api/v1/judgments?rollout_id=" + x.rollout, "/api/v1/pairs?rollout_id=" + x.rollout, "/api/v1/judge-jobs/" + x.job,
	} {
		wantProblem(t, home.do(k.Secret, "GET", path, "", nil), 404, "not_found")
	}
	for _, path := range []string{"/api/v1/rollouts", "/api/v1/runs", "/api/v1/apps", "/api/v1/audit/receipts"} {
		if w := home.do(k.Secret, "GET", path, "", nil); w.Code != 200 || strings.Contains(w.Body.String(), x.app) {
			t.Errorf("%s: status %d: %s", path, w.Code, w.Body)
		}
	}
	wantProblem(t, home.do(k.Secret, "GET", "/api/v1/audit/bundle?from=0", "", nil), 403, "forbidden")
	w := home.do(k.Secret, "POST", ingestPath, x.fill(aRun), nil)
	if w.Code != 403 {
		t.Errorf("a run of another environment: status %d: %s", w.Code, w.Body)
	}
}
