package stats_test

import (
	"fmt"

	"github.com/cobound/prova/internal/stats"
)

// A canary with 30 runs against 570 of the baseline: 9 failures where 3 were to
// be expected are enough at the first look of a plan for three steps.
func Example() {
	test, err := stats.NewSequentialTest(stats.TestPlan{Budget: 0.05, Information: 66, FirstLook: 30})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, look, err := test.Look(stats.Block{
		Candidate: stats.Proportion{X: 9, N: 30},
		Baseline:  stats.Proportion{X: 57, N: 570},
	}, stats.Margin{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("score %d, boundary %d, regressed %v, used %.4f of %.4f\n", look.Score, look.Boundary, look.Regressed, look.Used, look.Allowed)
	// Output: score 144, boundary 129, regressed true, used 0.0030 of 0.0066
}

func ExampleNewcombe() {
	d := stats.Newcombe(stats.Proportion{X: 56, N: 70}, stats.Proportion{X: 48, N: 80}, stats.Critical(0.95))
	fmt.Printf("%.4f (%.4f to %.4f)\n", d.Estimate, d.Lo, d.Hi)
	// Output: 0.2000 (0.0524 to 0.3339)
}
