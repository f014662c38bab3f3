// Package stats computes the numbers behind a verdict: intervals of rates,
// means and quantiles, the exact group-sequential test of a rollout's rate
// gate, and the mergeable summaries that these are computed from.
//
// Three invariants hold for everything in here.
//
//   - Pure: a result depends on the arguments alone. There is no clock, no
//     environment, no shared state and no randomness but that of a seed that
//     the caller names.
//   - Reproducible: the same arguments give the same bits on every CPU. Only
//   - - * / and the square root, which IEEE 754 rounds correctly, touch a
//     float; a product that meets an addition is rounded first (written
//     float64(x*y)), because compilers may otherwise fuse the two on some
//     architectures; sums run in a fixed order.
//   - Values: a type of this package may be copied freely, and no function keeps
//     or reorders a slice that it is given.
//
// Throughout, a difference is candidate minus baseline, a rate is a fraction
// between 0 and 1, and a quantity that the data cannot give is NaN.
package stats
