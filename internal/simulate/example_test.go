package simulate_test

import (
	"fmt"

	"github.com/cobound/prova/internal/simulate"
)

// How soon is an outage found, if the first run may already be tested?
func Example() {
	assumed := simulate.Defaults()
	assumed.Rates = [2]float64{0.10, 0.60}
	assumed.FirstLook = 1
	scenario, err := assumed.Scenario()
	if err != nil {
		panic(err)
	}
	result, err := scenario.Play(simulate.Run{Rollouts: 100, Seed: 1, Workers: 2})
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s: %.0f %% rolled back, half of them within %d candidate runs\n",
		assumed.Truth(), 100*result.RolledBack.Rate, *result.RunsToRollback.Median)
	// Output: failures 10 → 60 %: 100 % rolled back, half of them within 10 candidate runs
}
