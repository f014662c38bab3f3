package authority

import (
	"context"
	"slices"
	"sync"
)

// coalescer lets concurrent requests to record share one transaction for each
// org: what a commit costs, and what reading and writing the summaries costs,
// is then paid once for many. Whoever finds nobody at work does the work of
// all who come meanwhile.
type coalescer struct {
	mu     sync.Mutex
	queues map[string]*queue
}

// queue holds what waits for the transaction after the one under way.
type queue struct{ waiting []*share }

// share is one request's part of a transaction.
type share struct {
	work []*pending
	err  error
	done chan struct{}
}

// maxShared bounds the events of one transaction.
const maxShared = 10_000

func newCoalescer() *coalescer { return &coalescer{queues: map[string]*queue{}} }

// do has commit run for work, alone or together with that of others, and
// returns its error. commit is called with the work of whole requests. The
// transaction does not end when one of its callers leaves.
func (c *coalescer) do(ctx context.Context, org string, work []*pending, commit func(context.Context, []*pending) error) error {
	s := &share{work: work, done: make(chan struct{})}
	if !c.join(org, s) {
		select {
		case <-s.done:
			return s.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	ctx = context.WithoutCancel(ctx)
	for shares := c.take(org); len(shares) > 0; shares = c.take(org) {
		var all []*pending
		for _, s := range shares {
			all = append(all, s.work...)
		}
		err := commit(ctx, all)
		for _, s := range shares {
			s.err = err
			close(s.done)
		}
	}
	return s.err
}

// join puts a share into the org's queue and reports whether its owner has to do the work.
func (c *coalescer) join(org string, s *share) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	q, busy := c.queues[org]
	if !busy {
		q = &queue{}
		c.queues[org] = q
	}
	q.waiting = append(q.waiting, s)
	return !busy
}

// take removes as many shares as fit one transaction. With none left the org's queue ends.
func (c *coalescer) take(org string) []*share {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.queues[org]
	events := 0
	n := slices.IndexFunc(q.waiting, func(s *share) bool {
		events += len(s.work)
		return events > maxShared && events > len(s.work)
	})
	if n < 0 {
		n = len(q.waiting)
	}
	taken := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	if n == 0 {
		delete(c.queues, org)
	}
	return taken
}
