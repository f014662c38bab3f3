package store

import (
	"context"
	"sync"
)

// maxTurns is how many writes of one org run at a time in this process. More
// would only queue in the database for the head of the org's log, each with a
// connection that another org could use.
const maxTurns = 4

// turns keeps the writes of one org from taking all connections.
type turns struct {
	mu   sync.Mutex
	orgs map[string]*orgTurns
}

// orgTurns exists while somebody uses or waits for it.
type orgTurns struct {
	slots chan struct{}
	users int
}

// take waits for a turn; put gives it back.
func (t *turns) take(ctx context.Context, org string) error {
	t.mu.Lock()
	o := t.orgs[org]
	if o == nil {
		if t.orgs == nil {
			t.orgs = map[string]*orgTurns{}
		}
		o = &orgTurns{slots: make(chan struct{}, maxTurns)}
		t.orgs[org] = o
	}
	o.users++
	t.mu.Unlock()
	select {
	case o.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		t.leave(org)
		return ctx.Err()
	}
}

func (t *turns) put(org string) {
	t.mu.Lock()
	o := t.orgs[org]
	t.mu.Unlock()
	<-o.slots
	t.leave(org)
}

// leave forgets an org that nobody writes to.
func (t *turns) leave(org string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.orgs[org]
	if o.users--; o.users == 0 {
		delete(t.orgs, org)
	}
}
