package e2e

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
)

// canaries are secrets by name that must turn up nowhere.
type canaries map[string]string

// find reports canaries in a text.
func (c canaries) find(t *testing.T, where, text string) {
	t.Helper()
	for name, secret := range c {
		if len(secret) < 8 {
			t.Fatalf("the canary %s is %q", name, secret)
		}
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("%s holds the %s: …%s…", where, name, text[max(0, i-100):min(len(text), i+len(secret)+20)])
		}
	}
}

// part is the secret part of an API key, which must not turn up alone either.
func part(key string) string { return key[strings.LastIndex(key, "_")+1:] }

const password = "canary-pa55word-of-the-database"

// TestNoSecrets: no secret reaches a log, an error, a list or the evidence.
func TestNoSecrets(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		if b.url != "" {
			u, err := url.Parse(b.url)
			if err != nil {
				t.Fatal(err)
			}
			u.User = url.UserPassword(u.User.Username(), password)
			b.url = u.String()
		}
		s := newServer(t, b, "--log-level", "debug")
		s.env = append(s.env, "PROVA_OWNER_KEY=prv_canaryowner00000_canary0secret0of0the0owner0000")
		s.start()
		hook := s.subscribe(func(attempt int, _ api.WebhookEvent) int {
			if attempt == 1 {
				return 500
			}
			return 204
		})
		key := s.key(api.RolloutManage)
		secrets := canaries{
			"owner's key": s.owner, "owner's secret": part(s.owner), "API key": key, "API key's secret": part(key),
			"hook's secret": hook.hook.Secret, "hook's key": strings.TrimPrefix(hook.hook.Secret, api.SecretPrefix), "database's password": password,
		}
		secrets.addSigningKeys(t, s)

		f := s.agent("claims-agent").bad()
		r := f.rollout(steps(50, 100), minRuns(200))
		f.until(r.ID, 10)
		s.runAs(key, "prova-rollout", "decisions", "--id", r.ID).exits(0)
		secrets.provoke(t, s, key)
		hook.await(s.decisions(r.ID)[len(s.decisions(r.ID))-1].EventID, retryTime)

		text, err := os.ReadFile(s.exportFile())
		s.ok(err)
		secrets.find(t, "the export", string(text))
		secrets.find(t, "the keys", s.read("/api/v1/keys"))
		secrets.find(t, "the list of API keys", s.read("/api/v1/api-keys"))
		secrets.find(t, "the list of webhooks", s.read("/api/v1/webhooks"))
		secrets.find(t, "the list of deliveries", s.read("/api/v1/webhooks/"+hook.hook.ID+"/deliveries"))
		s.stop()
		s.start()
		secrets.startsInVain(t, s)
		secrets.find(t, "the server's log", s.logged())
		if n := strings.Count(s.contents(s.printed), s.owner); n > 1 {
			t.Errorf("the owner's key was shown %d times", n)
		}
	})
}

func (s *testServer) read(path string) string {
	s.Helper()
	status, body := s.request("GET", path, "")
	if status != http.StatusOK {
		s.Fatalf("%s: %d %s", path, status, body)
	}
	return string(body)
}

// addSigningKeys adds the private keys in the forms in which they could leak.
func (c canaries) addSigningKeys(t *testing.T, s *testServer) {
	t.Helper()
	for _, name := range []string{"receipt.key", "checkpoint.key"} {
		data, err := os.ReadFile(filepath.Join(s.data, name))
		s.ok(err)
		block, _ := pem.Decode(data)
		if block == nil {
			t.Fatalf("%s is no PEM", name)
		}
		if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
			t.Fatal(err)
		}
		seed := block.Bytes[len(block.Bytes)-32:]
		c[name+" in PEM"] = base64.StdEncoding.EncodeToString(block.Bytes)[24:]
		c[name+" as bytes"] = string(seed)
		c[name+" in hex"] = hex.EncodeToString(seed)
		c[name+" in base64"] = base64.RawStdEncoding.EncodeToString(seed)[:42]
		c[name+" as Go prints bytes"] = strings.Trim(fmt.Sprint(seed), "[]")
	}
}

// provoke makes requests that fail with a secret in the wrong place.
func (c canaries) provoke(t *testing.T, s *testServer, key string) {
	t.Helper()
	for _, r := range []struct{ method, path, authorization, body string }{
		{"GET", "/api/v1/rollouts", "Bearer " + key + "x", ""},
		{"GET", "/api/v1/rollouts", "Basic " + key, ""},
		{"GET", "/api/v1/rollouts", key, ""},
		{"GET", "/api/v1/rollouts?api_key=" + key, "", ""},
		{"GET", "/api/v1/rollouts?token=" + key, "Bearer " + s.owner, ""},
		{"GET", "/api/v1/api-keys", "Bearer " + key, ""},
		{"DELETE", "/api/v1/api-keys/" + key, "Bearer " + s.owner, ""},
		{"POST", "/api/v1/api-keys", "Bearer " + s.owner, `{"name":"x","permissions":["` + key + `"]}`},
		{"POST", "/api/v1/rollouts", "Bearer " + s.owner, `{"` + key + `":1}`},
		{"POST", "/api/v1/webhooks", "Bearer " + s.owner, `{"url":"http://u:` + password + `@127.0.0.1:1/","events":["rollout.promote"]}`},
	} {
		req, err := http.NewRequest(r.method, s.at()+r.path, strings.NewReader(r.body))
		s.ok(err)
		if r.authorization != "" {
			req.Header.Set("Authorization", r.authorization)
		}
		if r.body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		resp, err := http.DefaultClient.Do(req)
		s.ok(err)
		if resp.StatusCode < 400 {
			t.Errorf("%s %s was answered %d", r.method, r.path, resp.StatusCode)
		}
		s.ok(resp.Body.Close())
	}
	r := s.runAs(key+"x", "prova-rollout", "list").exits(77)
	c.find(t, "the command line", r.stdout+r.stderr)
}

// startsInVain starts servers that cannot run, with a password in the URL.
func (c canaries) startsInVain(t *testing.T, s *testServer) {
	t.Helper()
	for _, database := range []string{
		"postgres://nobody:" + password + "@127.0.0.1:1/none",
		"postgres://nobody:" + password + "@127.0.0.1:port/none",
		"postgres://nobody:" + password + "@%zz/none",
		"postgres://nobody:" + password + "@127.0.0.1:1/none?sslmode=perhaps",
		"host=127.0.0.1 port=1 user=nobody password=" + password,
	} {
		cmd := exec.Command(s.program, "serve", "--addr", "127.0.0.1:0", "--data", t.TempDir())
		cmd.Env = append(environment(), "PROVA_DATABASE_URL="+database)
		began := time.Now()
		r := finish(t, cmd).exits(78)
		c.find(t, "a start with a database that is not there", r.stdout+r.stderr)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %s to say that there is no database", took)
		}
	}
}
