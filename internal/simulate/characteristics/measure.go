package characteristics

import (
	"strconv"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/simulate"
	"github.com/cobound/prova/internal/stats"
)

// Line is what came of one cell.
type Line struct {
	Cell
	// Seed repeats the line with prova-eval simulate.
	Seed   uint32
	Result simulate.Result
	// Rival is the same scenario under the ordinary interval at each look; its
	// Rollouts is 0 where it was not played.
	Rival simulate.Result
}

// Share is the share that the cell's limit is about.
func (l Line) Share() simulate.Share {
	if l.Limit.Of == Promoted {
		return l.Result.Promoted
	}
	return l.Result.RolledBack
}

// Holds reports whether all that the cell's limit asks for holds.
func (l Line) Holds() bool {
	s, median := l.Share(), l.Result.RunsToRollback.Median
	return (l.Limit.AtMost == 0 || s.Hi <= l.Limit.AtMost) && s.Rate >= l.Limit.AtLeast &&
		(l.Limit.MedianWithin == 0 || median != nil && *median <= l.Limit.MedianWithin)
}

// Bounded reports whether the limit asks for anything.
func (l Limit) Bounded() bool { return l.AtMost != 0 || l.AtLeast != 0 || l.MedianWithin != 0 }

// Measured is a group with its lines.
type Measured struct {
	Group
	Lines []Line
}

// Mean is the mean of the shares of the group's lines.
func (m Measured) Mean() float64 {
	sum := 0.0
	for _, l := range m.Lines {
		sum += l.Share().Rate
	}
	return sum / float64(max(len(m.Lines), 1))
}

// Holds reports whether every limit of the group holds.
func (m Measured) Holds() bool {
	for _, l := range m.Lines {
		if !l.Holds() {
			return false
		}
	}
	return m.MeanAtMost == 0 || m.Mean() <= m.MeanAtMost
}

// Options are how much is played.
type Options struct {
	// Rollouts of each cell, and Rivals of the rule beside it; no rival where it is 0.
	Rollouts, Rivals int
	Seed             uint64
	Workers          int
	// Progress is told the share of cells that are done. Where it returns false the measurement stops.
	Progress func(share float64, cell string) bool
}

// Measure plays every cell of the groups. It fails where a cell is no scenario,
// and as simulate.Scenario.Play does.
func Measure(groups []Group, o Options) ([]Measured, error) {
	var out []Measured
	total, done := 0, 0
	for _, g := range groups {
		m := Measured{Group: g}
		for _, c := range g.Cells {
			m.Lines = append(m.Lines, Line{Cell: c})
		}
		if total += len(m.Lines); len(m.Lines) > 0 {
			out = append(out, m)
		}
	}
	for _, m := range out {
		for i := range m.Lines {
			part := func(share float64) bool {
				return o.Progress == nil || o.Progress((float64(done)+share)/float64(total), m.Lines[i].Assumed.Options())
			}
			if err := m.Lines[i].play(o, part); err != nil {
				return nil, err
			}
			done++
		}
	}
	return out, nil
}

// play measures a line. The seed depends on the cell alone, so that a line stays
// what it is when others come and go, and no two share their luck.
func (l *Line) play(o Options, progress func(float64) bool) error {
	l.Seed = uint32(stats.SeedOf("operating characteristics", strconv.FormatUint(o.Seed, 10), l.Assumed.Options()) >> 32)
	s, err := l.Assumed.Scenario()
	if err != nil {
		return err
	}
	o.Rollouts *= max(l.Times, 1)
	run := simulate.Run{Rollouts: o.Rollouts, Seed: stats.Seed(l.Seed), Workers: o.Workers}
	run.Progress = func(n int) bool { return progress(float64(n) / float64(o.Rollouts+o.Rivals)) }
	if l.Result, err = s.Play(run); err != nil {
		return err
	}
	rival := l.Assumed
	rival.Guarantee = api.GuaranteeLook
	if s, err = rival.Scenario(); err != nil || !l.hasRival(o) {
		return nil //nolint:nilerr // the rule beside ours does not know this evidence
	}
	run.Rollouts = o.Rivals
	run.Progress = func(n int) bool { return progress(float64(o.Rollouts+n) / float64(o.Rollouts+o.Rivals)) }
	l.Rival, err = s.Play(run)
	return err
}

// hasRival leaves out the interval of a mean, whose bootstrap at each look would
// take longer than everything else together.
func (l Line) hasRival(o Options) bool {
	return o.Rivals > 0 && l.Assumed.Metric.Statistic != api.StatisticMean
}
