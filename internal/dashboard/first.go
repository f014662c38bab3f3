package dashboard

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cobound/prova/api"
)

// firstCommands are what to run where there is nothing to show yet.
type firstCommands struct {
	URL, App, Baseline, Candidate string
	// Runs is whether any were seen.
	Runs bool
}

// commandsFor fills the commands with what was seen last.
func commandsFor(r *request, releases []api.Release) *firstCommands {
	c := &firstCommands{URL: r.base(), App: "claims-agent", Baseline: "v36", Candidate: "v37", Runs: len(releases) > 0}
	newest := slices.SortedFunc(slices.Values(releases), func(a, b api.Release) int { return cmp.Compare(b.FirstIndex, a.FirstIndex) })
	for i, release := range newest {
		if release.Release == "" {
			continue
		}
		c.App, c.Candidate, c.Baseline = shell(release.AppID), shell(release.Release), "BASELINE"
		for _, older := range newest[i+1:] {
			if older.AppID == release.AppID && older.Release != "" && older.Environment == release.Environment {
				c.Baseline = shell(older.Release)
				break
			}
		}
		break
	}
	return c
}

// shell writes a text so that a shell takes it as one word and runs nothing of it.
func shell(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@+,", r)
	}
	if strings.TrimFunc(text, plain) == "" && !strings.HasPrefix(text, "-") {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
