package rollout

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/stats"
)

func judgePolicy(pairs int64, judge *api.Judge) api.Policy {
	return api.Policy{Guarantee: api.GuaranteeRollout, RequirePairwise: true, Pairwise: &api.PairwisePolicy{MinPairs: pairs, Judge: judge, On: api.OnRollback}}
}

func judgedOf(t *testing.T, p api.Policy) *Judged {
	t.Helper()
	j, err := newJudged(p, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

var judgedAt = time.Date(2026, 5, 15, 12, 0, 0, 0, time.UTC)

// saidOf makes judgments of one judge from letters: w and l for a win and a loss of the candidate, t for a tie, n for none; R before one makes it a repeat.
func saidOf(judge api.Judge, from int64, letters string) (out []Judgment) {
	verdicts := map[rune]api.Preference{'w': api.PreferCandidate, 'l': api.PreferBaseline, 't': api.PreferTie, 'n': api.PreferNone}
	repeat := false
	for _, letter := range letters {
		if letter == 'R' {
			repeat = true
			continue
		}
		index := from + int64(len(out))
		out = append(out, Judgment{Index: index, RecordedAt: judgedAt.Add(time.Duration(index) * time.Second), Judge: judge, Verdict: verdicts[letter], Repeat: repeat})
		repeat = false
	}
	return out
}

// TestJudgedBlocks: five pairs close a block until the plan is done, and then
// five in a hundred more; the looks carry the plan's information.
func TestJudgedBlocks(t *testing.T) {
	p := judgePolicy(110, nil)
	j := judgedOf(t, p)
	if j.Test.Budget != 0.05 || j.Test.Planned != 55 {
		t.Errorf("budget %v over %v", j.Test.Budget, j.Test.Planned)
	}
	var ends []float64
	for i, judgment := range saidOf(api.Judge{Model: "m"}, 7, strings.Repeat("wl", 70)) {
		looks, more, err := j.take(p, []Judgment{judgment})
		if err != nil || more || j.Next != judgment.Index+1 {
			t.Fatalf("judgment %d: more %t, next %d, %v", i, more, j.Next, err)
		}
		for _, look := range looks {
			ends = append(ends, look.Information)
			if look.Gate != PairwiseGate || look.Block != j.Block || look.Strata != 1 || look.Stratum != 0 || look.Number != int64(len(ends)) || look.Candidate.Runs != look.Baseline.Runs {
				t.Errorf("%+v", look)
			}
			if tested := look.Information >= MostFirstLook/2; look.Tested != tested {
				t.Errorf("%v units of information, tested %t", look.Information, look.Tested)
			}
		}
	}
	var want []float64
	for closed := 5.0; closed <= 110; closed += 5 {
		want = append(want, closed/2)
	}
	want = append(want, 58, 61, 64.5, 68) // 116, 122, 129 and 136 pairs
	if !slices.Equal(ends, want) {
		t.Errorf("looks at %v, want %v", ends, want)
	}
	if j.Closed != 136 || j.Block != int64(len(want)) || j.Pairs != 4 || j.Wins != 2 || j.Losses != 2 || j.Test.Regressed || !j.Test.Reachable || j.Test.Planned != 55 {
		t.Errorf("%d closed in %d blocks, %d pairs in the next, regressed %t, reachable %t", j.Closed, j.Block, j.Pairs, j.Test.Regressed, j.Test.Reachable)
	}
}

// TestJudgedCounts: what counts, by whom and how often, and the chain over all of it.
func TestJudgedCounts(t *testing.T) {
	p := judgePolicy(10, nil)
	j := judgedOf(t, p)
	judge := api.Judge{Model: "m", Version: "1", Template: "t"}
	all := saidOf(judge, 3, "wwltnRlRnn")
	all = append(all, saidOf(api.Judge{Model: "m", Version: "1"}, 20, "lll")...)
	all = append(all, saidOf(judge, 30, "nRt")...)
	if looks, _, err := j.take(p, all); err != nil || len(looks) != 0 {
		t.Fatalf("%v, %v", looks, err)
	}
	want := api.JudgedFigures{Wins: 2, Losses: 1, Ties: 1, NoVerdict: 3, Repeats: 3}
	if j.Figures != want || j.Other != 3 || *j.Judge != judge || j.Pairs != 4 || j.Wins != 2 || j.Losses != 1 || !j.Newest.Equal(judgedAt.Add(31*time.Second)) || j.Next != 32 {
		t.Errorf("%+v, others %d of %v, %d pairs, newest %s, next %d", j.Figures, j.Other, j.Judge, j.Pairs, j.Newest, j.Next)
	}
	var digest []byte
	for _, judgment := range all {
		sum := sha256.Sum256(append(binary.BigEndian.AppendUint64(slices.Clone(digest), uint64(judgment.Index)), string(judgment.Verdict)...))
		digest = sum[:]
	}
	if got := hex.EncodeToString(digest); j.Digest != got {
		t.Errorf("digest %s, want %s", j.Digest, got)
	}
	if _, _, err := j.take(p, saidOf(judge, 31, "w")); err == nil || !strings.Contains(err.Error(), "31 was read before") {
		t.Errorf("a judgment was read twice: %v", err)
	}
}

// TestJudgedTies: a block of ties is closed and no look; the next is tested.
func TestJudgedTies(t *testing.T) {
	p := judgePolicy(10, nil)
	j := judgedOf(t, p)
	looks, _, err := j.take(p, saidOf(api.Judge{Model: "m"}, 0, "tttttwlttt"))
	if err != nil || len(looks) != 1 || looks[0].Block != 2 || looks[0].Candidate != (api.Failures{Runs: 2, Failures: 1}) || j.Closed != 2 {
		t.Errorf("%+v, %d closed, %v", looks, j.Closed, err)
	}
}

// TestJudgedWithoutBudget: where each look stands for itself nothing is tested.
func TestJudgedWithoutBudget(t *testing.T) {
	p := judgePolicy(10, nil)
	p.Guarantee = api.GuaranteeLook
	j := judgedOf(t, p)
	looks, more, err := j.take(p, saidOf(api.Judge{Model: "m"}, 0, strings.Repeat("l", 300)))
	if err != nil || more || len(looks) != 0 || !j.Test.State.IsZero() || j.Figures.Losses != 300 {
		t.Errorf("%d looks, more %t, %v", len(looks), more, err)
	}
}

// TestJudgedEnds: what has crossed is tested no more.
func TestJudgedEnds(t *testing.T) {
	p := judgePolicy(10, nil)
	j := judgedOf(t, p)
	looks, _, err := j.take(p, saidOf(api.Judge{Model: "m"}, 0, strings.Repeat("l", 10)+strings.Repeat("w", 90)))
	if err != nil || len(looks) != 2 || !looks[1].Regressed || !j.Test.Regressed || j.Figures.Wins != 90 {
		t.Errorf("%+v, %v", looks, err)
	}
}

// TestWhoseJudgmentsCount: members of the policy's judge that are left out match any, and the first that counts is the one.
func TestWhoseJudgmentsCount(t *testing.T) {
	m, other := api.Judge{Model: "m", Version: "1", Template: "t"}, api.Judge{Model: "n", Version: "2", Template: "u"}
	for name, c := range map[string]struct {
		wanted *api.Judge
		whose  api.Judge
	}{
		"any":        {nil, other},
		"a model":    {&api.Judge{Model: "m"}, m},
		"a version":  {&api.Judge{Version: "1"}, m},
		"a template": {&api.Judge{Template: "t"}, m},
		"all":        {&m, m},
		"the other":  {&api.Judge{Model: "n", Version: "2"}, other},
	} {
		p := judgePolicy(10, c.wanted)
		j := judgedOf(t, p)
		list := append(saidOf(other, 0, "w"), saidOf(m, 1, "w")...)
		if whose, known := j.Whose(p, list); !known || whose != c.whose {
			t.Errorf("%s: %v %t before they are read", name, whose, known)
		}
		if _, _, err := j.take(p, list); err != nil {
			t.Fatal(err)
		}
		if whose, known := j.Whose(p, nil); !known || whose != c.whose || *j.Judge != c.whose || j.Other+j.Figures.Wins != 2 {
			t.Errorf("%s: %v %t, others %d", name, whose, known, j.Other)
		}
	}
	for _, wanted := range []api.Judge{{Model: "x"}, {Model: "m", Version: "2"}, {Version: "1", Template: "u"}} {
		p := judgePolicy(10, &wanted)
		if whose, known := judgedOf(t, p).Whose(p, saidOf(m, 0, "w")); known || whose != (api.Judge{}) {
			t.Errorf("%v is taken for %v", whose, wanted)
		}
	}
}

// TestJudgedLooksOfATick: so many looks, and the rest at the next tick.
func TestJudgedLooksOfATick(t *testing.T) {
	p := judgePolicy(1000, nil)
	j := judgedOf(t, p)
	list := saidOf(api.Judge{Model: "m"}, 0, strings.Repeat("wl", 55))
	looks, more, err := j.take(p, list)
	if err != nil || !more || len(looks) != judgedLooks || j.Next != 5*judgedLooks {
		t.Fatalf("%d looks, more %t, next %d, %v", len(looks), more, j.Next, err)
	}
	if looks, more, err = j.take(p, list[j.Next:]); err != nil || more || len(looks) != 2 {
		t.Errorf("%d looks, more %t, %v", len(looks), more, err)
	}
}

// TestJudgedFaults: a state that is not its own, and a budget that is none, are told.
func TestJudgedFaults(t *testing.T) {
	p := judgePolicy(5, nil)
	if _, err := newJudged(p, math.NaN()); err == nil || !strings.Contains(err.Error(), PairwiseGate) {
		t.Errorf("a budget of NaN: %v", err)
	}
	j := judgedOf(t, p)
	j.Test.State = state{data: []byte("broken")}
	if looks, more, err := j.take(p, saidOf(api.Judge{Model: "m"}, 0, "wwwww")); err == nil || more || len(looks) != 0 || !strings.Contains(err.Error(), "judgment 5 of 5") {
		t.Errorf("a broken state: %v, %t, %v", looks, more, err)
	}
}

// TestShares: shares with their intervals, and what is said of nothing.
func TestShares(t *testing.T) {
	if s := ShareOf(stats.Proportion{}, 0.95); s.Value != nil || s.Lo != nil || s.Hi != nil {
		t.Errorf("of nothing: %+v", s)
	}
	if s := ShareOf(stats.Proportion{X: 81, N: 263}, 0.95); *s.Value != 81.0/263 || math.Abs(*s.Lo-0.2553) > 1e-4 || math.Abs(*s.Hi-0.3662) > 1e-4 { // Newcombe 1998, table I
		t.Errorf("%v %v %v", *s.Value, *s.Lo, *s.Hi)
	}
	if s := ShareOf(stats.Proportion{X: 1, N: 1}, 0.95); *s.Value != 1 || *s.Hi != 1 {
		t.Errorf("of one: %v %v", *s.Value, *s.Hi)
	}
	for f, want := range map[api.JudgedFigures]float64{{Wins: 1, Losses: 1, Ties: 2}: 0.5, {Wins: 3, Losses: 1}: 0.75, {Ties: 3}: 0.5} {
		if got := HalfTies(f); got == nil || *got != want {
			t.Errorf("%+v: %v", f, got)
		}
	}
	if HalfTies(api.JudgedFigures{NoVerdict: 4}) != nil {
		t.Error("a win rate of nothing")
	}
}
