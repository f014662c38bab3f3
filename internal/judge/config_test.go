package judge_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/internal/judge"
)

// TestConfigFromEnv: what is missing or wrong is said with what to set, and secrets are not repeated.
func TestConfigFromEnv(t *testing.T) {
	criteria := filepath.Join(t.TempDir(), "criteria.txt")
	if err := os.WriteFile(criteria, []byte("\nBe right.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := map[string]string{"URL": "https://judge.example/v1/", "MODEL": "m", "API_KEY": "sk-key"}
	for name, c := range map[string]struct {
		change map[string]string
		says   string
	}{
		"good":            {},
		"no url":          {map[string]string{"URL": " "}, "http://127.0.0.1:11434/v1 (Ollama)"},
		"no model":        {map[string]string{"MODEL": ""}, "curl https://judge.example/v1/models"},
		"no scheme":       {map[string]string{"URL": "judge.example/v1"}, "PROVA_JUDGE_URL: want an address"},
		"a password":      {map[string]string{"URL": "https://u:secret@judge.example/v1"}, "want no user"},
		"the whole path":  {map[string]string{"URL": "https://judge.example/v1/chat/completions"}, "want the base"},
		"a broken key":    {map[string]string{"API_KEY": "secret\nx"}, "copied whole"},
		"one price":       {map[string]string{"PRICE_IN": "1"}, "go together"},
		"a bad price":     {map[string]string{"PRICE_IN": "1", "PRICE_OUT": "-1"}, "go together"},
		"infinite":        {map[string]string{"PRICE_IN": "Inf", "PRICE_OUT": "1"}, "go together"},
		"no tokens":       {map[string]string{"MAX_TOKENS": "0"}, "PROVA_JUDGE_MAX_TOKENS"},
		"no time":         {map[string]string{"TIMEOUT": "90"}, "90s"},
		"no concurrency":  {map[string]string{"CONCURRENCY": "x"}, "PROVA_JUDGE_CONCURRENCY"},
		"too much of it":  {map[string]string{"CONCURRENCY": "1000"}, "1 to 256"},
		"no criteria":     {map[string]string{"CRITERIA": criteria + ".not"}, "PROVA_JUDGE_CRITERIA"},
		"all that can be": {change: map[string]string{"PRICE_IN": "0.15", "PRICE_OUT": "0.6", "MAX_TOKENS": "9", "TIMEOUT": "90s", "CONCURRENCY": "2", "CRITERIA": criteria, "VERSION": "v", "RETRIES": "0"}},
	} {
		c2, err := judge.ConfigFromEnv(func(key string) string {
			key = strings.TrimPrefix(key, "PROVA_JUDGE_")
			if v, ok := c.change[key]; ok {
				return v
			}
			return good[key]
		})
		switch {
		case c.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.says != "" && (judge.KindOf(err) != judge.BadConfig || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%s: %v", name, err)
		case name == "all that can be" && (*c2.Prices != judge.Prices{In: 0.15, Out: 0.6} || c2.MaxTokens != 9 || c2.Timeout != 90*time.Second || c2.Concurrency != 2 || c2.Criteria != "Be right." || c2.Version != "v" || c2.Retries >= 0):
			t.Errorf("%s: %+v", name, c2)
		}
	}
	if err := os.WriteFile(criteria, []byte(strings.Repeat("x", 40<<10)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := judge.ReadCriteria(criteria); err == nil {
		t.Error("criteria of 40 KiB")
	}
}
