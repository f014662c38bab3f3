package clientcmd

import (
	"context"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
	"github.com/cobound/prova/internal/cli/figures"
)

// JudgeShow shows what judges said of two releases.
type JudgeShow struct {
	judgedReleases
	Limit  int    `default:"10" placeholder:"N" help:"How many judgments at most, newest first (default ${default})."`
	Cursor string `placeholder:"CURSOR" help:"Where to go on, from the end of the list before."`
	JSON
}

// Help shows an example.
func (JudgeShow) Help() string {
	return `A win is the candidate's. The win rate is over decided pairs; ties and pairs without a verdict are shown beside it. What a judge wrote as its reason is the judge's own text and decides nothing.

Example:

  prova judge show --rollout ro_…`
}

// Run shows it.
func (c JudgeShow) Run(ctx context.Context, env *cli.Env) error {
	of, err := c.of()
	if err != nil {
		return err
	}
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	list, err := client.Judgments(ctx, of, Pages{c.Limit, c.Cursor}.page())
	if err != nil {
		return err
	}
	if c.JSON.JSON {
		return env.PrintJSON(list)
	}
	if len(list.Judges) == 0 {
		env.Talk("No judgments. prova judge run asks a judge.")
		return nil
	}
	style := env.Out()
	var lines []string
	for _, s := range list.Judges {
		lines = append(append(lines, figures.Judged(s, style)...), "")
	}
	t := cli.Table{Head: []string{"recorded", "probe", "verdict", "characters", "calls", "reason"}, Right: map[int]bool{4: true}}
	columns, _ := cli.Size(env.Stdout)
	for _, j := range list.Judgments {
		verdict := string(j.Verdict)
		if j.Repeat {
			verdict += " (repeat)"
		}
		t.Add(cli.Plain(j.RecordedAt), cli.Cut(cli.Plain(j.ProbeID), 24), cli.Plain(verdict), count(j.BaselineChars)+" : "+count(j.CandidateChars), count(j.Calls), cli.Cut(reasonOf(j), max(columns-90, 30)))
	}
	if err := env.Print(strings.Join(lines, "\n") + "\n" + t.Text(style)); err != nil {
		return err
	}
	more(env, list.NextCursor)
	return nil
}

// count writes a number that may not be known.
func count(n *int64) string {
	if n == nil {
		return "–"
	}
	return strconv.FormatInt(*n, 10)
}

// reasonOf is the first reason that a judge gave.
func reasonOf(j api.RecordedJudgment) string {
	for _, a := range j.Answers {
		if a.Reason != "" {
			return cli.Plain(a.Reason)
		}
	}
	return "–"
}
