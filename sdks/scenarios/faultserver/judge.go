package faultserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cobound/prova/api"
)

// Report is what an SDK's test saw of its own side.
type Report struct {
	Expect Expect `json:"expect"`
	// Counts are those of the last recorder.
	Counts map[string]int64 `json:"counts"`
	// Warnings are all that the recorders complained about.
	Warnings []Warning `json:"warnings"`
}

// Warning is one complaint.
type Warning struct {
	Kind string `json:"kind"`
	// Name is that of the value that was refused, if one was.
	Name string `json:"name,omitempty"`
}

// Judge compares what an SDK and the server saw with what a scenario expects,
// and returns what differs. It also returns what no SDK may do: send other
// bytes under the key of an event that was signed, or come back before the
// time that the server asked to wait for.
func (s *Server) Judge(r Report) []string {
	seen := s.Seen()
	failures := append([]string{}, seen.Faulty...)
	fail := func(format string, args ...any) { failures = append(failures, fmt.Sprintf(format, args...)) }
	for _, name := range slices.Sorted(maps.Keys(r.Expect.Counts)) {
		if got, ok := r.Counts[name]; !ok || got != r.Expect.Counts[name] {
			fail("the count %s is %d, want %d", name, got, r.Expect.Counts[name])
		}
	}
	if in, out := r.Counts["recorded"]+r.Counts["recovered"], r.Counts["sent"]+r.Counts["refused"]+r.Counts["dropped"]+r.Counts["queued"]+r.Counts["spooled"]; in != out {
		fail("%d events came in and %d are counted somewhere", in, out)
	}
	var kinds, names []string
	for _, w := range r.Warnings {
		kinds, names = append(kinds, w.Kind), append(names, w.Name)
	}
	slices.Sort(kinds)
	if got, want := slices.Compact(kinds), slices.Sorted(slices.Values(r.Expect.Warnings)); !slices.Equal(got, want) {
		fail("the kinds of warnings are %v, want %v", got, want)
	}
	for _, name := range r.Expect.Refused {
		if !slices.Contains(names, name) {
			fail("no warning names %s", name)
		}
	}
	if n := len(seen.Requests); n < r.Expect.MinRequests || r.Expect.MaxRequests > 0 && n > r.Expect.MaxRequests {
		fail("%d requests came, want %d to %d", n, r.Expect.MinRequests, r.Expect.MaxRequests)
	}
	return append(failures, judgeEvents(seen.Signed, r.Expect.Events)...)
}

func judgeEvents(signed []api.Event, expected []Event) (failures []string) {
	var want []Event
	for _, e := range expected {
		for range max(1, e.Repeat) {
			want = append(want, e)
		}
	}
	if len(signed) != len(want) {
		failures = append(failures, fmt.Sprintf("%d events were signed, want %d", len(signed), len(want)))
	}
	for i := range min(len(signed), len(want)) {
		for _, f := range want[i].differences(signed[i]) {
			failures = append(failures, fmt.Sprintf("event %d: %s", i, f))
		}
	}
	return failures
}

func (want Event) differences(got api.Event) (list []string) {
	same := func(what, got, want string) {
		if got != want {
			list = append(list, fmt.Sprintf("%s is %q, want %q", what, got, want))
		}
	}
	environment := want.Environment
	if environment == "" {
		environment = api.DefaultEnvironment
	}
	if got.Source.Environment == "" {
		got.Source.Environment = api.DefaultEnvironment
	}
	same("kind", got.Kind, want.Kind)
	same("environment", got.Source.Environment, environment)
	same("release", got.Source.Release, want.Release)
	same("probe_id", got.ProbeID, want.ProbeID)
	same("unit_id", got.UnitID, want.UnitID)
	if want.AppID != "" {
		same("app_id", got.Source.AppID, want.AppID)
	}
	if want.RunID != "" {
		same("run_id", got.RunID, want.RunID)
	}
	same("payload", names(got.Payload), strings.Join(slices.Sorted(slices.Values(want.Payload)), " "))
	same("attributes", names(got.Attributes), strings.Join(slices.Sorted(slices.Values(want.Attributes)), " "))
	same("metrics", names(got.Metrics), names(want.Metrics))
	for name, value := range want.Metrics {
		if string(value) == "null" {
			continue
		}
		var m api.Metric
		if err := json.Unmarshal(value, &m); err != nil || got.Metrics[name] != m {
			list = append(list, fmt.Sprintf("the metric %s is %v, want %s", name, got.Metrics[name], value))
		}
	}
	if got.RunID == "" {
		list = append(list, "it has no run_id")
	}
	if timeless := got.OccurredAt == ""; timeless != want.Timeless {
		list = append(list, fmt.Sprintf("occurred_at is %q", got.OccurredAt))
	}
	return list
}

func names[V any](m map[string]V) string { return strings.Join(slices.Sorted(maps.Keys(m)), " ") }
