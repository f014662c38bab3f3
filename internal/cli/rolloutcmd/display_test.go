package rolloutcmd

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
)

// A log has a line for each change, none for what stays the same, and one now
// and then so that the job is not ended for silence.
func TestLogDisplay(t *testing.T) {
	var stdout, stderr bytes.Buffer
	now := time.Date(2026, 5, 15, 18, 42, 0, 0, time.UTC)
	d := &logDisplay{env: &cli.Env{Stdout: &stdout, Stderr: &stderr}, now: func() time.Time { return now }}
	v := view(api.StateActive, api.Hold, api.ModeCanary)
	d.waiting(time.Second, time.Hour)
	for i := range 5 {
		v.Rollout.UpdatedAt = now.Add(time.Duration(i)) // no news
		d.view(v)
	}
	v.Rollout.FreshRuns++
	d.view(v)
	if got := strings.Count(stdout.String(), "\n"); got != 3 || strings.Count(stdout.String(), "baseline warn  the baseline has had no run") != 1 {
		t.Errorf("%d lines, want 2, and one for the check:\n%s", got, stdout.String())
	}
	for range 150 {
		now = now.Add(time.Second)
		d.view(v)
		d.waiting(time.Second, time.Hour)
	}
	if got := strings.Count(stderr.String(), "still watching: active at step 1"); got != 2 {
		t.Errorf("%d heartbeats in 150 s, want 2:\n%s", got, stderr.String())
	}
}
