package rollout_test

import (
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
)

// TestWhatTheJudgesGateSays, word for word: the sentence stands in the receipt.
func TestWhatTheJudgesGateSays(t *testing.T) {
	const run = "; run prova judge run --rollout rol_test"
	named := &api.CreatePairwise{MinPairs: minRuns(10), Judge: &api.Judge{Model: "judge-1", Template: "t1"}}
	for name, c := range map[string]struct {
		request api.CreateRollout
		script  string
		verdict api.Outcome
		says    string
	}{
		"nothing": {api.CreateRollout{}, "", api.Insufficient, "the pairwise judge is required and has recorded no judgment since this rollout began" + run},
		"another judge": {
			api.CreateRollout{Pairwise: named},
			"otherwise 1", api.Insufficient,
			"the 1 judgment recorded is of another judge than the policy's judge-1 (template t1), which has given none" + run,
		},
		"another judge, often": {
			api.CreateRollout{Pairwise: named},
			"otherwise 12", api.Insufficient,
			"the 12 judgments recorded are of another judge than the policy's judge-1 (template t1), which has given none" + run,
		},
		"few": {api.CreateRollout{}, "judged 1 0 0 0", api.Insufficient, "the judge has decided 1 of 30 pairs (won 1 and lost 0)" + run},
		"few, with ties and without verdicts": {
			api.CreateRollout{},
			"judged 4 2 1 2", api.Insufficient,
			"the judge has decided 6 of 30 pairs (won 4 and lost 2, 1 tie, 2 without a verdict)" + run,
		},
		"few beside another's": {
			api.CreateRollout{},
			"judged 4 2 12 0\notherwise 3", api.Insufficient,
			"the judge has decided 6 of 30 pairs (won 4 and lost 2, 12 ties)" + run + " with judge-1 (template t1): the 3 judgments recorded are of another judge, which count for nothing here",
		},
		"few beside one of another's": {
			api.CreateRollout{},
			"judged 1 0 0 1\notherwise 1", api.Insufficient,
			"the judge has decided 1 of 30 pairs (won 1 and lost 0, 1 without a verdict)" + run + " with judge-1 (template t1): the 1 judgment recorded is of another judge, which count for nothing here",
		},
		"just not old": {
			api.CreateRollout{Pairwise: named},
			"judged 5 5 0 0\ndays 7", api.Clean,
			"the candidate won 5 and lost 5; a win rate of 50.0 % (27.5 % … 80.7 %) after 10 decided pairs: the judge does not find it worse",
		},
		"just enough where each look stands for itself": {
			api.CreateRollout{Guarantee: api.GuaranteeLook, Pairwise: named},
			"judged 1 9 0 0", api.Regressed,
			"the judge prefers the baseline: a win rate of 10.0 % (1.8 % … 40.4 %) after 10 decided pairs",
		},
		"not enough where each look stands for itself": {
			api.CreateRollout{Guarantee: api.GuaranteeLook, Pairwise: named},
			"judged 0 9 0 0", api.Insufficient,
			"the judge has decided 9 of 10 pairs (won 0 and lost 9)" + run,
		},
		"hopeless": {
			api.CreateRollout{ErrorBudget: ptr(0.0002), Pairwise: &api.CreatePairwise{MinPairs: minRuns(5)}},
			"judged 6 0 0 0", api.Insufficient,
			"the pairs that the judge decided (won 6 and lost 0) could not have regressed yet" + run,
		},
		"old": {
			api.CreateRollout{Pairwise: named},
			"judged 6 6 0 0\ndays 8", api.Insufficient,
			"the judge's newest verdict is 8 days old and may be 7 days" + run + " --again",
		},
		"clean": {
			api.CreateRollout{Pairwise: named},
			"judged 6 6 1 0", api.Clean,
			"the candidate won 6 and lost 6, 1 tie; a win rate of 60.0 % (35.3 % … 87.1 %) after 10 decided pairs: the judge does not find it worse",
		},
		"clean, all won": {
			api.CreateRollout{Pairwise: named},
			"judged 10 0 0 0", api.Clean,
			"the candidate won 10 and lost 0; a win rate of 100.0 % (68.0 % … 100.0 %) after 10 decided pairs: the judge does not find it worse",
		},
		"regressed": {
			api.CreateRollout{Pairwise: named},
			"judged 1 12 0 0", api.Regressed,
			"the judge prefers the baseline: a win rate of 10.0 % (0.8 % … 46.1 %) after 10 decided pairs",
		},
		"regressed where each look stands for itself": {
			api.CreateRollout{Guarantee: api.GuaranteeLook, Pairwise: named},
			"judged 1 12 0 0", api.Regressed,
			"the judge prefers the baseline: a win rate of 7.7 % (1.4 % … 33.3 %) after 13 decided pairs",
		},
	} {
		c.request.Mode, c.request.RequirePairwise = api.ModeCanary, true
		p := newPlay(t, c.request)
		if c.script != "" {
			p.script(c.script)
		}
		v := p.tick().Verdict.Pairwise
		if v.Verdict != c.verdict || v.Reason.Text != c.says {
			t.Errorf("%s: %s\n%s\nwant %s\n%s", name, v.Verdict, v.Reason.Text, c.verdict, c.says)
		}
	}
}

// TestJudgesResult: the figures beside the sentence.
func TestJudgesResult(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, RequirePairwise: true, Confidence: ptr(0.9), Pairwise: &api.CreatePairwise{MinPairs: minRuns(10), On: api.OnHold}})
	if v := p.tick().Verdict.Pairwise; !v.Required || v.Judge != nil || v.AgeSeconds != nil || v.AtLook != nil || v.HalfTies != nil || v.WinRate.Value != nil || v.Ledger == nil || v.Ledger.Budget != 0.05 {
		t.Errorf("before a judgment: %+v", v)
	}
	p.script("runs 60 19 failing 6 114\njudged 8 4 2 1\notherwise 3")
	p.now = p.now.Add(90*1e9 + 5e8)
	v := p.tick().Verdict.Pairwise
	if v.On != api.OnHold || *v.Judge != theJudge() || v.OtherJudge != 3 || v.MinPairs != 10 || *v.AgeSeconds != 90 || *v.HalfTies != 9.0/14 || v.WinRate.X != 8 || v.WinRate.N != 12 {
		t.Errorf("%+v", v)
	}
	if v.AtLook == nil || v.AtLook.Method != "exact-conditional" || v.AtLook.Strata != 1 || v.Ledger.Looks != 2 || *v.WinRate.Lo < 0.4 || *v.WinRate.Lo > 0.45 { // a 90 % interval
		t.Errorf("%+v %+v %v", v.AtLook, v.Ledger, *v.WinRate.Lo)
	}
	for want, calibration := range map[bool]*api.Calibration{true: {Judge: theJudge()}, false: {Judge: api.Judge{Model: "judge-2"}}} {
		_, d, err := p.r.Tick(rollout.Evidence{Blocks: p.closed, Strata: p.strata, Open: p.block, Now: p.now, Calibration: calibration})
		if err != nil || (d.Verdict.Pairwise.Calibration != nil) != want {
			t.Errorf("the calibration of %s is shown: %t, %v", calibration.Judge, !want, err)
		}
	}
	_, d, err := p.r.Tick(rollout.Evidence{Blocks: p.closed, Strata: p.strata, Open: p.block, Now: p.now, Quiet: true})
	if err != nil || d.Verdict.Pairwise.AtLook != nil {
		t.Errorf("a quiet tick draws an interval: %v", err)
	}
}

// TestJudgeAndTheVerdict: the judge makes a verdict worse, never better.
func TestJudgeAndTheVerdict(t *testing.T) {
	for script, want := range map[string]api.Outcome{
		"runs 60 19 failing 6 114\njudged 6 6 0 0":   api.Clean,
		"runs 60 19 failing 6 114":                   api.Insufficient,
		"runs 60 19 failing 6 114\njudged 0 12 0 0":  api.Regressed,
		"judged 12 0 0 0":                            api.Insufficient,
		"judged 0 12 0 0":                            api.Regressed,
		"runs 60 19 failing 30 114\njudged 12 0 0 0": api.Regressed,
		"runs 60 19 failing 30 114":                  api.Regressed,
	} {
		p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, RequirePairwise: true, Pairwise: &api.CreatePairwise{MinPairs: minRuns(10)}})
		p.script(script)
		if got := p.tick().Verdict.Verdict; got != want {
			t.Errorf("%q: %s, want %s", script, got, want)
		}
	}
}

// TestJudgesParameters: what stands in the sentences stands beside them for machines.
func TestJudgesParameters(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, RequirePairwise: true, Pairwise: &api.CreatePairwise{MinPairs: minRuns(10), Judge: &api.Judge{Model: "judge-1"}}})
	p.script("otherwise 2")
	if got := p.tick().Verdict.Pairwise.Reason.Params["other_judge"]; got != int64(2) {
		t.Errorf("other_judge is %v", got)
	}
	p.script("judged 6 5 3 1\ndays 9")
	params := p.tick().Verdict.Pairwise.Reason.Params
	for name, want := range map[string]int64{"wins": 6, "losses": 5, "ties": 3, "no_verdict": 1, "min_pairs": 10, "age_seconds": 9 * 86400, "max_age": 7 * 86400} {
		if params[name] != want {
			t.Errorf("%s is %v, want %d", name, params[name], want)
		}
	}
	p.now = p.now.AddDate(0, 0, -10) // a clock that went back
	if age := *p.tick().Verdict.Pairwise.AgeSeconds; age != 0 {
		t.Errorf("the age is %d", age)
	}
}

// TestRequiredWithoutAGate: a state that requires a judge and has no gate of one holds.
func TestRequiredWithoutAGate(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, RequirePairwise: true})
	p.r.Ledger.Judged = nil
	p.script("runs 60 19 failing 6 114\ntick -> hold 5 " + rollout.ReasonPairwiseMissing)
	if !p.last.Verdict.Pairwise.Required {
		t.Error("it is not said to be required")
	}
}
