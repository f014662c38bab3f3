package judge_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/judge"
	"github.com/cobound/prova/internal/judge/judgetest"
)

// TestCalls: no more requests are made than allowed, and no pair is begun that cannot be ended.
func TestCalls(t *testing.T) {
	for _, c := range []struct{ most, made, recorded int64 }{{0, 0, 0}, {1, 0, 0}, {2, 2, 1}, {5, 4, 2}, {10, 10, 5}} {
		e, b := &judgetest.Endpoint{Mode: judgetest.Fair}, &book{}
		sum, err := asker(t, e).Run(t.Context(), judge.Work{Pages: pages(mixed()...), Record: b.record, Bounds: api.StartJudging{MaxCalls: &c.most}})
		if over := judge.KindOf(err) == judge.OverBudget; over != (c.recorded < 5) {
			t.Errorf("at most %d: %v", c.most, err)
		}
		if int64(e.Requests()) != c.made || sum.Calls != c.made || sum.Recorded != c.recorded {
			t.Errorf("at most %d: %d made, %+v", c.most, e.Requests(), sum)
		}
	}
}

// TestReservedReturns: what was reserved for a pair that failed half-way is there for others.
func TestReservedReturns(t *testing.T) {
	e, b, most := &judgetest.Endpoint{Mode: judgetest.Fair, RateLimits: 1}, &book{}, int64(9)
	a := asker(t, e, func(c *judge.Config) { c.Concurrency, c.Retries = 1, -1 })
	sum, err := a.Run(t.Context(), judge.Work{Pages: pages(mixed()...), Record: b.record, Bounds: api.StartJudging{MaxCalls: &most}})
	if judge.KindOf(err) != judge.TryLater || sum.Failed != 1 || sum.Recorded != 4 || sum.Calls != 9 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// TestCallsCountRetries: a request that is repeated counts again.
func TestCallsCountRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, b, most := &judgetest.Endpoint{Mode: judgetest.Failing}, &book{}, int64(7)
		sum, err := asker(t, e).Run(t.Context(), judge.Work{Pages: pages(mixed()...), Record: b.record, Bounds: api.StartJudging{MaxCalls: &most}})
		if judge.KindOf(err) != judge.OverBudget || e.Requests() > 7 || sum.Calls != int64(e.Requests()) {
			t.Errorf("%d made, %+v, %v", e.Requests(), sum, err)
		}
	})
}

// TestCost: the cost comes from the prices or the endpoint, stays within the budget, and is not made up.
func TestCost(t *testing.T) {
	const each = (1000*2.0 + 50*10.0) / 1e6 // what the endpoint says of tokens, at the prices below
	priced := func(c *judge.Config) { c.Prices, c.MaxTokens = &judge.Prices{In: 2, Out: 10}, 100 }
	e, b := &judgetest.Endpoint{Mode: judgetest.Fair}, &book{}
	sum, err := asker(t, e, priced).Run(t.Context(), judge.Work{Pages: pages(mixed()...), Record: b.record})
	if err != nil || sum.CostUSD == nil || !near(*sum.CostUSD, 10*each) || !near(*b.kept[0].CostUSD, 2*each) {
		t.Errorf("%+v, %v", sum, err)
	}
	refusing := &judgetest.Endpoint{Mode: judgetest.Fair, NoSchema: true, NoSeed: true}
	if sum, _ = asker(t, refusing, priced, func(c *judge.Config) { c.Concurrency = 1 }).Run(t.Context(), judge.Work{Pages: pages(mixed()...), Record: b.record}); sum.Calls != 12 || !near(*sum.CostUSD, 10*each) {
		t.Errorf("what was refused cost something: %+v, %v", sum, *sum.CostUSD)
	}
	said := &judgetest.Endpoint{Mode: judgetest.Fair, Cost: 0.5}
	if sum, _ = asker(t, said, priced).Run(t.Context(), judge.Work{Pages: pages(mixed()...), Record: b.record}); sum.CostUSD == nil || !near(*sum.CostUSD, 5) {
		t.Errorf("said: %+v", sum)
	}
	b = &book{}
	if sum, _ = asker(t, &judgetest.Endpoint{Mode: judgetest.Fair}).Run(t.Context(), judge.Work{Pages: pages(mixed()...), Record: b.record}); sum.CostUSD != nil || b.kept[0].CostUSD != nil {
		t.Errorf("no prices: %+v", sum)
	}
	for _, most := range []float64{0, each, 0.02, 10 * each} {
		e, b := &judgetest.Endpoint{Mode: judgetest.Fair}, &book{}
		sum, err := asker(t, e, priced).Run(t.Context(), judge.Work{Pages: pages(mixed()...), Record: b.record, Bounds: api.StartJudging{MaxCostUSD: &most}})
		if *sum.CostUSD > most || judge.KindOf(err) != judge.OverBudget || !near(*sum.CostUSD, float64(e.Requests())*each) {
			t.Errorf("at most %v: %v, %v", most, *sum.CostUSD, err)
		}
		if most == 0.02 && sum.Recorded == 0 {
			t.Errorf("at most %v: nothing was judged", most)
		}
	}
	most := 1.0
	if _, err := asker(t, &judgetest.Endpoint{}).Run(t.Context(), judge.Work{Pages: pages(mixed()...), Bounds: api.StartJudging{MaxCostUSD: &most}}); judge.KindOf(err) != judge.BadConfig || !strings.Contains(err.Error(), "PROVA_JUDGE_PRICE_IN") {
		t.Errorf("a budget without prices: %v", err)
	}
}

// TestUnknownCost: a request that got no answer may have been billed, and counts as the most that it can have cost.
func TestUnknownCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		most := 0.05
		e := &judgetest.Endpoint{Mode: judgetest.Slow}
		a := asker(t, e, func(c *judge.Config) { c.Prices, c.MaxTokens, c.Concurrency = &judge.Prices{Out: 100}, 100, 1 })
		sum, err := a.Run(t.Context(), judge.Work{Pages: pages(mixed()...), Bounds: api.StartJudging{MaxCostUSD: &most}})
		if judge.KindOf(err) != judge.OverBudget || e.Requests() != 5 || !near(*sum.CostUSD, 0.05) {
			t.Errorf("%d requests, %v, %v", e.Requests(), *sum.CostUSD, err)
		}
	})
}

func near(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }
