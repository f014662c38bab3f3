package stats

// Kappa is Cohen's: the agreement beyond what two raters with these habits have
// by chance, as a share of what there could be. In whole numbers it is
// (n·agreed − Σ rows·columns) / (n² − Σ rows·columns). It is nil where chance
// alone explains all: of nothing, or of raters who always say the same.
//
// Source: Cohen 1960.
func Kappa(confusion [3][3]int64) *float64 {
	var rows, columns [3]int64
	var n int64
	for i, row := range confusion {
		for k, count := range row {
			rows[i] += count
			columns[k] += count
			n += count
		}
	}
	var chance int64
	for i := range rows {
		chance += rows[i] * columns[i]
	}
	if n*n == chance {
		return nil
	}
	agreed := confusion[0][0] + confusion[1][1] + confusion[2][2]
	k := float64(n*agreed-chance) / float64(n*n-chance)
	return &k
}
