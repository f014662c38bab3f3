package judge

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cobound/prova/api"
)

// budget counts the requests and the cost of a run, and keeps both below their
// bounds: what a call may cost is held back before it is made.
type budget struct {
	bounds api.StartJudging

	mu sync.Mutex
	// calls were made or are reserved, cost was spent and held is held back, in USD.
	calls      int64
	cost, held float64
}

func (b *budget) reserve(calls int64, cost float64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if most := b.bounds.MaxCalls; most != nil && b.calls+calls > *most {
		return &Error{OverBudget, errors.New("the budget of calls is used up")}
	}
	if most := b.bounds.MaxCostUSD; most != nil && b.cost+b.held+cost > *most {
		return &Error{OverBudget, errors.New("the next call could exceed the budget of cost")}
	}
	b.calls += calls
	b.held += cost
	return nil
}

// turn is the right to ask about one pair: so many calls are reserved for it
// that it need not be given up half-way.
type turn struct {
	budget *budget
	// quit ends when the run takes no more pairs: nobody waits for an endpoint then.
	quit context.Context
	// fresh asks although the answer is known, and keeps it to itself: a retest.
	fresh bool
	// plain asks without a schema.
	plain bool

	reserved int64
	held     float64
	// calls and cost are what the pair took; unknown is set if a call's cost is not known.
	calls   int64
	cost    float64
	unknown bool
	// uncached is why an answer could not be kept.
	uncached error
}

// reserve sets calls aside that cost at most so much each.
func (t *turn) reserve(calls int64, each float64) error {
	if err := t.budget.reserve(calls, float64(calls)*each); err != nil {
		return err
	}
	t.reserved, t.held = calls, float64(calls)*each
	return nil
}

// spend takes one call, which costs at most so much, from what is reserved or from the budget.
func (t *turn) spend(most float64) error {
	if t.reserved > 0 && t.held >= most {
		t.reserved--
		t.held -= most
	} else if err := t.budget.reserve(1, most); err != nil {
		return err
	}
	t.calls++
	return nil
}

// settle writes down what a call cost of the most that was held back.
func (t *turn) settle(most, cost float64) {
	t.budget.mu.Lock()
	defer t.budget.mu.Unlock()
	t.budget.held -= most
	t.budget.cost += cost
	t.cost += cost
}

// end gives back what was reserved and not needed.
func (t *turn) end() {
	t.budget.mu.Lock()
	defer t.budget.mu.Unlock()
	t.budget.calls -= t.reserved
	t.budget.held -= t.held
	t.reserved, t.held = 0, 0
}

// errQuit says that the run ended while a call waited for its next attempt.
var errQuit = errors.New("the run ended")

func (t *turn) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-t.quit.Done():
		return errQuit
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
