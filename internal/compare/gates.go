package compare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cobound/prova/api"
)

// DefaultGates chooses the gates for a baseline that reports the given
// metrics: success rolls back, or else the first known rate; every other known
// metric is a signal. With no metric seen at all (nothing has run yet) every
// known metric counts as reported. It is an error if metrics were seen and no known rate among
// them.
func DefaultGates(seen []string) ([]api.Gate, error) {
	var gates []api.Gate
	for _, k := range api.KnownMetrics() {
		if len(seen) > 0 && !slices.Contains(seen, k.Metric) {
			continue
		}
		g := api.Gate{Metric: k.Metric, Statistic: k.Statistic, Better: k.Better, On: api.OnWarn}
		if k.Statistic == api.StatisticRate && !slices.ContainsFunc(gates, decisive) {
			g.On = api.OnRollback
			gates = append([]api.Gate{g}, gates...)
			continue
		}
		gates = append(gates, g)
	}
	if !slices.ContainsFunc(gates, decisive) {
		seen = slices.Sorted(slices.Values(seen))
		return nil, fmt.Errorf("the baseline reports none of the metrics that are gated by default (success, error, flagged); say which to gate, such as %s:rate:better=higher; it reports: %s",
			seen[0], strings.Join(seen, ", "))
	}
	return gates, nil
}

func decisive(g api.Gate) bool { return g.On != api.OnWarn }
