package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Mode says whether a rollout only observes (shadow) or acts (canary).
type Mode string

// The modes of a rollout.
const (
	ModeShadow Mode = "shadow"
	ModeCanary Mode = "canary"
)

// Guarantee names what the error rate of a rollout is promised over.
type Guarantee string

// GuaranteeRollout bounds the probability that a harmless release is ever
// rolled back over the whole rollout; GuaranteeLook is the usual interval at
// the stated confidence, read again at every tick.
const (
	GuaranteeRollout Guarantee = "rollout"
	GuaranteeLook    Guarantee = "look"
)

// Statistic is what is compared of a metric.
type Statistic string

// The statistics of a metric.
const (
	StatisticRate Statistic = "rate"
	StatisticMean Statistic = "mean"
	StatisticP50  Statistic = "p50"
	StatisticP90  Statistic = "p90"
	StatisticP95  Statistic = "p95"
	StatisticP99  Statistic = "p99"
)

// Quantile returns the probability of a quantile statistic, in (0,1).
func (s Statistic) Quantile() (q float64, ok bool) {
	switch s {
	case StatisticP50:
		return 0.50, true
	case StatisticP90:
		return 0.90, true
	case StatisticP95:
		return 0.95, true
	case StatisticP99:
		return 0.99, true
	case StatisticRate, StatisticMean:
	}
	return 0, false
}

// Better is the direction in which a metric improves.
type Better string

// The directions.
const (
	BetterHigher Better = "higher"
	BetterLower  Better = "lower"
)

// On says what a breach of a gate does.
type On string

// A rollback gate ends the rollout, a hold gate stops it from advancing, a
// warn gate is computed and shown and never decides.
const (
	OnRollback On = "rollback"
	OnHold     On = "hold"
	OnWarn     On = "warn"
)

// Margin is the harm a gate tolerates: absolute in units of the metric, or
// relative to the baseline. In JSON it is a number (absolute) or a string
// such as "5%" (relative).
type Margin struct {
	// Value is the absolute margin, or the share (0.05 for 5 %) if Relative. Never negative.
	Value    float64
	Relative bool
}

// String writes the margin as it stands in a gate: 0.02 or 5%.
func (m Margin) String() string {
	if m.Relative {
		return strconv.FormatFloat(m.Value*100, 'g', 12, 64) + "%"
	}
	return strconv.FormatFloat(m.Value, 'g', -1, 64)
}

// ParseMargin reads 0.02 or 5%.
func ParseMargin(text string) (Margin, error) {
	number, relative := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return Margin{}, fmt.Errorf("margin %q: want a number of at least 0, such as 0.02, or a share such as 5%%", text)
	}
	if relative {
		v /= 100
	}
	return Margin{Value: v, Relative: relative}, nil
}

// MarshalJSON writes a number or a string with a percent sign.
func (m Margin) MarshalJSON() ([]byte, error) {
	if m.Relative {
		return json.Marshal(m.String())
	}
	return json.Marshal(m.Value)
}

// UnmarshalJSON reads a number or a string.
func (m *Margin) UnmarshalJSON(data []byte) error {
	text := string(bytes.TrimSpace(data))
	if strings.HasPrefix(text, `"`) {
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
	}
	parsed, err := ParseMargin(text)
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}

// Gate is a metric, a statistic of it, the direction that is better, a margin
// and what a breach does. In JSON a gate is an object or the text form that
// ParseGate reads; it is always written as an object.
type Gate struct {
	Metric    string    `json:"metric"`
	Statistic Statistic `json:"statistic"`
	Better    Better    `json:"better"`
	Margin    Margin    `json:"margin"`
	// Pair is "probe" for a gate on pairs of runs with the same probe_id, else empty.
	Pair string `json:"pair,omitempty"`
	On   On     `json:"on"`
}

// PairProbe is the value of Gate.Pair for pairs by probe_id.
const PairProbe = "probe"

// How a comparison on demand pairs the gates that do not say: by probe if four
// fifths of both releases' runs have a partner, by probe, or not at all.
const (
	PairAuto = "auto"
	PairNone = "none"
)

// ParseGate reads METRIC[:STATISTIC][:better=…][:margin=…][:pair=probe][:on=…].
// What a known metric leaves out is filled in; an unknown metric must say
// which way is better and defaults to the mean.
func ParseGate(text string) (Gate, error) {
	parts := strings.Split(text, ":")
	g := Gate{Metric: parts[0]}
	for _, part := range parts[1:] {
		key, value, named := strings.Cut(part, "=")
		var err error
		switch {
		case !named:
			g.Statistic = Statistic(part)
		case key == "better":
			g.Better = Better(value)
		case key == "margin":
			g.Margin, err = ParseMargin(value)
		case key == "pair":
			g.Pair = value
		case key == "on":
			g.On = On(value)
		default:
			err = fmt.Errorf("unknown part %q: want STATISTIC, better=, margin=, pair= or on=", part)
		}
		if err != nil {
			return Gate{}, fmt.Errorf("gate %q: %w", text, err)
		}
	}
	return g.Complete()
}

// Complete fills in what a gate leaves out and checks the rest.
func (g Gate) Complete() (Gate, error) {
	if err := CheckName("metric", g.Metric); err != nil {
		return Gate{}, err
	}
	known, isKnown := KnownMetric(g.Metric)
	if g.Statistic == "" {
		g.Statistic = StatisticMean
		if isKnown {
			g.Statistic = known.Statistic
		}
	}
	if g.Better == "" {
		if !isKnown {
			return Gate{}, fmt.Errorf("gate %q: which way is better? add :better=higher or :better=lower", g.Metric)
		}
		g.Better = known.Better
	}
	if g.On == "" {
		g.On = OnRollback
	}
	return g, g.check()
}

// The largest margins: beyond them nothing could be called worse.
const (
	mostRateMargin     = 0.99
	mostRelativeMargin = 100
)

func (g Gate) check() error {
	if _, quantile := g.Statistic.Quantile(); !quantile && g.Statistic != StatisticRate && g.Statistic != StatisticMean {
		return fmt.Errorf("gate %q: unknown statistic %q: want rate, mean, p50, p90, p95 or p99", g.Metric, g.Statistic)
	}
	if g.Better != BetterHigher && g.Better != BetterLower {
		return fmt.Errorf("gate %q: better=%s: want higher or lower", g.Metric, g.Better)
	}
	if g.On != OnRollback && g.On != OnHold && g.On != OnWarn {
		return fmt.Errorf("gate %q: on=%s: want rollback, hold or warn", g.Metric, g.On)
	}
	if g.Pair != "" && g.Pair != PairProbe {
		return fmt.Errorf("gate %q: pair=%s: want probe", g.Metric, g.Pair)
	}
	if _, quantile := g.Statistic.Quantile(); quantile && g.Pair != "" {
		return fmt.Errorf("gate %q: pair=%s: a quantile cannot be paired, because a quantile of differences is not the difference of the quantiles; pair the mean, or leave out pair=%s", g.Metric, g.Pair, g.Pair)
	}
	if g.Statistic == StatisticRate && !g.Margin.Relative && g.Margin.Value > mostRateMargin {
		return fmt.Errorf("gate %q: margin %s: a margin on a rate is a share of at most %v, such as 0.02", g.Metric, g.Margin, mostRateMargin)
	}
	if g.Margin.Value < 0 || g.Margin.Relative && g.Margin.Value > mostRelativeMargin {
		return fmt.Errorf("gate %q: margin %s: want at least 0, and at most %v %% of the baseline", g.Metric, g.Margin, mostRelativeMargin*100)
	}
	return nil
}

// String writes the text form of a complete gate.
func (g Gate) String() string {
	text := g.Metric + ":" + string(g.Statistic) + ":better=" + string(g.Better)
	if g.Margin.Value != 0 {
		text += ":margin=" + g.Margin.String()
	}
	if g.Pair != "" {
		text += ":pair=" + g.Pair
	}
	return text + ":on=" + string(g.On)
}

// ID names a gate within a policy: metric and statistic, and the pairing.
func (g Gate) ID() string {
	id := g.Metric + ":" + string(g.Statistic)
	if g.Pair != "" {
		id += ":" + g.Pair
	}
	return id
}

// UnmarshalJSON reads an object or the text form.
func (g *Gate) UnmarshalJSON(data []byte) error {
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] == '"' {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		parsed, err := ParseGate(text)
		*g = parsed
		return err
	}
	type plain Gate
	var p plain
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return err
	}
	complete, err := Gate(p).Complete()
	*g = complete
	return err
}

// Known is a metric whose statistic and direction need not be said.
type Known struct {
	Metric    string
	Statistic Statistic
	Better    Better
}

// KnownMetrics lists the metrics that bring a statistic and a direction, rates
// first: the order in which a default gate is chosen.
func KnownMetrics() []Known {
	return []Known{
		{"success", StatisticRate, BetterHigher},
		{"error", StatisticRate, BetterLower},
		{"flagged", StatisticRate, BetterLower},
		{"tool_errors", StatisticMean, BetterLower},
		{"score", StatisticMean, BetterHigher},
		{"latency_ms", StatisticP95, BetterLower},
		{"cost_usd", StatisticMean, BetterLower},
		{"tokens", StatisticMean, BetterLower},
	}
}

// KnownMetric finds a metric of KnownMetrics.
func KnownMetric(metric string) (Known, bool) {
	for _, k := range KnownMetrics() {
		if k.Metric == metric {
			return k, true
		}
	}
	return Known{}, false
}

// Policy is everything a verdict and a ramp follow. It is frozen when the
// rollout is created, and its digest stands in every receipt.
type Policy struct {
	Mode    Mode  `json:"mode"`
	Steps   []int `json:"steps"`
	MinRuns int64 `json:"min_runs"`
	// FirstLook is the number of candidate runs in closed blocks before a block is tested.
	FirstLook   int64     `json:"first_look"`
	Gates       []Gate    `json:"gates"`
	Confidence  float64   `json:"confidence"`
	Guarantee   Guarantee `json:"guarantee"`
	ErrorBudget float64   `json:"error_budget"`
	PromoteOn   string    `json:"promote_on"`
	// PromoteMargin is the harm of a rate, as a share, below which the last step must show the candidate to be; only with promote_on non_inferior.
	PromoteMargin   *float64 `json:"promote_margin,omitempty"`
	RequirePairwise bool     `json:"require_pairwise"`
	// Pairwise is what is asked of the judge; absent unless it is required.
	Pairwise *PairwisePolicy `json:"pairwise,omitempty"`
	// Baseline is what candidate runs are compared with: the baseline's runs beside them and, under auto, its history where there are none.
	Baseline string `json:"baseline"`
	// SRM is what a sample ratio mismatch does: hold, warn or off.
	SRM string `json:"srm"`
	// Unit is what is counted: each run, or of each unit_id its first value of a metric.
	Unit string `json:"unit"`
}

// The values that the remaining policy members take.
const (
	PromoteNotRegressed = "not_regressed"
	PromoteNonInferior  = "non_inferior"
	BaselineAuto        = "auto"
	BaselineConcurrent  = "concurrent"
	SRMHold             = "hold"
	SRMWarn             = "warn"
	SRMOff              = "off"
	UnitRun             = "run"
	UnitUnit            = "unit"
)
