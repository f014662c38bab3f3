package stats

import "fmt"

// DecidedPairs is the Paired block of comparisons that one side won: the
// candidate fails where it lost. Ties say nothing about which side is better and
// are left out. The interval of such a test is of the share of losses minus that
// of wins; WinShare turns it into the rate of wins.
func DecidedPairs(stratum, wins, losses int64) Block {
	pairs := wins + losses
	return Block{
		Stratum: stratum, Design: Paired,
		Candidate: Proportion{X: losses, N: pairs}, Baseline: Proportion{X: wins, N: pairs},
	}
}

// WinMargin is the margin of decided pairs under which a candidate is harmless
// that wins at least 1/2 - below of them, below in [0, 1/2). It is exact.
func WinMargin(below float64) (Margin, error) {
	m := Margin{OddsRatio: (0.5 + below) / (0.5 - below)}
	if !(below >= 0 && below < 0.5) || m.check() != nil {
		return Margin{}, fmt.Errorf("stats: a margin of %v below one half is out of range", below)
	}
	return m, nil
}

// WinShare turns the difference of a test of decided pairs into the share of
// pairs that the candidate wins, with its interval.
func WinShare(d Difference) Difference {
	return Difference{Estimate: (1 - d.Estimate) / 2, Lo: (1 - d.Hi) / 2, Hi: (1 - d.Lo) / 2}
}
