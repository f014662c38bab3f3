package evalcmd

import (
	"math"
	"slices"

	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/stats"
)

// Samples is the values of two cohorts and how they are resampled.
type Samples struct {
	Candidate []float64 `required:"" placeholder:"1,2,…" help:"Values of the candidate, one for each unit."`
	Baseline  []float64 `required:"" placeholder:"1,2,…" help:"Values of the baseline, one for each unit."`
	Resamples int       `default:"10000" placeholder:"N" help:"How often to resample (default ${default})."`
	Seed      uint64    `default:"1" placeholder:"N" help:"The seed; the same seed gives the same digits (default ${default})."`
	Method    string    `default:"percentile" placeholder:"percentile|bca" help:"How resamples become an interval (default ${default})."`
	Level
}

// maxResamples bounds the work: beyond it no digit that anybody reads changes.
const maxResamples = 10_000_000

// resampling checks everything that both bootstraps are told.
func (s Samples) resampling() (stats.Resampling, error) {
	how := stats.Resampling{Confidence: s.Confidence, Seed: stats.Seed(s.Seed), Resamples: s.Resamples}
	if err := s.check(); err != nil {
		return how, err
	}
	if s.Resamples < 1 || s.Resamples > maxResamples {
		return how, cli.Usagef("--resamples: want 1 to %d", maxResamples)
	}
	switch s.Method {
	case "percentile":
	case "bca":
		how.Method = stats.BCa
	default:
		return how, cli.Usagef("--method %q: want percentile or bca", s.Method)
	}
	for _, list := range []struct {
		flag   string
		values []float64
	}{{"--candidate", s.Candidate}, {"--baseline", s.Baseline}} {
		if len(list.values) == 0 {
			return how, cli.Usagef("%s: want at least one value, such as %s 812,790.5", list.flag, list.flag)
		}
		for _, v := range list.values {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return how, cli.Usagef("%s %v: want finite numbers", list.flag, v)
			}
		}
	}
	return how, nil
}

// BootstrapMean is the difference of two means.
type BootstrapMean struct {
	Samples
}

// Help shows an example.
func (BootstrapMean) Help() string {
	return "The difference is candidate minus baseline.\n\nExample:\n\n  prova-eval interval bootstrap-mean --candidate 812,790,1204 --baseline 640,701,655,690 --method bca"
}

// Run computes it.
func (c BootstrapMean) Run(env *cli.Env) error {
	how, err := c.resampling()
	if err != nil {
		return err
	}
	candidate, err := units("--candidate", c.Candidate)
	if err != nil {
		return err
	}
	baseline, err := units("--baseline", c.Baseline)
	if err != nil {
		return err
	}
	method := "bootstrap-mean"
	if how.Method == stats.BCa {
		method = "bootstrap-mean-bca"
	}
	return c.print(env, method, stats.BootstrapMeans([]stats.UnitStratum{{Candidate: candidate, Baseline: baseline}}, how).Difference)
}

func units(flag string, values []float64) ([]stats.Unit, error) {
	list := make([]stats.Unit, 0, len(values))
	for _, v := range values {
		sum, err := stats.FixedOf(v)
		if err != nil {
			return nil, cli.Usagef("%s %v: %w", flag, v, err)
		}
		list = append(list, stats.Unit{Count: 1, Sum: sum})
	}
	return list, nil
}

// BootstrapQuantile is the difference of two quantiles.
type BootstrapQuantile struct {
	Q float64 `default:"0.95" placeholder:"Q" help:"Which quantile, between 0 and 1 (default ${default})."`
	Samples
}

// Help shows an example.
func (BootstrapQuantile) Help() string {
	return "The difference is candidate minus baseline, of quantiles of type 7 (the default of R and NumPy).\n\nExample:\n\n  prova-eval interval bootstrap-quantile --q 0.5 --candidate 812,790,1204 --baseline 640,701,655,690"
}

// Run computes it.
func (c BootstrapQuantile) Run(env *cli.Env) error {
	how, err := c.resampling()
	if err != nil {
		return err
	}
	if !(c.Q > 0 && c.Q < 1) {
		return cli.Usagef("--q: want a number between 0 and 1, such as 0.95")
	}
	if how.Method != stats.Percentile {
		return cli.Usagef("--method bca: not for quantiles, whose acceleration cannot be estimated; use percentile")
	}
	candidate, baseline := slices.Sorted(slices.Values(c.Candidate)), slices.Sorted(slices.Values(c.Baseline))
	return c.print(env, "bootstrap-quantile", stats.BootstrapQuantile(candidate, baseline, c.Q, how))
}
