package main

import (
	"context"
	"iter"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/judge"
)

// judging is the server's own judge, as the authority asks it. It keeps its
// answers in memory only: on this machine nothing but the vault is to hold what
// was judged, because from there it can be erased.
type judging struct{ *judge.Asker }

// serverJudge is the judge that the environment names; nil if it names none.
func serverJudge(getenv func(string) string) (authority.Judger, error) {
	if strings.TrimSpace(getenv("PROVA_JUDGE_URL")) == "" {
		return nil, nil
	}
	config, err := judge.ConfigFromEnv(getenv)
	if err != nil {
		return nil, cli.Configf("%w", err)
	}
	asker, err := judge.New(config)
	if err != nil {
		return nil, cli.Configf("%w", err)
	}
	return judging{asker}, nil
}

// Run judges the pairs of a source.
func (j judging) Run(ctx context.Context, source authority.JudgeSource, bounds api.StartJudging, progress func(api.JudgeJob)) error {
	_, err := j.Asker.Run(ctx, judge.Work{
		Pages: pages(ctx, source), Bounds: bounds, Record: source.Record, Progress: func(s judge.Summary) { progress(counts(s)) },
	})
	return err
}

// pages reads the pairs of a source page by page.
func pages(ctx context.Context, source authority.JudgeSource) iter.Seq2[api.PairList, error] {
	return func(yield func(api.PairList, error) bool) {
		for cursor, first := "", true; first || cursor != ""; first = false {
			list, err := source.Pairs(ctx, cursor)
			if !yield(list, err) || err != nil {
				return
			}
			cursor = list.NextCursor
		}
	}
}

// counts is how far a run has come, as a job tells it.
func counts(s judge.Summary) api.JudgeJob {
	job := api.JudgeJob{
		Pairs: s.Pairs, Judged: s.Already + s.Recorded - s.Figures.NoVerdict, Recorded: s.Recorded, NoVerdict: s.Figures.NoVerdict,
		Unpaired: s.Unpaired, Calls: s.Calls, Cached: s.Cached,
	}
	if s.CostUSD != nil {
		job.CostUSD = *s.CostUSD
	}
	return job
}
