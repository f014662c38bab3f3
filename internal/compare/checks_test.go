package compare_test

import (
	"reflect"
	"regexp"
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

// TestMixesAddUp: parts that are merged are the whole.
func TestMixesAddUp(t *testing.T) {
	var whole, first, second compare.Mixes
	for i := range 40 {
		part := &first
		if i%3 == 0 {
			part = &second
		}
		for _, m := range []*compare.Mixes{&whole, part} {
			m.Add(strconv.Itoa(i%7), "m-"+strconv.Itoa(i%2), "env-"+strconv.Itoa(i%5))
		}
	}
	first.Merge(second)
	if !reflect.DeepEqual(first, whole) {
		t.Errorf("%+v, want %+v", first, whole)
	}
	for name, mix := range map[string]stats.Mix{"probes": whole.Probes, "models": whole.Models, "environments": whole.Environments} {
		if reflect.DeepEqual(mix, stats.Mix{}) {
			t.Errorf("no %s were counted", name)
		}
	}
}

// TestShiftText: the sizes of a shift are rounded for people.
func TestShiftText(t *testing.T) {
	c := found(compare.Releases(question([]api.Gate{gate(t, "success")}, uneven(t, [2]int{5, 20}, [2]int{20, 5}))), compare.CheckMix)
	if !regexp.MustCompile(`\(distance \d+\.\d %, chi-square \d+ of 59\)`).MatchString(c.Detail) {
		t.Errorf("%q", c.Detail)
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
	both := found(compare.Releases(question([]api.Gate{gate(t, "success:p50"), gate(t, "success")}, s)), compare.CheckClustered)
	if want := "several runs of one unit or probe count as independent for success p50, success rate (design effect 4.1: its interval should be about 2.0 times as wide): compare on pairs by probe"; both.Detail != want {
		t.Errorf("%q, want %q", both.Detail, want)
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
		"small numbers":    {"x:mean:better=lower", compare.Stratum{Candidate: scaled(t, 0.02), Baseline: scaled(t, 0.01)}, "x (4.00 times larger in the candidate)"},
		"the other one is": {"x:mean:better=lower", compare.Stratum{Candidate: values(t, constant(50, 3)...), Baseline: wide}, "only the baseline varies"},
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

// scaled varies by a multiple of its step.
func scaled(t *testing.T, step float64) compare.Cohort {
	t.Helper()
	return values(t, series(100, func(i int) float64 { return step * float64(i%10) })...)
}

// TestUnpairedNamesGates: whichever release ran alone, in the order of names, with the counts.
func TestUnpairedNamesGates(t *testing.T) {
	var r replay
	for i := range 60 {
		metrics := map[string]api.Metric{"success": api.Bool(true), "correct": api.Bool(i%2 == 0)}
		r.add(t, strconv.Itoa(i), compare.CandidateSide, metrics)
		r.add(t, strconv.Itoa(i), compare.BaselineSide, metrics)
		if i < 20 {
			r.add(t, "alone "+strconv.Itoa(i), compare.BaselineSide, metrics)
		}
	}
	gates := []api.Gate{gate(t, "success:pair=probe"), gate(t, "correct:better=higher:pair=probe"), gate(t, "success:mean:on=warn")}
	c := found(compare.Releases(question(gates, r.stratum())), compare.CheckUnpaired)
	counts := " (0 of 60 runs of the candidate, 20 of 80 of the baseline)"
	if want := "correct mean" + counts + ", success rate" + counts; !strings.HasSuffix(c.Detail, want) {
		t.Errorf("%q, want an end of %q", c.Detail, want)
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
