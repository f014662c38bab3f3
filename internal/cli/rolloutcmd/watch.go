package rolloutcmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
	"github.com/cobound/prova/prova"
)

// Watch ticks a rollout until it is settled.
type Watch struct {
	ID
	Interval cli.Seconds `default:"30" placeholder:"SECONDS" help:"Time between two ticks (default ${default}; also 30s, 5m)."`
	Timeout  cli.Seconds `default:"3600" placeholder:"SECONDS" help:"When to give up (default ${default}; also 1h)."`
	NoTick   bool        `help:"Only read: something else ticks, such as a cron job or the server itself."`
	Strict   bool        `help:"In shadow mode, end with 1 on a rollback on paper."`
	JSON
}

// Help shows an example and the exit codes.
func (Watch) Help() string {
	return `Exit codes: 0 fully promoted, 1 rolled back, 2 timed out, 4 aborted by a person. An outage of the server is waited out until the timeout; if it still lasts then, the code is 69 or 75, never 1 or 2. Leaving the watch changes nothing about the rollout.

Example:

  prova-rollout watch --id "$ID" --interval 30 --timeout 3600`
}

// requestTime is how long one tick may take, which also delivers webhooks, and
// leastRequestTime what it is given even when the timeout is near: a tick cut
// short would look like an outage.
const (
	requestTime      = 2 * time.Minute
	leastRequestTime = 30 * time.Second
	leastInterval    = 100 * time.Millisecond
)

// Run watches.
func (c Watch) Run(ctx context.Context, env *cli.Env) error {
	if c.Interval.Duration() < leastInterval {
		return cli.Usagef("--interval: want at least %s", leastInterval)
	}
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	w := &watcher{Watch: c, env: env, client: client, deadline: time.Now().Add(c.Timeout.Duration()), show: newDisplay(c, env)}
	view, err := w.until(ctx)
	return w.end(ctx, view, err)
}

// watcher is one watch under way.
type watcher struct {
	Watch
	env      *cli.Env
	client   *prova.Client
	deadline time.Time
	show     display
	// backoff is the wait after the next outage.
	backoff time.Duration
}

// errTimeout says that the rollout had not settled in time.
var errTimeout = errors.New("timed out")

// until ticks until the rollout has ended, an error ends the watch or the time
// is over. The view is the last one that was seen.
func (w *watcher) until(ctx context.Context) (view View, err error) {
	for {
		next, err := w.look(ctx)
		wait := w.Interval.Duration()
		switch {
		case err == nil:
			view, w.backoff = next, 0
			w.show.view(view)
			if view.Rollout.State.Finished() {
				return view, nil
			}
		case ctx.Err() != nil:
			return view, ctx.Err()
		case !cli.Outage(err):
			return view, err
		default:
			wait = w.retryAfter(err)
		}
		left := time.Until(w.deadline)
		switch {
		case left <= 0 && err != nil:
			return view, err
		case left <= 0:
			return view, errTimeout
		}
		wait = min(wait, left)
		if err != nil {
			w.show.outage(err, wait)
		}
		if err := w.sleep(ctx, wait); err != nil {
			return view, err
		}
	}
}

// look ticks once, or reads once.
func (w *watcher) look(ctx context.Context) (View, error) {
	ctx, cancel := context.WithTimeout(ctx, max(leastRequestTime, min(requestTime, time.Until(w.deadline))))
	defer cancel()
	if w.NoTick {
		rollout, err := w.client.Rollout(ctx, w.ID.ID)
		return View{Rollout: rollout}, err
	}
	tick, err := w.client.Evaluate(ctx, w.ID.ID)
	return View{Rollout: tick.Rollout, Verdict: tick.Verdict, tick: &tick}, err
}

// retryAfter is how long to wait after an outage: as long as the server asks,
// else twice as long each time, up to the interval.
func (w *watcher) retryAfter(err error) time.Duration {
	w.backoff = min(max(2*w.backoff, time.Second), w.Interval.Duration())
	if answer, ok := errors.AsType[*prova.AnswerError](err); ok {
		return max(w.backoff, answer.RetryAfter)
	}
	return w.backoff
}

// sleep waits, and lets the display tell the time.
func (w *watcher) sleep(ctx context.Context, d time.Duration) error {
	until := time.Now().Add(d)
	for {
		w.show.waiting(time.Until(until), time.Until(w.deadline))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(time.Second, time.Until(until))):
		}
		if !time.Now().Before(until) {
			return nil
		}
	}
}

// end says how the watch ended and why, and turns that into the exit code.
func (w *watcher) end(ctx context.Context, view View, err error) error {
	w.show.finish(view)
	r := view.Rollout
	switch {
	case err == nil:
		code, text := w.outcome(r)
		w.show.conclude(code, text)
		return cli.Exit(code)
	case errors.Is(err, errTimeout):
		w.show.conclude(cli.TimedOut, fmt.Sprintf("Timed out after %s: %s. The rollout goes on whenever it is ticked.", cli.About(w.Timeout.Duration()), standing(r)))
		return cli.Exit(cli.TimedOut)
	case ctx.Err() != nil:
		w.env.Talk("Stopped watching; the rollout %s is as it was.", cli.Plain(w.ID.ID))
		return err
	case cli.Outage(err):
		return fmt.Errorf("gave up after %s; %s: %w", cli.About(w.Timeout.Duration()), lastSeen(r), err)
	}
	return err
}

// standing says where a rollout is.
func standing(r api.Rollout) string { return Line(View{Rollout: r}, cli.Style{}) }

// lastSeen says what is known of a rollout behind an outage.
func lastSeen(r api.Rollout) string {
	if r.ID == "" {
		return "the rollout was never seen"
	}
	return "the rollout was last seen " + standing(r)
}

// outcome is the exit code of a rollout that has ended, and the words for it.
func (w *watcher) outcome(r api.Rollout) (code int, text string) {
	reason := ""
	if r.LastDecision != nil && r.LastDecision.Reason.Text != "" {
		reason = " " + cli.Plain(r.LastDecision.Reason.Text)
	}
	candidate, baseline := cli.Plain(r.CandidateRelease), cli.Plain(r.BaselineRelease)
	switch {
	case r.State == api.StateAborted:
		by := "a person"
		if r.LastDecision != nil && r.LastDecision.Actor != "" {
			by = cli.Plain(r.LastDecision.Actor)
		}
		return cli.Aborted, "Aborted by " + by + "." + reason
	case r.State == api.StatePromoted && r.Advisory:
		return cli.Done, "On paper only: canary mode would have promoted " + candidate + " to 100 %. Nothing was changed." + reason
	case r.State == api.StatePromoted:
		return cli.Done, "Promoted: " + candidate + " is authorised for all traffic." + reason
	case r.Advisory:
		code := cli.Done
		if w.Strict {
			code = cli.Regressed
		}
		return code, "On paper only: canary mode would have rolled " + candidate + " back to " + baseline + ". Nothing was changed." + reason
	}
	return cli.Regressed, "Rolled back: " + candidate + " is out, " + baseline + " takes all traffic." + reason
}
