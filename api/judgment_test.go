package api_test

import (
	"testing"

	"github.com/cobound/prova/api"
)

// TestJudgeIsNamed: in one line, with the beginning of the template in whole characters.
func TestJudgeIsNamed(t *testing.T) {
	for want, j := range map[string]api.Judge{
		"m":                           {Model: "m"},
		"m 2":                         {Model: "m", Version: "2"},
		"m (template t1)":             {Model: "m", Template: "t1"},
		"m 2 (template 0123456789ab)": {Model: "m", Version: "2", Template: "0123456789abcdef"},
		"m (template prompt-von-)":    {Model: "m", Template: "prompt-von-€"},
		"m (template prompt-of-é)":    {Model: "m", Template: "prompt-of-éé"},
	} {
		if got := j.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
