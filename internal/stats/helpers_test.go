package stats_test

import "sort"

// sorted returns the values in ascending order, in a slice of its own.
func sorted(values []float64) []float64 {
	s := append([]float64{}, values...)
	sort.Float64s(s)
	return s
}
