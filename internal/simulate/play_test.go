package simulate

import (
	"reflect"
	"testing"
)

// TestFiguresDecideNothing: under the guarantee over the rollout the cohorts'
// figures are shown and never decisive, so a simulation may leave them out.
func TestFiguresDecideNothing(t *testing.T) {
	a := Defaults()
	a.Rates[1], a.Gates, a.Arrivals = 0.17, 2, Random
	s, err := a.Scenario()
	if err != nil {
		t.Fatal(err)
	}
	for number := range uint64(30) {
		without, err := playOne(s, 1, number)
		if err != nil {
			t.Fatal(err)
		}
		p, err := newPlay(s, 1, number)
		if err != nil {
			t.Fatal(err)
		}
		p.figures, p.quiet = true, false
		with, err := p.toEnd()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(with, without) {
			t.Fatalf("rollout %d: %+v with figures, %+v without", number, with, without)
		}
	}
}
