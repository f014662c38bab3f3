package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/cobound/prova/api"
)

// TestVerifyPage pastes what the real server answered into its own page.
func TestVerifyPage(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("chromium")
	if err != nil {
		const why = "NOT TESTED: chromium is not installed"
		if os.Getenv("PROVA_REQUIRE_ALL") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	s := serve(t, sqlite())
	status, answer := s.request("POST", "/api/v1/audit/ingest", `{"kind":"agent_run","source":{"app_id":"claims-agent","release":"v36"},"metrics":{"success":true,"cost_usd":0.0123}}`)
	var batch struct {
		Results []struct {
			Receipt struct {
				Body struct {
					EventID string `json:"event_id"`
				} `json:"body"`
			} `json:"receipt"`
		} `json:"results"`
	}
	if err := json.Unmarshal(answer, &batch); err != nil || status != 200 || len(batch.Results) != 1 {
		t.Fatalf("%d %s", status, answer)
	}
	id := batch.Results[0].Receipt.Body.EventID
	_, item := s.request("GET", "/api/v1/audit/receipts/"+id, "")
	_, proof := s.request("GET", "/api/v1/log/proof/inclusion?event_id="+id, "")

	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU)
	ctx, end := chromedp.NewExecAllocator(context.Background(), options...)
	defer end()
	ctx, end = chromedp.NewContext(ctx)
	defer end()
	ctx, end = context.WithTimeout(ctx, 5*time.Minute)
	defer end()
	s.ok(chromedp.Do(ctx, chromedp.Navigate(s.at()+"/verify"), chromedp.WaitReady("#outcome")))
	texts, err := json.Marshal(map[string]string{"receipt": string(item), "proof": string(proof)})
	s.ok(err)
	said, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(async () => {
		for (const [id, text] of Object.entries(`+string(texts)+`)) {
			document.getElementById(id).value = text;
			document.getElementById(id).dispatchEvent(new Event("input"));
		}
		while (document.getElementById("outcome").ariaBusy === "true") await new Promise((done) => setTimeout(done, 20));
		return document.getElementById("outcome").innerText;
	})()`, chromedp.EvalAwaitPromise))
	s.ok(err)
	if !strings.Contains(said, "Agrees with this server") || !strings.Contains(said, "It stands in the log") || strings.Contains(said, "fails") {
		t.Errorf("the page says: %s", said)
	}
	if status, answer := s.request("POST", "/verify", "{}"); status != 404 && status != 405 || !strings.Contains(string(answer), api.ProblemBase) {
		t.Errorf("POST /verify: %d %s", status, answer)
	}
}

// TestDashboard signs in to the real server with the owner's key.
func TestDashboard(t *testing.T) {
	t.Parallel()
	s := serve(t, sqlite())
	jar, err := cookiejar.New(nil)
	s.ok(err)
	browser := &http.Client{Jar: jar}
	read := func(answer *http.Response, err error) (path, body string) {
		t.Helper()
		s.ok(err)
		defer func() { _ = answer.Body.Close() }()
		content, err := io.ReadAll(answer.Body)
		s.ok(err)
		return answer.Request.URL.Path, string(content)
	}
	start, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.at()+"/", nil)
	s.ok(err)
	start.Header.Set("Accept", "text/html")
	if path, body := read(browser.Do(start)); path != "/sign-in" || !strings.Contains(body, `name="next" value="/rollouts"`) {
		t.Fatalf("%s: %s", path, body)
	}
	if path, body := read(browser.PostForm(s.at()+"/sign-in", url.Values{"key": {s.owner}})); path != "/rollouts" || !strings.Contains(body, "prova-rollout create") {
		t.Fatalf("%s: %s", path, body)
	}
	ro, _, err := s.api().CreateRollout(t.Context(), api.CreateRollout{AppID: "claims-agent", BaselineRelease: "v36", CandidateRelease: "v37"})
	s.ok(err)
	if _, body := read(browser.Get(s.at() + "/rollouts")); !strings.Contains(body, ro.ID) {
		t.Error("the list does not have it")
	}
	if _, body := read(browser.Get(s.at() + "/rollouts/" + ro.ID)); !strings.Contains(body, "Nobody has ticked") {
		t.Error("the page of the rollout does not say where it stands")
	}
	if path, _ := read(browser.PostForm(s.at()+"/sign-out", nil)); path != "/sign-in" {
		t.Errorf("after the sign-out: %s", path)
	}
}
