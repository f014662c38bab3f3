package figures_test

import (
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/figures"
)

func number(v float64) *float64 { return &v }

func share(x, n int64, value, lo, hi float64) api.Share {
	return api.Share{X: x, N: n, Value: &value, Lo: &lo, Hi: &hi}
}

// TestJudged: all of a judge's figures are said, and that nobody calibrated it.
func TestJudged(t *testing.T) {
	s := api.JudgeSummary{
		Judge:   api.Judge{Model: "m\x1b[2J", Template: strings.Repeat("ab", 32)},
		Figures: api.JudgedFigures{Wins: 12, Losses: 1, Ties: 4, NoVerdict: 2, Repeats: 1, BothOrders: 17, Agreed: 13, FirstTwice: 3, SecondTwice: 1, LongerWins: 11, LongerKnown: 12},
		WinRate: share(12, 13, 12.0/13, 0.667, 0.986), HalfTies: number(14.0 / 17),
	}
	want := `judge m�[2J (template abababababab)
  win rate     92.3 % (12 of 13; 66.7 % to 98.6 %) of decided pairs, 82.4 % with ties as half
  pairs        12 wins, 1 loss, 4 ties, 2 without a verdict; 1 repeat left out
  order        both orders agree on 13 of 17 pairs; what was shown first won both times in 3, second in 1
  length       the longer answer won 11 of 12 pairs that were decided
  calibration  UNCALIBRATED: nobody has held it against people's labels; see prova judge calibrate --help`
	if got := strings.Join(figures.Judged(s, cli.Style{}), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	s.Calibration = &api.Calibration{Labels: 99, Agreement: share(70, 99, 0.7071, 0.61, 0.788), Kappa: number(0.49)}
	if got := strings.Join(figures.Judged(s, cli.Style{}), "\n"); strings.Contains(got, "UNCALIBRATED") || !strings.Contains(got, "agrees with people on 70.7 % (70 of 99; 61 % to 78.8 %), kappa 0.49, moderate; only 99 labels") {
		t.Errorf("calibrated:\n%s", got)
	}
	none := strings.Join(figures.Judged(api.JudgeSummary{}, cli.Style{}), "\n")
	for _, text := range []string{"none yet of decided pairs", "no pair was asked in both orders", "no decided pair with answers"} {
		if !strings.Contains(none, text) {
			t.Errorf("%q is not in\n%s", text, none)
		}
	}
}

func TestKappa(t *testing.T) {
	for k, want := range map[float64]string{-0.1: "worse than chance", 0.1: "slight", 0.2: "slight", 0.3: "fair", 0.6: "moderate", 0.61: "substantial", 0.9: "almost perfect", 1: "almost perfect"} {
		if got := figures.Kappa(&k); !strings.HasSuffix(got, want) {
			t.Errorf("%v: %s, want %s", k, got, want)
		}
	}
	if got := figures.Kappa(nil); got != "kappa not defined" {
		t.Error(got)
	}
}

// TestCalibration: every figure stands beside its name, and the table says which way the judge errs.
func TestCalibration(t *testing.T) {
	c := api.Calibration{
		Judge: api.Judge{Model: "m"}, Labels: 120, Compared: 118, Confusion: [3][3]int64{{40, 3, 2}, {9, 50, 1}, {4, 5, 4}},
		Agreement: share(94, 118, 0.7966, 0.715, 0.859), Kappa: number(0.65), Consistent: share(90, 118, 0.763, 0.678, 0.83),
		FirstBias: share(20, 22, 0.909, 0.722, 0.975), LongerWins: share(60, 100, 0.6, 0.5, 0.69), LabelsLonger: share(55, 100, 0.55, 0.45, 0.64),
	}
	want := `judge m
  labels       120, of which the judge gave a verdict on 118
  agreement    79.7 % (94 of 118; 71.5 % to 85.9 %)
  kappa        0.65, substantial; 1 is full agreement, 0 what chance gives with as many of each verdict
  order        both orders agree on 76.3 % (90 of 118; 67.8 % to 83 %)
               of the pairs on which it chose the same place in both orders, that was the first in 90.9 % (20 of 22; 72.2 % to 97.5 %)
  length       of the decided pairs the longer answer won, with the judge: 60 % (60 of 100; 50 % to 69 %)
               with people: 55 % (55 of 100; 45 % to 64 %)
  retest       no pair was judged twice

people say  judge: baseline  candidate  tie
baseline                 40          3    2
candidate                 9         50    1
tie                       4          5    4`
	if got := strings.Join(figures.Calibration(c, cli.Style{}), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestUnpairedText(t *testing.T) {
	if got := figures.UnpairedText(api.Unpaired{}); got != "" {
		t.Error(got)
	}
	if got, want := figures.UnpairedText(api.Unpaired{BaselineOnly: 1, CandidateOnly: 2, NoOutput: 3, InputsDiffer: 4}), "10 probes not paired: 1 ran on the baseline only, 2 ran on the candidate only, 3 without an output, 4 with different inputs"; got != want {
		t.Error(got)
	}
}
