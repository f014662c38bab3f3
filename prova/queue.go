package prova

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// item is one event on its way to the server. Whoever took it out of the queue
// owns it; the queue still counts it until it is settled.
type item struct {
	// draft is the event until its line is written.
	draft draft
	// line is the event as it is sent, once it was written: the same bytes each time.
	line note
	// size is what the queue counts for it, in bytes.
	size int64
	// at is when it came in.
	at time.Time
	// next came in after it; the queue alone uses it.
	next *item
}

func (it *item) written() bool { return it.line.data != nil }

// queue holds what waits in memory, oldest first, and counts everything.
type queue struct {
	maxEvents int
	maxBytes  int64
	// fullEvents and fullBytes make a batch that does not wait for more.
	fullEvents int
	fullBytes  int64
	// flushing is how many callers wait for everything to be sent.
	flushing atomic.Int64
	// more tells the sender that there is something to look at, high tells the spooler that memory fills up.
	more, high chan struct{}

	mu sync.Mutex
	// first to last are the items that wait, linked, so that a queue that grows copies nothing while an agent waits.
	first, last *item
	waiting     int
	held        int   // items that wait or are being sent
	bytes       int64 // of those
	count       Stats
	closed      bool
	// settled counts what needs nothing more; changed is closed when it rises.
	settled int64
	changed chan struct{}
	failed  error
}

func newQueue(o *RecorderOptions) *queue {
	return &queue{
		maxEvents: o.QueueEvents, maxBytes: o.QueueBytes, fullEvents: o.BatchEvents, fullBytes: o.BatchBytes, changed: make(chan struct{}),
		more: make(chan struct{}, 1), high: make(chan struct{}, 1),
	}
}

// pushed says what became of an event.
type pushed int

const (
	accepted pushed = iota
	queueFull
	queueClosed
)

// push adds an event; it never waits.
func (q *queue) push(it *item) pushed {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count.Recorded++
	switch {
	case q.closed:
		q.count.Dropped++
		return queueClosed
	case q.held >= q.maxEvents || q.bytes+it.size > q.maxBytes:
		q.count.Dropped++
		signal(q.high)
		return queueFull
	}
	q.link(it, it)
	q.waiting++
	q.held++
	q.bytes += it.size
	if q.crowded() {
		signal(q.high)
	}
	if q.waiting == 1 || q.full() {
		signal(q.more)
	}
	return accepted
}

// link puts items that are linked from head to tail behind the others.
func (q *queue) link(head, tail *item) {
	if q.last == nil {
		q.first = head
	} else {
		q.last.next = head
	}
	q.last = tail
}

// full says that there is no reason to wait for more before sending.
func (q *queue) full() bool {
	return q.waiting >= q.fullEvents || q.bytes >= q.fullBytes || q.flushing.Load() > 0
}

// crowded says that memory is more than half full.
func (q *queue) crowded() bool { return q.held > q.maxEvents/2 || q.bytes > q.maxBytes/2 }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// idle is how long the sender waits where nothing is due: until it is told.
const idle = time.Hour

// due says how long the sender may wait for more; 0 is not at all.
func (q *queue) due(interval time.Duration) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.waiting == 0:
		return idle
	case q.full():
		return 0
	}
	return max(0, interval-time.Since(q.first.at))
}

// take hands out the oldest items, at least one if there is one.
func (q *queue) take(events int, bytes int64) []*item {
	oldest, n := q.unlink(events, bytes)
	taken := make([]*item, n)
	for i := range taken {
		next := oldest.next
		oldest.next = nil // what was sent is not to keep what came later
		taken[i], oldest = oldest, next
	}
	return taken
}

// unlink takes the n oldest items out, linked.
func (q *queue) unlink(events int, bytes int64) (oldest *item, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	oldest, size := q.first, int64(0)
	for n < min(events, q.waiting) && (n == 0 || size+q.first.size <= bytes) {
		size += q.first.size
		q.first = q.first.next
		n++
	}
	q.waiting -= n
	if q.first == nil {
		q.last = nil
	}
	return oldest, n
}

// takeAll hands out everything that waits.
func (q *queue) takeAll() []*item { return q.take(q.maxEvents, q.maxBytes) }

// takeCrowd hands out the oldest items if memory is more than half full.
func (q *queue) takeCrowd() []*item {
	q.mu.Lock()
	crowded := q.crowded()
	q.mu.Unlock()
	if !crowded {
		return nil
	}
	return q.take(max(1, q.maxEvents/4), max(1, q.maxBytes/4))
}

// giveBack puts items that were taken at the front again.
func (q *queue) giveBack(items []*item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting += len(items)
	for _, it := range slices.Backward(items) {
		it.next, q.first = q.first, it
		if q.last == nil {
			q.last = it
		}
	}
}

// change applies what became of items that were taken, and of as many in the spool.
func (q *queue) change(update func(*Stats), memory []*item) {
	size := int64(0)
	for _, it := range memory { // before the agent has to wait
		size += it.size
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	before := q.count
	update(&q.count)
	q.held -= len(memory)
	q.bytes -= size
	after := q.count
	if n := after.Sent + after.Refused + after.Dropped - before.Sent - before.Refused - before.Dropped; n > 0 {
		q.settled += n
		close(q.changed)
		q.changed = make(chan struct{})
	}
}

// dropTaken counts items that were taken and that nothing can hold.
func (q *queue) dropTaken(items []*item) {
	q.change(func(s *Stats) { s.Dropped += int64(len(items)) }, items)
}

// settle waits until everything that is there now needs nothing more, and
// returns false if ctx ends first. It relies on the oldest going first.
func (q *queue) settle(ctx context.Context) bool {
	q.mu.Lock()
	goal := q.settled + int64(q.held) + q.count.Spooled
	for q.settled < goal {
		changed := q.changed
		q.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
		q.mu.Lock()
	}
	q.mu.Unlock()
	return true
}

func (q *queue) stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.count
	s.Queued = int64(q.held)
	return s
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// failure is why the last request failed, nil after one that did not.
func (q *queue) failure() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.failed
}

func (q *queue) setFailure(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failed = err
}
