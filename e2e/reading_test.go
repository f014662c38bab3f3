package e2e

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"math"
	"slices"

	"github.com/cobound/prova/api"
)

const (
	candidateSide = 0
	baselineSide  = 1
)

// reading is what the test makes of the log of one rollout.
type reading struct {
	policy    api.Policy
	app       string
	baseline  string
	candidate string
	since     int64
	epoch     int64
	number    int64
	runs      [2]int64
	paired    int64
	first     int64
	last      int64
	digest    []byte
	// cells are the values of each gate in the block, by epoch.
	cells []map[int64]*values
	// totals are those of all blocks that were closed.
	totals     []map[int64]*values
	thresholds []*int
	known      map[string][]int // bins of the baseline's values since the beginning, by metric
	counted    map[string]countedRun
	probes     [2]map[string]map[string]api.Metric
	closed     []closedBlock
	before     float64 // information before the block, in runs or pairs
	earlier    float64
	inEpoch    [2]int64
}

type countedRun struct {
	index, epoch int64
	side         int
}

type closedBlock struct {
	number, epoch, first, last int64
	digest                     string
	looks                      []api.Look
}

// values are what one gate has in one epoch.
type values struct {
	n, failures [2]int64
	units       [2]map[string][]float64 // of the block
	means       [2][]float64            // of units, block by block
	pairs       []float64               // differences on pairs
}

// runLine is what is read of the receipt of a run or an outcome.
type runLine struct {
	Source  api.EventSource       `json:"source"`
	RunID   string                `json:"run_id"`
	ProbeID string                `json:"probe_id"`
	UnitID  string                `json:"unit_id"`
	Metrics map[string]api.Metric `json:"metrics"`
}

func begin(b decisionReceipt, app string, index int64) *reading {
	r := &reading{
		policy: b.Policy, app: app, baseline: baseline, candidate: candidate, since: index, epoch: b.FirstEpoch, number: 1, first: index, last: index - 1,
		known: map[string][]int{}, counted: map[string]countedRun{}, probes: [2]map[string]map[string]api.Metric{{}, {}},
	}
	r.thresholds = make([]*int, len(b.Policy.Gates))
	for range b.Policy.Gates {
		r.totals = append(r.totals, map[int64]*values{})
	}
	r.empty()
	return r
}

func (r *reading) empty() {
	r.cells = nil
	for range r.policy.Gates {
		r.cells = append(r.cells, map[int64]*values{})
	}
	r.runs, r.paired, r.digest = [2]int64{}, 0, nil
}

func at(cells map[int64]*values, epoch int64) *values {
	if cells[epoch] == nil {
		cells[epoch] = &values{units: [2]map[string][]float64{{}, {}}}
	}
	return cells[epoch]
}

// take reads a run or an outcome.
func (r *reading) take(index int64, event string, outcome bool, line runLine) {
	side, epoch := candidateSide, r.epoch
	if line.Source.Release == r.baseline {
		side = baselineSide
	}
	if outcome {
		run := r.counted[line.RunID]
		side, epoch = run.side, run.epoch
	} else {
		r.runs[side]++
		r.counted[line.RunID] = countedRun{index, epoch, side}
	}
	for i, g := range r.policy.Gates {
		m, ok := line.Metrics[g.Metric]
		if !ok || g.Pair != "" {
			continue
		}
		r.add(g, i, at(r.cells[i], epoch), side, cmp.Or(line.UnitID, line.ProbeID, event), m.Value)
	}
	if side == baselineSide {
		for name, m := range line.Metrics {
			r.known[name] = append(r.known[name], bin(m.Value))
		}
	}
	if !outcome {
		r.pair(side, line)
	}
	r.last = index
	message := binary.BigEndian.AppendUint64(r.digest, uint64(index))
	sum := sha256.Sum256(append(message, "cb"[side]))
	r.digest = sum[:]
	if !outcome && r.full() {
		r.end(index+1, false)
	}
}

// add counts one value of a gate.
func (r *reading) add(g api.Gate, i int, v *values, side int, unit string, value float64) {
	v.n[side]++
	harmful := value == 0 == (g.Better == api.BetterHigher)
	switch {
	case g.Statistic == api.StatisticMean:
		v.units[side][unit] = append(v.units[side][unit], value)
		return
	case g.Statistic != api.StatisticRate:
		if side == candidateSide { // what the margin allows is taken off first
			value /= 1 + g.Margin.Value
		}
		harmful = r.thresholds[i] != nil && bin(value) > *r.thresholds[i]
	}
	if harmful {
		v.failures[side]++
	}
}

// pair counts the pair that a run completes: the first of each release on a probe.
func (r *reading) pair(side int, line runLine) {
	if _, again := r.probes[side][line.ProbeID]; again {
		return
	}
	r.probes[side][line.ProbeID] = line.Metrics
	other, ok := r.probes[1-side][line.ProbeID]
	if !ok {
		return
	}
	r.paired++
	both := [2]map[string]api.Metric{line.Metrics, other}
	if side == baselineSide {
		both = [2]map[string]api.Metric{other, line.Metrics}
	}
	for i, g := range r.policy.Gates {
		if g.Pair == "" {
			continue
		}
		v, c, b := at(r.cells[i], r.epoch), both[candidateSide][g.Metric].Value, both[baselineSide][g.Metric].Value
		v.n[candidateSide]++
		v.n[baselineSide]++
		v.pairs = append(v.pairs, c-b)
		if worse := b - c; worse > 0 { // of rates where higher is better
			v.failures[candidateSide]++
		} else if worse < 0 {
			v.failures[baselineSide]++
		}
	}
}

// full reports whether the block closes: by 5 runs of each release, or by 5
// pairs where all gates are on pairs, and past the plan by 1 % more information.
func (r *reading) full() bool {
	planned, after := 0.0, r.after()
	for _, w := range r.policy.Steps {
		planned += float64(r.policy.MinRuns) * float64(100-w) / 100
	}
	enough := r.runs[candidateSide] >= 5 && r.runs[baselineSide] >= 5
	if r.onlyPairs() {
		planned, enough = float64(r.policy.MinRuns)*float64(len(r.policy.Steps)-1)/2, r.paired >= 5
	}
	return enough && (r.before < planned || after >= 1.01*r.before)
}

func (r *reading) onlyPairs() bool {
	return !slices.ContainsFunc(r.policy.Gates, func(g api.Gate) bool { return g.Pair == "" })
}

func (r *reading) after() float64 {
	c, b := r.inEpoch[candidateSide]+r.runs[candidateSide], r.inEpoch[baselineSide]+r.runs[baselineSide]
	if r.onlyPairs() {
		c, b = r.inEpoch[candidateSide]+r.paired, r.inEpoch[baselineSide]+r.paired
	}
	return r.earlier + weigh(c, b)
}

func weigh(c, b int64) float64 {
	if c == 0 || b == 0 {
		return 0
	}
	return float64(c) * float64(b) / float64(c+b)
}

// end closes the block, or drops it if it holds nothing to compare, and aims
// the next one. A transition begins a new epoch.
func (r *reading) end(index int64, transition bool) {
	kept := r.runs[candidateSide] > 0 && r.runs[baselineSide] > 0
	if r.onlyPairs() {
		kept = r.paired > 0
	}
	if kept {
		r.before = r.after()
		for side := range r.runs {
			if r.onlyPairs() {
				r.inEpoch[side] += r.paired
			} else {
				r.inEpoch[side] += r.runs[side]
			}
		}
		c := closedBlock{number: r.number, epoch: r.epoch, first: r.first, last: r.last, digest: hex.EncodeToString(r.digest)}
		for i, g := range r.policy.Gates {
			for _, epoch := range slices.Sorted(maps.Keys(r.cells[i])) {
				if l, ok := r.look(i, g, epoch); ok {
					c.looks = append(c.looks, l)
				}
			}
		}
		r.closed = append(r.closed, c)
		r.number++
	}
	if transition {
		r.earlier, r.inEpoch = r.earlier+weigh(r.inEpoch[candidateSide], r.inEpoch[baselineSide]), [2]int64{}
		r.epoch++
	}
	r.empty()
	r.first, r.last = index, index-1
	for i, g := range r.policy.Gates {
		if q, ok := g.Statistic.Quantile(); ok && len(r.known[g.Metric]) > 0 {
			sorted := slices.Sorted(slices.Values(r.known[g.Metric]))
			r.thresholds[i] = &sorted[int(math.Ceil(float64(len(sorted)-1)*q-1e-12))]
		}
	}
}

// look is what the receipt must print of a gate in one epoch of the block.
func (r *reading) look(i int, g api.Gate, epoch int64) (api.Look, bool) {
	v := r.cells[i][epoch]
	_, quantile := g.Statistic.Quantile()
	if v.n[candidateSide] == 0 || v.n[baselineSide] == 0 || quantile && r.thresholds[i] == nil {
		return api.Look{}, false
	}
	l := api.Look{Gate: g.ID(), Block: r.number, Stratum: epoch}
	mean := g.Statistic == api.StatisticMean
	if g.Pair != "" {
		l.Stratum, epoch = 0, 0 // a pair may reach over epochs
	}
	total := at(r.totals[i], epoch)
	total.pairs = append(total.pairs, v.pairs...)
	for side, out := range []*api.Failures{candidateSide: &l.Candidate, baselineSide: &l.Baseline} {
		*out = api.Failures{Runs: v.n[side], Failures: v.failures[side]}
		if mean {
			out.Failures = 0
		}
		if mean && g.Pair == "" {
			out.Runs = int64(len(v.units[side]))
			for _, runs := range v.units[side] {
				total.means[side] = append(total.means[side], sum(runs)/float64(len(runs)))
			}
		}
		total.n[side] += out.Runs
	}
	l.Strata = int64(len(r.totals[i]))
	for _, t := range r.totals[i] {
		l.Information += weigh(t.n[candidateSide], t.n[baselineSide])
	}
	if mean {
		l.Statistic = statistic(g, r.totals[i])
	}
	return l, true
}

func sum(list []float64) (s float64) {
	for _, v := range list {
		s += v
	}
	return s
}

// statistic is Welch's over strata, or that of the differences on pairs;
// positive where the candidate is worse. Lower is better in all that is played.
func statistic(g api.Gate, strata map[int64]*values) float64 {
	shift, variance := 0.0, 0.0
	for _, v := range strata {
		if g.Pair != "" {
			for _, d := range v.pairs {
				shift += d / 2
				variance += d * d / 4
			}
			continue
		}
		w, d, spread := weigh(v.n[candidateSide], v.n[baselineSide]), 0.0, 0.0
		for side, sign := range []float64{candidateSide: 1, baselineSide: -1} {
			n := float64(len(v.means[side]))
			mean, squares := sum(v.means[side])/n, 0.0
			for _, x := range v.means[side] {
				squares += (x - mean) * (x - mean)
			}
			d += sign * mean
			spread += squares / (n - 1) / n
		}
		shift += w * d
		variance += w * w * spread
	}
	if shift == 0 && variance == 0 {
		return 0
	}
	return shift / math.Sqrt(variance)
}

// bin is the place of a positive value in the histogram: 256 bins to each
// doubling from 2^-30 on.
func bin(v float64) int {
	fraction, exponent := math.Frexp(v)
	if v < math.Ldexp(1, -30) {
		return 0
	}
	return (exponent-1+30)*256 + int((2*fraction-1)*256) + 1
}
