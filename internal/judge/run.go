package judge

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/cobound/prova/api"
)

const (
	// recordBatch is how many judgments are recorded at once at most.
	recordBatch = 20
	// recordTime bounds one recording, also after an interruption.
	recordTime = time.Minute
	// patience is how many calls in a row may get no answer before the endpoint is taken for dead.
	patience = 3
)

// Work is what is to be judged, and what becomes of it.
type Work struct {
	// Pages are the pairs. Those that are judged already are passed over.
	Pages iter.Seq2[api.PairList, error]
	// Bounds are the budget of this run.
	Bounds api.StartJudging
	// Record takes judgments in small batches as they come, one batch at a time. Its context outlives an interruption, and has a time limit. An error ends the run.
	Record func(context.Context, []api.Judgment) error
	// Progress is told how far the run has come, by one goroutine at a time; may be nil.
	Progress func(Summary)
	// Fresh asks again what is known, pairs that were judged too, and keeps the answers out of the cache: a retest.
	Fresh bool
}

// Summary is what a run has done.
type Summary struct {
	// Pairs were offered; of them Already had been judged before, and Failed got no answer and are left for another run.
	Pairs   int64 `json:"pairs"`
	Already int64 `json:"already_judged"`
	Failed  int64 `json:"failed"`
	// Unpaired counts the probes of which no pair could be made.
	Unpaired api.Unpaired `json:"unpaired"`
	// Figures are those of the judgments that this run recorded.
	Figures api.JudgedFigures `json:"figures"`
	// Recorded counts them.
	Recorded int64 `json:"recorded"`
	// Calls counts requests, repeated ones too; Cached answers took none.
	Calls  int64 `json:"calls"`
	Cached int64 `json:"cached"`
	// CostUSD is what the calls cost; null where neither the endpoint nor prices say it.
	CostUSD *float64 `json:"cost_usd"`
	// CacheProblem is why answers could not be kept for the next run.
	CacheProblem string `json:"cache_problem,omitempty"`
}

// run is one Run.
type run struct {
	asker  *Asker
	work   Work
	budget *budget
	// quit ends the taking of pairs; calls under way go on until the caller's context ends.
	quit context.Context
	stop context.CancelCauseFunc

	mu       sync.Mutex
	sum      Summary
	unpriced bool
	// failures in a row, and the last of all.
	failures int
	last     error
	// unrecorded is why judgments were not recorded; the collector's alone.
	unrecorded error
}

type task struct {
	of   api.PairList
	pair api.Pair
}

// Run judges pairs in both orders and records the judgments as they come. An
// interruption loses at most what is under way. It returns an *Error if it
// ended before all pairs were judged because of the endpoint or the budget,
// the caller's own errors as they are, and always what was done.
func (a *Asker) Run(ctx context.Context, w Work) (Summary, error) {
	if w.Bounds.MaxCostUSD != nil && a.config.Prices == nil {
		return Summary{}, badConfig("a budget of cost needs the model's prices: set PROVA_JUDGE_PRICE_IN and PROVA_JUDGE_PRICE_OUT, in USD for a million tokens (0 for a model of your own)")
	}
	a.endpoint.doubt()
	r := &run{asker: a, work: w, budget: &budget{bounds: w.Bounds}}
	r.quit, r.stop = context.WithCancelCause(ctx)
	defer r.stop(nil)
	tasks, judged := make(chan task), make(chan api.Judgment, recordBatch)
	go r.produce(tasks)
	var workers sync.WaitGroup
	for range a.config.Concurrency {
		workers.Go(func() {
			for t := range tasks {
				r.judge(ctx, t, judged)
			}
		})
	}
	go func() {
		workers.Wait()
		close(judged)
	}()
	r.collect(ctx, judged)
	return r.snapshot(), r.end()
}

// produce offers the pairs that are to be judged.
func (r *run) produce(tasks chan<- task) {
	defer close(tasks)
	for page, err := range r.work.Pages {
		if err != nil {
			r.stop(err)
			return
		}
		r.update(func(s *Summary) { addUnpaired(&s.Unpaired, page.Unpaired) })
		for _, p := range page.Pairs {
			r.update(func(s *Summary) {
				s.Pairs++
				if p.Judged && !r.work.Fresh {
					s.Already++
				}
			})
			if p.Judged && !r.work.Fresh {
				continue
			}
			select {
			case tasks <- task{page, p}:
			case <-r.quit.Done():
				return
			}
		}
	}
}

// judge asks about one pair.
func (r *run) judge(ctx context.Context, t task, judged chan<- api.Judgment) {
	if r.quit.Err() != nil {
		return
	}
	turn := &turn{budget: r.budget, quit: r.quit, fresh: r.work.Fresh}
	j, err := r.asker.pair(ctx, turn, t.of, t.pair)
	r.update(func(s *Summary) {
		s.Calls += turn.calls
		r.unpriced = r.unpriced || turn.unknown
		if turn.uncached != nil {
			s.CacheProblem = turn.uncached.Error()
		}
		r.outcome(ctx, s, err)
	})
	if err == nil {
		judged <- j
	}
}

// outcome says what an error means for the run. The caller holds the lock.
func (r *run) outcome(ctx context.Context, s *Summary, err error) {
	failed, ok := errors.AsType[*failure](err)
	switch {
	case err == nil:
		r.failures = 0
	case ctx.Err() != nil:
		r.stop(context.Cause(ctx))
	case !ok:
		r.stop(err)
	default:
		s.Failed++
		r.failures++
		r.last = &Error{failed.kind, fmt.Errorf("%w; what was judged is recorded, run it again for the rest", err)}
		if r.failures >= patience {
			r.stop(r.last)
		}
	}
}

// collect records what was judged until no more comes.
func (r *run) collect(ctx context.Context, judged <-chan api.Judgment) {
	for j := range judged {
		batch := []api.Judgment{j}
	more:
		for len(batch) < recordBatch {
			select {
			case j, ok := <-judged:
				if !ok {
					break more
				}
				batch = append(batch, j)
			default:
				break more
			}
		}
		if r.unrecorded != nil {
			continue // the answers are in the cache
		}
		if r.unrecorded = r.record(ctx, batch); r.unrecorded != nil {
			r.stop(r.unrecorded)
			continue
		}
		r.update(func(s *Summary) {
			for _, j := range batch {
				s.Figures.Count(j)
				s.Recorded++
				for _, answer := range j.Answers {
					if answer.Cached {
						s.Cached++
					}
				}
			}
		})
	}
}

func (r *run) record(ctx context.Context, batch []api.Judgment) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	return r.work.Record(ctx, batch)
}

// update changes the summary and tells of it.
func (r *run) update(change func(*Summary)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.sum)
	if r.work.Progress != nil {
		r.work.Progress(r.priced())
	}
}

func (r *run) snapshot() Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.priced()
}

// priced is the summary with its cost. The caller holds the lock.
func (r *run) priced() Summary {
	s := r.sum
	if r.unpriced {
		return s
	}
	r.budget.mu.Lock()
	defer r.budget.mu.Unlock()
	cost := r.budget.cost
	s.CostUSD = &cost
	return s
}

// end is what the run ended with.
func (r *run) end() error {
	if r.unrecorded != nil {
		return r.unrecorded
	}
	if err := context.Cause(r.quit); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func addUnpaired(sum *api.Unpaired, u api.Unpaired) {
	sum.BaselineOnly += u.BaselineOnly
	sum.CandidateOnly += u.CandidateOnly
	sum.NoOutput += u.NoOutput
	sum.InputsDiffer += u.InputsDiffer
}
