package compare_test

import (
	"encoding/json"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
)

// probeRun is one run of a replay as rapid draws it.
type probeRun struct {
	probe   string
	side    compare.Side
	success bool
	cost    float64
	model   string
}

func drawRuns(t *rapid.T) []probeRun {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) probeRun {
		r := probeRun{
			side: compare.Side(rapid.IntRange(0, 1).Draw(t, "side")), success: rapid.Bool().Draw(t, "success"),
			cost: rapid.Float64Range(0, 1e5).Draw(t, "cost"), model: rapid.SampledFrom([]string{"", "m-1", "m-2"}).Draw(t, "model"),
		}
		if n := rapid.IntRange(0, 100).Draw(t, "probe"); n > 0 { // else it carries none
			r.probe = strconv.Itoa(n)
		}
		return r
	}), 0, 300).Draw(t, "runs")
}

func (r probeRun) metrics() map[string]api.Metric {
	return map[string]api.Metric{"success": api.Bool(r.success), "cost_usd": api.Number(r.cost)}
}

// foldRuns makes a stratum of runs in the given order.
func foldRuns(t *rapid.T, runs []probeRun) compare.Stratum {
	var r replay
	for _, one := range runs {
		r.add(t, one.probe, one.side, one.metrics())
		mixes := &r.baselines.Mixes
		if one.side == compare.CandidateSide {
			mixes = &r.candidates.Mixes
		}
		mixes.Add(one.probe, one.model, "production")
	}
	return r.stratum()
}

func lawGates(t *rapid.T) []api.Gate {
	return []api.Gate{
		gate(t, "success:pair=probe"), gate(t, "cost_usd:mean:pair=probe:on=hold"),
		gate(t, "success:on=warn"), gate(t, "cost_usd:mean:on=warn"), gate(t, "cost_usd:p50:better=lower:on=warn"),
	}
}

func verdictBytes(t *rapid.T, strata ...compare.Stratum) string {
	data, err := json.Marshal(compare.Releases(question(lawGates(t), strata...)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestOrderOfRunsLeavesNoTrace: pairs and mixes depend on the set of runs alone, to the bit.
func TestOrderOfRunsLeavesNoTrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runs := drawRuns(t)
		if a, b := verdictBytes(t, foldRuns(t, runs)), verdictBytes(t, foldRuns(t, rapid.Permutation(runs).Draw(t, "order"))); a != b {
			t.Fatalf("%s\n%s", a, b)
		}
	})
}

// TestStrataOfPairsInAnyOrder: merging the pairs of strata is associative and
// commutative, so strata may come and be merged in any order.
func TestStrataOfPairsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var parts []map[string]compare.Pairs
		for range rapid.IntRange(1, 4).Draw(t, "strata") {
			parts = append(parts, foldRuns(t, drawRuns(t)).Pairs)
		}
		sum := func(parts []map[string]compare.Pairs, right bool) string {
			total := map[string]compare.Pairs{}
			for _, metric := range []string{"success", "cost_usd"} {
				var all compare.Pairs
				for _, p := range parts {
					if right {
						next := p[metric]
						next.Merge(all)
						all = next
						continue
					}
					all.Merge(p[metric])
				}
				total[metric] = all
			}
			return verdictBytes(t, compare.Stratum{Pairs: total})
		}
		order := rapid.Permutation(parts).Draw(t, "order")
		if a, b, c := sum(parts, false), sum(order, false), sum(order, true); a != b || b != c {
			t.Fatalf("%s\n%s\n%s", a, b, c)
		}
		strata := make([]compare.Stratum, len(parts))
		other := make([]compare.Stratum, len(parts))
		for i := range parts {
			strata[i], other[i] = compare.Stratum{Pairs: parts[i]}, compare.Stratum{Pairs: order[i]}
		}
		if a, b := verdictBytes(t, strata...), verdictBytes(t, other...); a != b {
			t.Fatalf("%s\n%s", a, b)
		}
	})
}

// TestSwapFlipsPairs: exchanging the cohorts exchanges the limits and negates
// them: exactly for Newcombe's interval up to rounding, and for the bootstrap
// because it draws the same probes, up to the rounding of their differences.
func TestSwapFlipsPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runs := drawRuns(t)
		swapped := make([]probeRun, len(runs))
		for i, r := range runs {
			r.side = 1 - r.side
			swapped[i] = r
		}
		one := compare.Releases(question(lawGates(t), foldRuns(t, runs)))
		two := compare.Releases(question(lawGates(t), foldRuns(t, swapped)))
		for i, g := range one.Gates {
			h := two.Gates[i]
			if g.Pairs.UnpairedCandidate != h.Pairs.UnpairedBaseline || g.Pairs.N != h.Pairs.N || (g.Difference == nil) != (h.Difference == nil) {
				t.Fatalf("%+v and %+v", g.Pairs, h.Pairs)
			}
			if p, q := g.Pairs.PairTable, h.Pairs.PairTable; (p == nil) != (q == nil) || p != nil && *p != (api.PairTable{Both: q.Both, CandidateOnly: q.BaselineOnly, BaselineOnly: q.CandidateOnly, Neither: q.Neither}) {
				t.Fatalf("%+v and %+v", p, q)
			}
			if d, e := g.Difference, h.Difference; d != nil && (!near(d.Estimate, -e.Estimate) || !near(d.Lo, -e.Hi) || !near(d.Hi, -e.Lo)) {
				t.Fatalf("%s: %+v and %+v", g.ID(), d, e)
			}
		}
		if a, b := found(one, compare.CheckMix), found(two, compare.CheckMix); a.Status != b.Status {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}

// TestMoreGainedPairs states what holds of clean additions to pairs. A pair in
// which the candidate gains (it succeeds where the baseline fails), added or in
// place of a lost one, never turns another verdict into a regression. A pair
// that is equal on both sides may, as TestEqualPairsSharpen shows.
func TestMoreGainedPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(label string) int { return rapid.IntRange(0, 60).Draw(t, label) }
		both, gained, lost, neither := n("both")+10, n("gained"), n("lost"), n("neither")+10
		more := rapid.IntRange(1, 20).Draw(t, "more")
		gates := []api.Gate{gate(t, "success:pair=probe")}
		before := compare.Releases(question(gates, table(t, both, gained, lost, neither)))
		after := compare.Releases(question(gates, table(t, both, gained+more, lost, neither)))
		if before.Verdict != api.Regressed && after.Verdict == api.Regressed {
			t.Fatalf("%d both, %d gained, %d lost, %d neither: %s; with %d gained: %s", both, gained, lost, neither, before.Reason.Text, gained+more, after.Reason.Text)
		}
		if lost > 0 {
			turned := compare.Releases(question(gates, table(t, both, gained+1, lost-1, neither)))
			if before.Verdict != api.Regressed && turned.Verdict == api.Regressed {
				t.Fatalf("a loss turned to a gain: %s, then %s", before.Reason.Text, turned.Reason.Text)
			}
		}
	})
}

// TestEqualPairsSharpen: five more probes on which both succeed leave the 12
// losses and 4 gains as they are and narrow the interval around them, which was
// just too wide before: more evidence of the same loss, not a false alarm.
func TestEqualPairsSharpen(t *testing.T) {
	gates := []api.Gate{gate(t, "success:pair=probe")}
	before := compare.Releases(question(gates, table(t, 2, 4, 12, 40)))
	after := compare.Releases(question(gates, table(t, 7, 4, 12, 40)))
	if before.Verdict != api.Clean || after.Verdict != api.Regressed {
		t.Errorf("%s, then %s", before.Reason.Text, after.Reason.Text)
	}
}

// TestFailuresTurnedToSuccesses: a rate that is not regressed stays so when
// failures of the candidate become successes, in any strata. (Added successes
// have the same law in one stratum, see TestMoreCleanRunsNeverRegress; in
// several they also move weight to their stratum, and nothing is promised.)
func TestFailuresTurnedToSuccesses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		strata := rapid.IntRange(1, 3).Draw(t, "strata")
		var worse, better []compare.Stratum
		for range strata {
			n, m := rapid.IntRange(30, 120).Draw(t, "n"), rapid.IntRange(30, 120).Draw(t, "m")
			failing := rapid.IntRange(1, n).Draw(t, "failing")
			baseline := cohort(t, m, rapid.IntRange(0, m).Draw(t, "baseline failing"), 0)
			fixed := rapid.IntRange(1, failing).Draw(t, "fixed")
			worse = append(worse, compare.Stratum{Candidate: cohort(t, n, failing, 0), Baseline: baseline})
			better = append(better, compare.Stratum{Candidate: cohort(t, n, failing-fixed, 0), Baseline: baseline})
		}
		gates := []api.Gate{gate(t, "success")}
		before, after := compare.Releases(question(gates, worse...)), compare.Releases(question(gates, better...))
		if before.Verdict != api.Regressed && after.Verdict == api.Regressed {
			t.Fatalf("%s, then %s", before.Reason.Text, after.Reason.Text)
		}
	})
}

// TestFasterRunsNeverRaiseAQuantile: candidate runs that become faster never
// raise the estimate of the difference. Its limits may move either way: they
// depend on how far apart neighbouring values are.
func TestFasterRunsNeverRaiseAQuantile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Float64Range(1, 1e4), 30, 120)
		slow, base := list.Draw(t, "slow"), list.Draw(t, "baseline")
		quick := append([]float64{}, slow...)
		for i := range quick {
			if rapid.Bool().Draw(t, "faster") {
				quick[i] *= rapid.Float64Range(0.1, 1).Draw(t, "by")
			}
		}
		gates := []api.Gate{gate(t, "x:p50:better=lower"), gate(t, "x:p90:better=lower")}
		before := compare.Releases(question(gates, compare.Stratum{Candidate: values(t, slow...), Baseline: values(t, base...)}))
		after := compare.Releases(question(gates, compare.Stratum{Candidate: values(t, quick...), Baseline: values(t, base...)}))
		for i := range gates {
			if d, e := before.Gates[i].Difference, after.Gates[i].Difference; e.Estimate > d.Estimate+1e-9 {
				t.Fatalf("%s: %+v, then %+v", gates[i], *d, *e)
			}
		}
	})
}

// TestOneStratumIsItself: a stratum without runs of one release changes nothing of a difference.
func TestOneStratumIsItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := foldRuns(t, drawRuns(t))
		alone := compare.Stratum{Candidate: cohort(t, 40, 3, 0)}
		one := compare.Releases(question(lawGates(t), s))
		two := compare.Releases(question(lawGates(t), s, alone))
		for i := range one.Gates {
			if a, b := one.Gates[i].Difference, two.Gates[i].Difference; (a == nil) != (b == nil) || a != nil && *a != *b {
				t.Fatalf("%+v and %+v", a, b)
			}
		}
	})
}

// TestCannotRegressIsTheWorstCandidate: a gate says that nothing could have
// regressed exactly where the worst possible candidate of the same size would
// not have been called regressed.
func TestCannotRegressIsTheWorstCandidate(t *testing.T) {
	outcome := func(text string, s compare.Stratum) api.GateResult {
		q := question([]api.Gate{gate(t, text)}, s)
		q.MinRuns = 1
		return compare.Releases(q).Gates[0]
	}
	seen := map[bool]int{}
	law := func(text string, same, worst compare.Stratum, size [2]int) {
		t.Helper()
		w, s := outcome(text, worst), outcome(text, same)
		cannot := s.Reason.Code == compare.ReasonCannotRegress
		if cannot != (w.Verdict != api.Regressed) {
			t.Errorf("%s, %d successes and %d failures: %s, and of the worst candidate %s %s", text, size[0], size[1], s.Reason.Code, w.Verdict, w.Reason.Code)
		}
		seen[cannot]++
	}
	for good := range 9 {
		for bad := range 9 {
			if good+bad == 0 {
				continue
			}
			size := [2]int{good, bad}
			for _, margin := range []string{"", ":margin=0.2"} {
				n := good + bad
				base := cohort(t, n, bad, 0)
				law("success"+margin, compare.Stratum{Candidate: base, Baseline: base}, compare.Stratum{Candidate: cohort(t, n, n, 0), Baseline: base}, size)
				law("success:better=lower"+margin, compare.Stratum{Candidate: base, Baseline: base}, compare.Stratum{Candidate: cohort(t, n, 0, 0), Baseline: base}, size)
				same := table(t, good, 0, 0, bad)
				law("success:pair=probe"+margin, same, table(t, 0, 0, good, bad), size)
				law("success:better=lower:pair=probe"+margin, same, table(t, good, bad, 0, 0), size)
			}
		}
	}
	if seen[true] < 20 || seen[false] < 20 {
		t.Errorf("the law was tried on %v", seen)
	}
}

// TestQuietOutcomes: what is left out where a test decides changes no outcome and no count.
func TestQuietOutcomes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := question([]api.Gate{gate(t, "success"), gate(t, "latency_ms:p50:on=hold"), gate(t, "latency_ms:mean:on=warn")}, draw(t, "one"), draw(t, "two"))
		q.Guarantee = api.GuaranteeRollout
		q.Tests = make([]compare.Tested, len(q.Gates))
		for i := range q.Tests {
			q.Tests[i] = compare.Tested{
				Tested: rapid.Bool().Draw(t, "tested"), Reachable: rapid.Bool().Draw(t, "reachable"), Regressed: rapid.Bool().Draw(t, "regressed"),
				Level: 0.01, Difference: &api.Difference{Estimate: -0.1, Lo: -0.2, Hi: 0.1},
			}
		}
		if rapid.Bool().Draw(t, "each look alone") {
			q.Guarantee, q.Tests = api.GuaranteeLook, nil
		}
		full := compare.Releases(q)
		q.Quiet = true
		quiet := compare.Releases(q)
		if full.Verdict != quiet.Verdict || full.Reason.Code != quiet.Reason.Code || len(full.Gates) != len(quiet.Gates) || len(quiet.Signals)+len(quiet.Checks) > 0 {
			t.Fatalf("%s for %s, quietly %s for %s", full.Verdict, full.Reason.Code, quiet.Verdict, quiet.Reason.Code)
		}
		for i, g := range full.Gates {
			h := quiet.Gates[i]
			if g.Verdict != h.Verdict || g.Reason.Code != h.Reason.Code || g.Candidate.N != h.Candidate.N || g.Baseline.N != h.Baseline.N ||
				g.Candidate.Missing != h.Candidate.Missing || g.Baseline.Missing != h.Baseline.Missing {
				t.Errorf("%+v\nquietly %+v", g, h)
			}
		}
	})
}
