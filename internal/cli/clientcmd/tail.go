package clientcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
	"github.com/cobound/prova/prova"
)

// RunsTail follows the log.
type RunsTail struct {
	AppID       string `name:"app-id" placeholder:"APP" help:"Of this agent only."`
	Environment string `placeholder:"NAME" help:"Of this environment only."`
	Release     string `placeholder:"RELEASE" help:"Of this release only."`
	After       int64  `default:"-2" placeholder:"INDEX" help:"Begin behind this log index; -1 is the start (default: the last ten runs)."`
	NoFollow    bool   `help:"Show what there is and end."`
	JSON
}

// Help shows an example.
func (RunsTail) Help() string {
	return "Runs without a release are pointed out: they are kept and never counted.\n\nExample:\n\n  prova runs tail --app-id claims-agent"
}

const (
	tailWait  = 20 * time.Second
	tailLimit = 100
	tailFirst = 10
	// tailPause keeps a server that answers at once from being asked without a pause.
	tailPause    = 200 * time.Millisecond
	tailMaxPause = 15 * time.Second
)

// Run follows.
func (c RunsTail) Run(ctx context.Context, env *cli.Env) error {
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	q := prova.RunsQuery{AppID: c.AppID, Environment: c.Environment, Release: c.Release, After: c.After, Limit: tailLimit}
	if c.After < -1 {
		last, err := client.LatestRuns(ctx, q, tailFirst)
		if err != nil {
			return err
		}
		q.After = -1
		for _, item := range slices.Backward(last.Items) {
			q.After = item.LogIndex
			if err := c.show(env, item); err != nil {
				return err
			}
		}
	}
	return c.follow(ctx, env, client, q)
}

func (c RunsTail) follow(ctx context.Context, env *cli.Env, client *prova.Client, q prova.RunsQuery) error {
	pause := tailPause
	for {
		list, err := client.Runs(ctx, q)
		switch {
		case err != nil && (ctx.Err() != nil || !cli.Outage(err) || c.NoFollow):
			return err
		case err != nil:
			pause = min(2*pause, tailMaxPause)
			env.Talk("%v; trying again in %s", err, cli.About(pause))
		default:
			pause = tailPause
		}
		for _, item := range list.Items {
			q.After = max(q.After, item.LogIndex)
			if err := c.show(env, item); err != nil {
				return err
			}
		}
		if len(list.Items) == tailLimit {
			continue
		}
		if c.NoFollow {
			return nil
		}
		q.Wait = tailWait
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// show prints one run. What a receipt says is shown and not verified.
func (c RunsTail) show(env *cli.Env, item api.ReceiptItem) error {
	if c.JSON.JSON {
		return env.PrintJSON(item)
	}
	var r struct {
		Body struct {
			RecordedAt string                `json:"recorded_at"`
			Source     api.EventSource       `json:"source"`
			ProbeID    string                `json:"probe_id"`
			RunID      string                `json:"run_id"`
			Metrics    map[string]api.Metric `json:"metrics"`
		} `json:"body"`
	}
	if err := json.Unmarshal(item.Receipt, &r); err != nil {
		env.Talk("index %d: not a receipt: %v", item.LogIndex, err)
		return nil
	}
	style := env.Out()
	release := style.Cyan(cli.Plain(r.Body.Source.Release))
	if r.Body.Source.Release == "" {
		release = style.Yellow("no release, not counted")
	}
	parts := []string{style.Dim(strconv.FormatInt(item.LogIndex, 10)), style.Dim(cli.Plain(r.Body.RecordedAt)), cli.Plain(r.Body.Source.AppID), release}
	if r.Body.ProbeID != "" {
		parts = append(parts, style.Dim("probe "+cli.Plain(r.Body.ProbeID)))
	}
	return env.Print(strings.Join(append(parts, metricsText(r.Body.Metrics)), "  ") + "\n")
}

// metricsText lists metrics: the known ones first, then by name.
func metricsText(metrics map[string]api.Metric) string {
	var parts []string
	add := func(name string) {
		m := metrics[name]
		value := strconv.FormatFloat(m.Value, 'g', -1, 64)
		if m.Boolean {
			value = strconv.FormatBool(m.Value != 0)
		}
		parts = append(parts, fmt.Sprintf("%s=%s", cli.Plain(name), value))
	}
	for _, k := range api.KnownMetrics() {
		if _, ok := metrics[k.Metric]; ok {
			add(k.Metric)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		if _, known := api.KnownMetric(name); !known {
			add(name)
		}
	}
	return strings.Join(parts, " ")
}
