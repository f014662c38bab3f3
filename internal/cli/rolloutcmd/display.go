package rolloutcmd

import (
	"io"
	"strings"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
)

// display shows a watch to whoever is there: a person, a log or a program.
type display interface {
	// view shows what a tick or a read answered.
	view(v View)
	// outage says that an attempt failed and when the next one is made.
	outage(err error, wait time.Duration)
	// waiting is called about once a second between two ticks.
	waiting(next, left time.Duration)
	// finish shows the last view for good.
	finish(v View)
	// conclude says how the watch ended and why.
	conclude(code int, text string)
}

func newDisplay(c Watch, env *cli.Env) display {
	log := &logDisplay{env: env, style: env.Out(), now: time.Now}
	switch {
	case c.JSON.JSON:
		return &jsonDisplay{logDisplay: log}
	case cli.IsTerminal(env.Stdout) && env.Getenv("TERM") != "dumb":
		return &liveDisplay{w: env.Stdout, live: cli.NewLive(env.Stdout), style: env.Out(), noTick: c.NoTick}
	}
	return log
}

// liveDisplay redraws one frame in place.
type liveDisplay struct {
	w      io.Writer
	live   *cli.Live
	style  cli.Style
	noTick bool
	last   View
	// trouble is the outage that lasts, empty for none.
	trouble string
}

func (d *liveDisplay) draw(foot string) {
	columns, _ := cli.Size(d.w)
	v := d.last
	v.Foot = foot
	if v.Rollout.ID == "" {
		d.live.Draw(cli.Cut(foot, columns-1) + "\n")
		return
	}
	d.live.Draw(Frame(v, d.style, columns))
}

func (d *liveDisplay) view(v View) {
	d.last, d.trouble = v, ""
	d.draw("")
}

func (d *liveDisplay) outage(err error, _ time.Duration) { d.trouble = err.Error() }

func (d *liveDisplay) waiting(next, left time.Duration) {
	verb := "next tick"
	if d.noTick {
		verb = "next read"
	}
	foot := verb + " in " + cli.About(next) + ", giving up in " + cli.About(left)
	if d.trouble != "" {
		foot = "retrying in " + cli.About(next) + ": " + d.trouble
	}
	d.draw(foot)
}

func (d *liveDisplay) finish(v View) {
	if v.Rollout.ID == "" {
		d.live.Finish("")
		return
	}
	columns, _ := cli.Size(d.w)
	d.live.Finish(Frame(v, d.style, columns))
}

func (d *liveDisplay) conclude(code int, text string) {
	columns, _ := cli.Size(d.w)
	conclude(d.w, d.style, code, "\n"+strings.Join(cli.Wrap(text, columns-1), "\n"))
}

// conclude writes the last words of a watch for people.
func conclude(w io.Writer, style cli.Style, code int, text string) {
	switch code {
	case cli.Done:
		text = style.Green(text)
	case cli.TimedOut:
		text = style.Yellow(text)
	default:
		text = style.Red(text)
	}
	_, _ = io.WriteString(w, text+"\n")
}

// heartbeat is how long a log stays silent at most: CI systems end a job that
// says nothing for some minutes.
const heartbeat = 60 * time.Second

// logDisplay writes a line when something changed, and one now and then.
type logDisplay struct {
	env   *cli.Env
	style cli.Style
	now   func() time.Time
	last  View
	at    time.Time
	shown bool
	// told are the checks that were shown, by name and status.
	told map[string]bool
}

// changed compares what a reader of the log would act on.
func changed(a, b api.Rollout) bool {
	code := func(r api.Rollout) string {
		if r.LastDecision == nil {
			return ""
		}
		return r.LastDecision.Reason.Code + r.LastDecision.EventID
	}
	return a.State != b.State || a.Step != b.Step || a.FreshRuns != b.FreshRuns || a.Sequence != b.Sequence || code(a) != code(b)
}

func (d *logDisplay) view(v View) {
	if !d.news(v) {
		return
	}
	text := clock(d.at) + "  " + Line(v, d.style) + "\n"
	for _, c := range v.checks() {
		if c.Status != api.CheckOK && !d.told[c.Check+c.Status] { // its figures change with every tick
			if d.told == nil {
				d.told = map[string]bool{}
			}
			d.told[c.Check+c.Status] = true
			text += "           " + d.style.Yellow(cli.Plain(c.Check+" "+c.Status)) + "  " + cli.Plain(c.Detail) + "\n"
		}
	}
	// A log that cannot be written is no reason to stop guarding the rollout.
	_ = d.env.Print(text)
}

// news keeps a view and reports whether it says something new.
func (d *logDisplay) news(v View) bool {
	news := !d.shown || changed(d.last.Rollout, v.Rollout)
	d.last = v
	if news {
		d.shown, d.at = true, d.now()
	}
	return news
}

func (d *logDisplay) outage(err error, wait time.Duration) {
	d.at = d.now()
	d.env.Talk("%s  %v; trying again in %s", clock(d.at), err, cli.About(wait))
}

func (d *logDisplay) waiting(_, left time.Duration) {
	if !d.shown || d.now().Sub(d.at) < heartbeat {
		return
	}
	d.at = d.now()
	d.env.Talk("%s  still watching: %s at step %d, giving up in %s", clock(d.at), d.last.Rollout.State, d.last.Rollout.Step, cli.About(left))
}

func (d *logDisplay) finish(View) {}

func (d *logDisplay) conclude(code int, text string) { conclude(d.env.Stdout, d.style, code, text) }

// jsonDisplay writes the answer of the API, one line for each that is new.
type jsonDisplay struct{ *logDisplay }

func (d *jsonDisplay) view(v View) {
	if !d.news(v) {
		return
	}
	if v.tick != nil {
		_ = d.env.PrintJSON(v.tick)
		return
	}
	_ = d.env.PrintJSON(v.Rollout)
}

func (d *jsonDisplay) conclude(_ int, text string) { d.env.Talk("%s", text) }
