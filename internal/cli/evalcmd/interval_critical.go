package evalcmd

import (
	"fmt"
	"math"
	"strconv"

	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/stats"
)

// Critical is the critical value of the normal mixture.
type Critical struct {
	Alpha       float64 `required:"" placeholder:"A" help:"Two-sided error over all looks together, between 0 and 1, such as 0.05."`
	Information float64 `required:"" placeholder:"V" help:"Information so far: n_c n_b/(n_c+n_b) of two samples, n of one."`
	NOpt        float64 `name:"n-opt" default:"150" placeholder:"V" help:"The information at which the value is smallest (default ${default})."`
	JSON        bool    `name:"json" help:"Print it as JSON, with all digits."`
}

// Help shows an example.
func (Critical) Help() string {
	return "With probability 1 - alpha, a normal statistic stays within ± this value at every look, however many.\n\nExample:\n\n  prova-eval interval critical --alpha 0.05 --information 60"
}

// criticalValue is a critical value as it is printed: estimate is the value, and
// lo and hi are what a statistic stays between.
type criticalValue struct {
	result
	Alpha       float64 `json:"alpha"`
	Information float64 `json:"information"`
	NOpt        float64 `json:"n_opt"`
}

// Run computes it.
func (c Critical) Run(env *cli.Env) error {
	if !(c.Alpha > 0 && c.Alpha < 1) {
		return cli.Usagef("--alpha: want a number between 0 and 1, such as 0.05")
	}
	for _, f := range []struct {
		flag  string
		value float64
	}{{"--information", c.Information}, {"--n-opt", c.NOpt}} {
		if !(f.value > 0) || math.IsInf(f.value, 0) {
			return cli.Usagef("%s: want a finite number above 0, such as 60", f.flag)
		}
	}
	z := stats.CriticalMixture(c.Alpha, c.Information, c.NOpt)
	if c.JSON {
		return env.PrintJSON(criticalValue{
			result: result{Method: "critical-mixture", Confidence: 1 - c.Alpha, Estimate: z, Lo: -z, Hi: z},
			Alpha:  c.Alpha, Information: c.Information, NOpt: c.NOpt,
		})
	}
	digits := func(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
	return env.Print(fmt.Sprintf("±%s  alpha %s over all looks, information %s, smallest at %s\n", digits(z), digits(c.Alpha), digits(c.Information), digits(c.NOpt)))
}
