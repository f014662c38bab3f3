package clientcmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/prova"
)

// batch is the runs of one request, with the lines that they are from.
type batch struct {
	file   string
	events []api.Event
	lines  []int
	// bytes of the file that the batch covers, for the progress.
	bytes int64
}

// sender sends batches, some at a time, and adds up what became of them.
type sender struct {
	ctx    context.Context
	give   context.CancelCauseFunc
	env    *cli.Env
	client *prova.Client
	work   chan batch
	group  sync.WaitGroup

	mu       sync.Mutex
	sum      Imported
	total    int64
	done     int64
	progress *cli.Progress
}

func newSender(ctx context.Context, env *cli.Env, client *prova.Client, concurrency int, total int64) *sender {
	s := &sender{env: env, client: client, work: make(chan batch), sum: Imported{Refused: []Refusal{}}, total: total, progress: env.NewProgress()}
	s.ctx, s.give = context.WithCancelCause(ctx)
	for range concurrency {
		s.group.Go(func() {
			for b := range s.work {
				if s.ctx.Err() != nil {
					continue
				}
				if err := s.try(b); err != nil {
					s.give(err)
				}
			}
		})
	}
	return s
}

// send hands a batch to whoever is free.
func (s *sender) send(b batch) error {
	if len(b.events) == 0 {
		return nil
	}
	select {
	case s.work <- b:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// wait ends the work and returns the first error.
func (s *sender) wait() error {
	close(s.work)
	s.group.Wait()
	s.progress.Clear()
	err := context.Cause(s.ctx)
	s.give(nil)
	slices.SortStableFunc(s.sum.Refused, func(a, b Refusal) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return err
}

// retries and the pauses between them: together about a minute.
const (
	retries       = 6
	longestPause  = 30 * time.Second
	shortestPause = time.Second
)

// try sends one batch until it is answered. Every event has an idempotency
// key, so sending again is safe whatever became of the request before.
func (s *sender) try(b batch) error {
	pause := shortestPause
	for attempt := 0; ; attempt++ {
		answer, err := s.client.Ingest(s.ctx, b.events)
		if err == nil {
			return s.count(b, answer)
		}
		if s.ctx.Err() != nil || !cli.Outage(err) || attempt == retries {
			return fmt.Errorf("%s, lines %d to %d: %w", b.file, b.lines[0], b.lines[len(b.lines)-1], err)
		}
		wait := pause
		if e, ok := errors.AsType[*prova.AnswerError](err); ok {
			wait = min(max(wait, e.RetryAfter), longestPause)
		}
		s.mu.Lock()
		s.progress.Clear()
		s.env.Talk("%v; trying again in %s", err, cli.About(wait))
		s.mu.Unlock()
		select {
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		case <-time.After(wait):
		}
		pause = min(2*pause, longestPause)
	}
}

func (s *sender) count(b batch, answer api.IngestAnswer) error {
	if len(answer.Results) != len(b.events) {
		return fmt.Errorf("the server answered for %d of %d runs; is it another version?", len(answer.Results), len(b.events))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range answer.Results {
		switch {
		case r.Status == api.IngestCreated:
			s.sum.Created++
			if b.events[i].Source.Release == "" {
				s.sum.NoRelease++
			}
		case r.Status == api.IngestDuplicate:
			s.sum.Duplicate++
		case r.Problem != nil:
			s.sum.Refused = append(s.sum.Refused, Refusal{b.file, b.lines[i], r.Problem.Error()})
		default:
			s.sum.Refused = append(s.sum.Refused, Refusal{b.file, b.lines[i], "refused without a reason"})
		}
	}
	s.done += b.bytes
	share := 1.0
	if s.total > 0 {
		share = float64(s.done) / float64(s.total)
	}
	s.progress.Show(share, fmt.Sprintf("%d created, %d known before, %d refused", s.sum.Created, s.sum.Duplicate, len(s.sum.Refused)))
	return nil
}

func (s *sender) refuse(r Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum.Refused = append(s.sum.Refused, r)
}

func (s *sender) others(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum.Others += n
}
