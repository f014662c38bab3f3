package compare_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/compare"
	"github.com/cobound/prova/internal/stats"
)

// found returns the named check, or one without a status.
func found(v api.Verdict, name string) api.Check {
	for _, c := range v.Checks {
		if c.Check == name {
			return c
		}
	}
	return api.Check{}
}

// uneven is two releases that are the same on each of four probes, two of which
// always fail; times says how often each side ran an easy and a hard probe.
func uneven(t *testing.T, candidate, baseline [2]int) compare.Stratum {
	t.Helper()
	var r replay
	for i := range 60 {
		hard := i % 2
		for range candidate[hard] {
			r.add(t, strconv.Itoa(i), compare.CandidateSide, map[string]api.Metric{"success": api.Bool(hard == 0)})
			r.candidates.Mixes.Add(strconv.Itoa(i), "m-1", "production")
		}
		for range baseline[hard] {
			r.add(t, strconv.Itoa(i), compare.BaselineSide, map[string]api.Metric{"success": api.Bool(hard == 0)})
			r.baselines.Mixes.Add(strconv.Itoa(i), "m-1", "production")
		}
	}
	return r.stratum()
}

// TestMixCheck: inputs in other proportions make a release look worse that is the same; the check warns, and pairs are right.
func TestMixCheck(t *testing.T) {
	s := uneven(t, [2]int{5, 20}, [2]int{20, 5})
	pooled := compare.Releases(question([]api.Gate{gate(t, "success")}, s))
	if c := found(pooled, compare.CheckMix); pooled.Verdict != api.Regressed || c.Status != api.CheckWarn || !strings.Contains(c.Detail, "compare on pairs by probe") {
		t.Errorf("%s, %+v", pooled.Verdict, c)
	}
	paired := compare.Releases(question([]api.Gate{gate(t, "success:pair=probe")}, s))
	if c := found(paired, compare.CheckMix); paired.Verdict != api.Clean || paired.Gates[0].Difference.Estimate != 0 || c.Status != api.CheckOK {
		t.Errorf("%s %+v, %+v", paired.Verdict, paired.Gates[0].Difference, c)
	}
	even := compare.Releases(question([]api.Gate{gate(t, "success")}, uneven(t, [2]int{5, 5}, [2]int{20, 20})))
	if c := found(even, compare.CheckMix); c.Status != api.CheckOK || !strings.Contains(c.Detail, "probes are in the same") {
		t.Errorf("%+v", c)
	}
	unknown := compare.Releases(question([]api.Gate{gate(t, "success")}, compare.Stratum{Candidate: cohort(t, 40, 0, 0), Baseline: cohort(t, 40, 0, 0)}))
	if c := found(unknown, compare.CheckMix); c.Status != "" {
		t.Errorf("nothing is known, and yet %+v", c)
	}
}

// TestModelsDiffer: a model that only one release uses is named, paired or not.
func TestModelsDiffer(t *testing.T) {
	s := table(t, 40, 5, 5, 10)
	for i := range 60 {
		s.Baseline.Mixes.Add(strconv.Itoa(i), "m-1", "production")
		s.Candidate.Mixes.Add(strconv.Itoa(i), "m-"+strconv.Itoa(1+i%2), "production")
	}
	v := compare.Releases(question([]api.Gate{gate(t, "success:pair=probe")}, s))
	if c := found(v, compare.CheckMix); c.Status != api.CheckWarn || !strings.Contains(c.Detail, "most of all m-1: 100.0 % of the baseline, 50.0 % of the candidate") {
		t.Errorf("%+v", c)
	}
}

// TestClusteredCheck: repeated units are warned of where runs are counted, with what they do to the interval.
func TestClusteredCheck(t *testing.T) {
	s := uneven(t, [2]int{4, 4}, [2]int{4, 4})
	for text, want := range map[string]string{
		"success":            "success rate (design effect 4.1: its interval should be about 2.0 times as wide)",
		"success:p50":        "success p50: a quantile has no pairs",
		"success:mean":       "",
		"success:pair=probe": "",
	} {
		c := found(compare.Releases(question([]api.Gate{gate(t, text)}, s)), compare.CheckClustered)
		if (c.Status == api.CheckWarn) != (want != "") || !strings.Contains(c.Detail, want) {
			t.Errorf("%s: %+v", text, c)
		}
	}
	alone := compare.Stratum{Candidate: cohort(t, 40, 5, 0), Baseline: cohort(t, 40, 5, 0)}
	if c := found(compare.Releases(question([]api.Gate{gate(t, "success")}, alone)), compare.CheckClustered); c.Status != "" {
		t.Errorf("each run is a unit, and yet %+v", c)
	}
}

// TestSpreadCheck warns where variances differ by more than two.
func TestSpreadCheck(t *testing.T) {
	narrow := values(t, series(100, func(i int) float64 { return 100 + float64(i%10) })...)
	wider := values(t, series(100, func(i int) float64 { return 100 + 1.3*float64(i%10) })...)
	wide := values(t, series(100, func(i int) float64 { return 100 + 2*float64(i%10) })...)
	for name, c := range map[string]struct {
		gate string
		s    compare.Stratum
		want string
	}{
		"four times":       {"x:mean:better=lower", compare.Stratum{Candidate: wide, Baseline: narrow}, "x (4."},
		"the other way":    {"x:mean:better=lower", compare.Stratum{Candidate: narrow, Baseline: wide}, "times larger in the baseline"},
		"1.7 times":        {"x:mean:better=lower", compare.Stratum{Candidate: wider, Baseline: narrow}, ""},
		"a quantile":       {"x:p50:better=lower", compare.Stratum{Candidate: wide, Baseline: narrow}, ""},
		"one is constant":  {"x:mean:better=lower", compare.Stratum{Candidate: wide, Baseline: values(t, constant(50, 3)...)}, "only the candidate varies"},
		"both are":         {"x:mean:better=lower", compare.Stratum{Candidate: values(t, constant(50, 4)...), Baseline: values(t, constant(50, 3)...)}, ""},
		"too few to tell":  {"x:mean:better=lower", compare.Stratum{Candidate: wide, Baseline: values(t, 3)}, ""},
		"one metric alone": {"x:mean:better=lower", compare.Stratum{Candidate: wide, Baseline: cohort(t, 40, 0, 0)}, ""},
	} {
		check := found(compare.Releases(question([]api.Gate{gate(t, c.gate)}, c.s)), compare.CheckSpread)
		if (check.Status == api.CheckWarn) != (c.want != "") || !strings.Contains(check.Detail, c.want) {
			t.Errorf("%s: %+v", name, check)
		}
	}
}

// TestUnpairedCheck: a candidate that does not get through its probes loses pairs, and that is said.
func TestUnpairedCheck(t *testing.T) {
	for missing, warns := range map[int]bool{0: false, 20: false, 21: true} {
		var r replay
		for i := range 100 {
			r.add(t, strconv.Itoa(i), compare.BaselineSide, map[string]api.Metric{"success": api.Bool(true)})
			if i >= missing {
				r.add(t, strconv.Itoa(i), compare.CandidateSide, map[string]api.Metric{"success": api.Bool(true)})
			}
		}
		c := found(compare.Releases(question([]api.Gate{gate(t, "success:pair=probe")}, r.stratum())), compare.CheckUnpaired)
		if (c.Status == api.CheckWarn) != warns {
			t.Errorf("%d probes without a partner: %+v", missing, c)
		}
	}
}

// TestChecksOfSignals: what is only watched is checked too.
func TestChecksOfSignals(t *testing.T) {
	s := uneven(t, [2]int{4, 4}, [2]int{4, 4})
	if c := found(compare.Releases(question([]api.Gate{gate(t, "success:on=warn")}, s)), compare.CheckClustered); c.Status != api.CheckWarn {
		t.Errorf("%+v", c)
	}
	if stats.DesignEffect(s.Candidate.Metrics["success"].Summary.Units()) < 4 {
		t.Error("the sample is not clustered")
	}
}
