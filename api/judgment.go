package api

import (
	"encoding/json"
	"strings"
)

// The kinds of receipts about judges.
const (
	KindJudgment    = "pairwise_judgment"
	KindCalibration = "judge_calibration"
)

// Preference is which of two answers on the same input is the better one.
type Preference string

// The preferences. None is no verdict at all: the judge answered nothing that
// could be read, or refused. It is never a tie and never a win.
const (
	PreferBaseline  Preference = "baseline"
	PreferCandidate Preference = "candidate"
	PreferTie       Preference = "tie"
	PreferNone      Preference = "none"
)

// Position is what a judge that was shown two answers said of them.
type Position string

// The positions: the answer that was shown first, or second, is better, or neither.
const (
	PositionFirst  Position = "first"
	PositionSecond Position = "second"
	PositionTie    Position = "tie"
	PositionNone   Position = "none"
)

// Judge names who judges. Judgments of two judges that differ in any member are
// never counted together: another model, or another prompt, is another judge.
type Judge struct {
	Model   string `json:"model"`
	Version string `json:"version,omitempty"`
	// Template is the SHA-256, in hex, of the prompt that the judge was given; a judge of the user's own may name it otherwise, or leave it out.
	Template string `json:"template,omitempty"`
}

// String names the judge in one line.
func (j Judge) String() string {
	s := j.Model
	if j.Version != "" {
		s += " " + j.Version
	}
	if t := j.Template; t != "" {
		s += " (template " + strings.ToValidUTF8(t[:min(len(t), 12)], "") + ")" // whole characters
	}
	return s
}

// JudgeAnswer is what a judge said of a pair that was shown to it in one order.
type JudgeAnswer struct {
	// First is whose answer was shown first: baseline or candidate.
	First Preference `json:"first"`
	// Verdict is what the judge said.
	Verdict Position `json:"verdict"`
	// Cached: the answer was given before, to the same texts in the same order.
	Cached bool `json:"cached,omitempty"`
	// Reason is the judge's own text, or why there is no verdict. It can be erased, and decides nothing.
	Reason string `json:"reason,omitempty"`
}

// Preference is what the answer says about the releases.
func (a JudgeAnswer) Preference() Preference {
	other := PreferCandidate
	if a.First == PreferCandidate {
		other = PreferBaseline
	}
	switch a.Verdict {
	case PositionFirst:
		return a.First
	case PositionSecond:
		return other
	case PositionTie:
		return PreferTie
	case PositionNone:
	}
	return PreferNone
}

// Settle is the verdict of a judge that was asked once or twice: what both
// answers say, a tie if they disagree, and none if one of them is none.
func Settle(answers []JudgeAnswer) Preference {
	if len(answers) == 0 {
		return PreferNone
	}
	verdict := answers[0].Preference()
	for _, a := range answers[1:] {
		switch p := a.Preference(); {
		case p == PreferNone || verdict == PreferNone:
			return PreferNone
		case p != verdict:
			verdict = PreferTie
		}
	}
	return verdict
}

// MaxReason is the longest text of a judge that is kept, in bytes.
const MaxReason = 4 << 10

// Judgment is a judge's verdict on a pair of runs of the same probe, as it is sent.
type Judgment struct {
	AppID            string `json:"app_id"`
	Environment      string `json:"environment,omitempty"`
	BaselineRelease  string `json:"baseline_release"`
	CandidateRelease string `json:"candidate_release"`
	ProbeID          string `json:"probe_id"`
	Judge            Judge  `json:"judge"`
	// Verdict may be left out where Answers are given, which settle it.
	Verdict Preference `json:"verdict,omitempty"`
	// Answers are at most two, one for each order.
	Answers []JudgeAnswer `json:"answers,omitempty"`
	// BaselineEventID and CandidateEventID are the receipts of the runs whose outputs were compared, if they are in the vault.
	BaselineEventID  string `json:"baseline_event_id,omitempty"`
	CandidateEventID string `json:"candidate_event_id,omitempty"`
	// BaselineChars and CandidateChars are the lengths of the two answers in characters.
	BaselineChars  *int64 `json:"baseline_chars,omitempty"`
	CandidateChars *int64 `json:"candidate_chars,omitempty"`
	// Calls, CostUSD and LatencyMS are what the judgment took.
	Calls     *int64   `json:"calls,omitempty"`
	CostUSD   *float64 `json:"cost_usd,omitempty"`
	LatencyMS *float64 `json:"latency_ms,omitempty"`
	// OccurredAt is when it was judged; IdempotencyKey makes repeating a request harmless. Both are filled in.
	OccurredAt     string `json:"occurred_at,omitempty"`
	IdempotencyKey string `json:"idempotency_key,omitempty"`
}

// Settled is the verdict, and where it is left out what the answers settle.
func (j Judgment) Settled() Preference {
	if j.Verdict != "" {
		return j.Verdict
	}
	return Settle(j.Answers)
}

// RecordedJudgment is a judgment as it stands in the vault.
type RecordedJudgment struct {
	EventID  string `json:"event_id"`
	LogIndex int64  `json:"log_index"`
	// RecordedAt is RFC 3339 UTC.
	RecordedAt string `json:"recorded_at"`
	// Repeat: the judge had judged this pair before; it counts once, the first time.
	Repeat bool `json:"repeat"`
	Judgment
}

// Pair is the runs of two releases on the same probe, to be judged.
type Pair struct {
	ProbeID string `json:"probe_id"`
	// Input is what both were given; null where they do not say.
	Input     json.RawMessage `json:"input"`
	Baseline  PairRun         `json:"baseline"`
	Candidate PairRun         `json:"candidate"`
	// Judged: the judge that was asked about has given a verdict on the pair.
	Judged bool `json:"judged"`
}

// PairRun is one side of a pair.
type PairRun struct {
	EventID string `json:"event_id"`
	RunID   string `json:"run_id,omitempty"`
	// Output is what the release answered.
	Output json.RawMessage `json:"output"`
}

// Unpaired counts the probes of which no pair could be made, by why.
type Unpaired struct {
	// BaselineOnly and CandidateOnly: only one release ran the probe.
	BaselineOnly  int64 `json:"baseline_only"`
	CandidateOnly int64 `json:"candidate_only"`
	// NoOutput: a run has no payload.output, or it was erased.
	NoOutput int64 `json:"no_output"`
	// InputsDiffer: the two runs were given different inputs.
	InputsDiffer int64 `json:"inputs_differ"`
}

// PairList is a page of pairs, by probe_id. Of each release it has the first
// run on a probe that was ever recorded.
type PairList struct {
	AppID            string `json:"app_id"`
	Environment      string `json:"environment"`
	BaselineRelease  string `json:"baseline_release"`
	CandidateRelease string `json:"candidate_release"`
	Pairs            []Pair `json:"pairs"`
	// Unpaired counts what this page passed over.
	Unpaired   Unpaired `json:"unpaired"`
	NextCursor string   `json:"next_cursor,omitempty"`
}

// JudgedFigures is what the judgments of one judge on two releases add up to.
// Each pair counts once.
type JudgedFigures struct {
	Wins      int64 `json:"wins"`   // of the candidate
	Losses    int64 `json:"losses"` // of the candidate
	Ties      int64 `json:"ties"`
	NoVerdict int64 `json:"no_verdict"`
	// Repeats are judgments of pairs that had a verdict already; they count for nothing.
	Repeats int64 `json:"repeats"`
	// Agreed counts the pairs on which both orders gave the same verdict, of those that were asked in both; FirstTwice those on which the judge chose what was shown first both times, and SecondTwice second.
	BothOrders  int64 `json:"both_orders"`
	Agreed      int64 `json:"agreed"`
	FirstTwice  int64 `json:"first_twice"`
	SecondTwice int64 `json:"second_twice"`
	// LongerWins counts the decided pairs that the longer answer won, of LongerKnown whose answers differ in length.
	LongerWins  int64 `json:"longer_wins"`
	LongerKnown int64 `json:"longer_known"`
}

// Count adds a judgment of a pair that was not judged before.
func (f *JudgedFigures) Count(j Judgment) {
	verdict := j.Settled()
	switch verdict {
	case PreferCandidate:
		f.Wins++
	case PreferBaseline:
		f.Losses++
	case PreferTie:
		f.Ties++
	default:
		f.NoVerdict++
	}
	f.countOrders(j.Answers)
	if longer, decided := LongerWon(verdict, j.BaselineChars, j.CandidateChars); decided {
		f.LongerKnown++
		if longer {
			f.LongerWins++
		}
	}
}

// countOrders counts what two answers in both orders say of the judge.
func (f *JudgedFigures) countOrders(answers []JudgeAnswer) {
	if len(answers) != 2 || answers[0].First == answers[1].First {
		return
	}
	a, b := answers[0], answers[1]
	if a.Preference() == PreferNone || b.Preference() == PreferNone {
		return
	}
	f.BothOrders++
	switch {
	case a.Preference() == b.Preference():
		f.Agreed++
	case a.Verdict == PositionFirst && b.Verdict == PositionFirst:
		f.FirstTwice++
	case a.Verdict == PositionSecond && b.Verdict == PositionSecond:
		f.SecondTwice++
	}
}

// LongerWon reports whether the longer answer won, where one did and their
// lengths are known and differ.
func LongerWon(verdict Preference, baseline, candidate *int64) (longer, decided bool) {
	if baseline == nil || candidate == nil || *baseline == *candidate {
		return false, false
	}
	switch verdict {
	case PreferBaseline:
		return *baseline > *candidate, true
	case PreferCandidate:
		return *candidate > *baseline, true
	case PreferTie, PreferNone:
	}
	return false, false
}

// Decided is the number of pairs that one side won.
func (f JudgedFigures) Decided() int64 { return f.Wins + f.Losses }

// Share is a proportion with its Wilson interval. Value and limits are null of nothing.
type Share struct {
	X     int64    `json:"x"`
	N     int64    `json:"n"`
	Value *float64 `json:"value"`
	Lo    *float64 `json:"lo"`
	Hi    *float64 `json:"hi"`
}

// Calibration is how well a judge agrees with people, and with itself.
type Calibration struct {
	// EventID and RecordedAt name its receipt; empty before it is recorded.
	EventID    string `json:"event_id,omitempty"`
	RecordedAt string `json:"recorded_at,omitempty"`
	AppID      string `json:"app_id"`
	// Environment is production where it is left out.
	Environment string `json:"environment,omitempty"`
	Judge       Judge  `json:"judge"`
	// Labels is the number of pairs that people judged, and Compared that of those to which the judge gave a verdict.
	Labels   int64 `json:"labels"`
	Compared int64 `json:"compared"`
	// Agreement is over candidate, baseline and tie; Kappa is Cohen's, null where chance alone explains all.
	Agreement Share    `json:"agreement"`
	Kappa     *float64 `json:"kappa"`
	// Confusion counts by label, then verdict, in the order baseline, candidate, tie.
	Confusion [3][3]int64 `json:"confusion"`
	// FirstBias is the share, of the pairs on which the two orders contradict each other by position, in which the judge chose what was shown first; Consistent that of pairs on which both orders agree.
	Consistent Share `json:"consistent"`
	FirstBias  Share `json:"first_bias"`
	// LongerWins is the share of decided pairs of different length that the longer answer won, and LabelsLonger the same of the people's labels.
	LongerWins   Share `json:"longer_wins"`
	LabelsLonger Share `json:"labels_longer"`
	// Retest is the share of pairs that were judged twice with the same verdict.
	Retest Share `json:"retest"`
}

// JudgeSummary is a judge that has judged two releases.
type JudgeSummary struct {
	Judge   Judge         `json:"judge"`
	Figures JudgedFigures `json:"figures"`
	// WinRate is that of the candidate on decided pairs, HalfTies with each tie as half a win.
	WinRate  Share    `json:"win_rate"`
	HalfTies *float64 `json:"win_rate_half_ties"`
	// Calibration is the newest of the judge for the app; null says that nobody has held it against people's labels.
	Calibration *Calibration `json:"calibration"`
}

// JudgmentList is what is recorded about two releases, newest first.
type JudgmentList struct {
	Judges     []JudgeSummary     `json:"judges"`
	Judgments  []RecordedJudgment `json:"judgments"`
	NextCursor string             `json:"next_cursor,omitempty"`
}

// JudgeJob is a run of the server's judge over the pairs of a rollout.
type JudgeJob struct {
	ID        string `json:"id"`
	RolloutID string `json:"rollout_id"`
	// State is running, done, failed or interrupted; an interrupted one is begun again and goes on where it was.
	State string `json:"state"`
	Judge Judge  `json:"judge"`
	// Pairs are all that could be made; Judged have a verdict of this judge by now, Recorded were judged by this job, NoVerdict of them without one.
	Pairs     int64    `json:"pairs"`
	Judged    int64    `json:"judged"`
	Recorded  int64    `json:"recorded"`
	NoVerdict int64    `json:"no_verdict"`
	Unpaired  Unpaired `json:"unpaired"`
	Calls     int64    `json:"calls"`
	Cached    int64    `json:"cached"`
	CostUSD   float64  `json:"cost_usd"`
	// Detail says why it ended as it did.
	Detail    string `json:"detail,omitempty"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
}

// The states of a judging job.
const (
	JobRunning     = "running"
	JobDone        = "done"
	JobFailed      = "failed"
	JobInterrupted = "interrupted"
)

// StartJudging bounds a judging job; what is left out has no bound of its own.
type StartJudging struct {
	MaxCalls   *int64   `json:"max_calls,omitempty"`
	MaxCostUSD *float64 `json:"max_cost_usd,omitempty"`
}

// PairwisePolicy is what a rollout asks of the judge.
type PairwisePolicy struct {
	// MinPairs is the number of decided pairs below which the gate is insufficient.
	MinPairs int64 `json:"min_pairs"`
	// MaxAge is, in seconds, how old the newest counted verdict may be; 0 sets no limit.
	MaxAge int64 `json:"max_age"`
	// Judge is whose judgments count; members that are left out match any. Without one, the judge of the first judgment counts.
	Judge *Judge `json:"judge,omitempty"`
	// On is rollback or hold: what a regression on the judge's verdicts does.
	On On `json:"on"`
}

// CreatePairwise is a PairwisePolicy as it is asked for.
type CreatePairwise struct {
	MinPairs *int64 `json:"min_pairs,omitempty"`
	MaxAge   *int64 `json:"max_age,omitempty"`
	Judge    *Judge `json:"judge,omitempty"`
	On       On     `json:"on,omitempty"`
}
