package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/prova"
)

// interrupt sends this process what Ctrl-C sends.
func interrupt(t *testing.T) {
	t.Helper()
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Signal(os.Interrupt)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestDemoKeep: the server goes on, signs the owner in, shows something on each
// page, and ends with Ctrl-C.
func TestDemoKeep(t *testing.T) {
	data := filepath.Join(t.TempDir(), "kept data")
	var stdout *endsAt
	stdout = &endsAt{text: "until Ctrl-C", end: sync.OnceFunc(func() {
		defer interrupt(t)
		lookAround(t, data, regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(stdout.String()))
	})}
	code := run(t.Context(), []string{"demo", "--keep", "--data", data}, strings.NewReader(""), stdout, &bytes.Buffer{}, func(string) string { return "" })
	if code != cli.Done {
		t.Fatalf("exit code %d\n%s", code, stdout.String())
	}
	wantInOrder(t, stdout.String(), "✓ root", "The dashboard", "search-agent", "claims-agent", "until Ctrl-C",
		"sign in with the owner's key", "cat '"+data+"/owner-key'", "export PROVA_API_KEY=\"$(cat '"+data+"/owner-key')\"", "prova rollout decisions --id rol_", "The server is stopped")
}

// lookAround does in a kept demo what its farewell invites to.
func lookAround(t *testing.T, data, at string) {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(data, "owner-key"))
	if err != nil {
		t.Error(err)
		return
	}
	owner := strings.TrimSpace(string(key))
	client, err := prova.New(prova.Options{BaseURL: at, APIKey: owner})
	if err != nil {
		t.Error(err)
		return
	}
	rollouts := wantStates(t, client)
	wantDeliveries(t, client)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Error(err)
		return
	}
	browser := &http.Client{Jar: jar}
	if page := read(t)(browser.PostForm(at+"/sign-in", url.Values{"key": {owner}})); !strings.Contains(page, "Needs a look") {
		t.Errorf("after the sign-in: %s", page)
	}
	watched, judged := rollouts[watchedApp].ID, rollouts["billing-agent"].ID
	for path, want := range map[string][]string{
		"/rollouts/new":           {"claims-agent"},
		"/rollouts/" + watched:    {"Inputs that changed", "error", "latency"},
		"/releases":               {"billing-agent"},
		"/releases/" + watchedApp: {"v34", "no release"},
		"/releases/" + watchedApp + "?environment=staging":                {"v38"},
		"/compare?app=claims-agent&baseline=v36&candidate=v37&pair=probe": {"Both releases ran"},
		"/vault":                         {"rollout_decision"},
		"/judge?rollout=" + judged:       {"demo-judge", "calibrated", "It names the day", "tried again on the 10th"},
		"/webhooks":                      {"the demo&#39;s router"},
		"/webhooks/" + hookOf(t, client): {"delivered", "could not be carried out"},
		"/keys":                          {"the CD system", "revoked"},
		"/settings":                      {"SQLite"},
	} {
		page := read(t)(browser.Get(at + path))
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("%s does not show %q", path, text)
			}
		}
	}
}

// read reads a page that must be there.
func read(t *testing.T) func(*http.Response, error) string {
	return func(answer *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Error(err)
			return ""
		}
		defer func() { _ = answer.Body.Close() }()
		page, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d, %v", answer.Request.URL, answer.StatusCode, err)
		}
		return string(page)
	}
}

// wantStates wants a rollout in every state, and returns one of each app.
func wantStates(t *testing.T, client *prova.Client) map[string]api.Rollout {
	t.Helper()
	list, err := client.Rollouts(t.Context(), prova.RolloutFilter{})
	if err != nil {
		t.Error(err)
	}
	of := map[string]api.Rollout{}
	var got []string
	for _, r := range list.Items {
		of[r.AppID] = r
		word := fmt.Sprintf("%s %s %s", r.AppID, r.CandidateRelease, r.State)
		if r.Advisory {
			word += " on paper"
		}
		if r.State == api.StateActive {
			word += " " + string(r.LastDecision.Decision) + " " + r.LastDecision.Reason.Code
		}
		got = append(got, word)
	}
	slices.Sort(got)
	want := []string{
		"billing-agent v37 active hold pairwise_too_few", "claims-agent v37 active hold fresh_runs", "sales-agent v37 paused", "search-agent v12 active hold no_look",
		"support-agent v2 promoted", "support-agent v3 rolled_back", "travel-agent v8 aborted", "voice-agent v37 promoted on paper",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the rollouts are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	return of
}

func hookOf(t *testing.T, client *prova.Client) string {
	t.Helper()
	hooks, err := client.Webhooks(t.Context())
	if err != nil || len(hooks.Items) != 1 {
		t.Errorf("%d webhooks, %v", len(hooks.Items), err)
		return "none"
	}
	return hooks.Items[0].ID
}

// wantDeliveries wants deliveries that the router took, and one that it refused.
func wantDeliveries(t *testing.T, client *prova.Client) {
	t.Helper()
	list, err := client.Deliveries(t.Context(), hookOf(t, client), prova.Page{})
	if err != nil {
		t.Error(err)
	}
	taken, refused := 0, 0
	for _, d := range list.Items {
		switch {
		case d.Status == api.DeliveryDelivered:
			taken++
		case len(d.Attempts) > 0 && d.Attempts[0].StatusCode == http.StatusInternalServerError:
			refused++
		}
	}
	if taken < 4 || refused != 1 {
		t.Errorf("%d deliveries were taken and %d refused", taken, refused)
	}
}

// Ctrl-C before the server is left to itself ends the demo as at any other time.
func TestDemoKeepCanBeInterrupted(t *testing.T) {
	stdout := &endsAt{text: "✓ sales-agent", end: sync.OnceFunc(func() { interrupt(t) })}
	code := run(t.Context(), []string{"demo", "--keep", "--data", t.TempDir()}, strings.NewReader(""), stdout, &bytes.Buffer{}, func(string) string { return "" })
	if code != cli.Interrupted || strings.Contains(stdout.String(), "goes on at") {
		t.Errorf("exit code %d\n%s", code, stdout.String())
	}
}
