package prova_test

import (
	"os"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
)

// The page about sending runs explains every metric that has a meaning of its own.
func TestDocsExplainMetrics(t *testing.T) {
	page, err := os.ReadFile("../docs/sending-runs.md")
	ok(t, err)
	words := map[api.Statistic]string{api.StatisticRate: "rate", api.StatisticMean: "mean", api.StatisticP95: "95th percentile"}
	for _, k := range api.KnownMetrics() {
		row := ""
		for line := range strings.Lines(string(page)) {
			if strings.HasPrefix(line, "| `"+k.Metric+"` |") {
				row = strings.TrimSpace(line)
			}
		}
		if want := "| " + words[k.Statistic] + " | " + string(k.Better) + " |"; !strings.HasSuffix(row, want) {
			t.Errorf("%s is explained with %q, want %q", k.Metric, row, want)
		}
	}
}
