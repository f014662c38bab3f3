package clientcmd

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
	"github.com/cobound/prova/internal/cli/figures"
	"github.com/cobound/prova/internal/judge"
	"github.com/cobound/prova/prova"
)

// JudgeCalibrate holds a judge against people's labels.
type JudgeCalibrate struct {
	File    string `required:"" placeholder:"FILE" help:"Labels, one in each line."`
	AppID   string `name:"app-id" placeholder:"APP" help:"The agent, where the lines do not name it or name another."`
	Retest  int    `default:"20" placeholder:"PERCENT" help:"Ask about so many of the pairs twice, to see whether the judge says the same again (default ${default})."`
	Model   string `placeholder:"NAME" help:"Without texts in the file: whose recorded judgments are compared,"`
	Version string `placeholder:"NAME" help:"its version,"`
	Prompt  string `name:"template" placeholder:"DIGEST" help:"and its template, or the beginning of it. Not needed where there is one judge only."`
	judgeAsking
	DryRun bool `name:"dry-run" help:"Store nothing."`
	JSON
}

// Help says what a line is, with an example.
func (JudgeCalibrate) Help() string {
	return `A line is what people say of a pair:

{"app_id":"claims-agent","baseline_release":"v36","candidate_release":"v37","probe_id":"claim-0017","verdict":"candidate"}

verdict is baseline, candidate or tie. With baseline_output and candidate_output (and input) in each line the judge is asked. Without them the labels are compared with the judgments that the server has. The result is stored as a signed receipt, and shown with every win rate of this judge.

` + judgeEnvironment + `

Example:

  prova judge calibrate --file labels.ndjson`
}

// Run calibrates.
func (c JudgeCalibrate) Run(ctx context.Context, env *cli.Env) error {
	if c.Retest < 0 || c.Retest > 100 {
		return cli.Usagef("--retest: want 0 to 100")
	}
	labels, err := readLabels(c.File, c.AppID)
	if err != nil {
		return cli.Usagef("--file: %w", err)
	}
	// A dry run that asks the judge needs no server.
	var client *prova.Client
	if !c.DryRun || !labels[0].hasTexts() {
		if client, err = connect.Client(env); err != nil {
			return err
		}
	}
	var found api.Calibration
	if labels[0].hasTexts() {
		found, err = c.ask(ctx, env, labels)
	} else {
		found, err = c.compare(ctx, client, labels)
	}
	if err != nil {
		return err
	}
	if !c.DryRun {
		// If this fails, all answers are in the cache.
		if found, err = client.RecordCalibration(ctx, found); err != nil {
			return err
		}
	}
	return c.print(env, found)
}

// ask has the judge judge the labelled pairs, and a share of them again.
func (c JudgeCalibrate) ask(ctx context.Context, env *cli.Env, labels []label) (api.Calibration, error) {
	asker, err := c.asker(env)
	if err != nil {
		return api.Calibration{}, err
	}
	again := sample(labels, c.Retest)
	total := len(labels) + len(again)
	env.Talk("%s is asked at %s about %d pairs, %d of them twice, in at most %d calls.", cli.Plain(asker.Judge().String()), asker.Endpoint(), len(labels), len(again), 2*total)
	said := map[labelledProbe][]api.Judgment{}
	progress := env.NewProgress()
	defer progress.Clear()
	bounds, done := c.bounds(), int64(0)
	for i, part := range [][]label{labels, again} {
		sum, err := asker.Run(ctx, judge.Work{
			Pages: labelPages(part), Bounds: bounds, Fresh: i > 0,
			Record: func(_ context.Context, batch []api.Judgment) error {
				for _, j := range batch {
					key := labelledProbe{j.Environment, j.BaselineRelease, j.CandidateRelease, j.ProbeID}
					said[key] = append(said[key], j)
				}
				return nil
			},
			Progress: func(s judge.Summary) {
				n := done + s.Recorded
				progress.Show(float64(n)/float64(total), fmt.Sprintf("%d of %d pairs, %s", n, total, soFar(s)))
			},
		})
		done += sum.Recorded
		if err != nil {
			progress.Clear()
			env.Talk("Not calibrated: there are answers on %d of %d pairs.", done, total)
			return api.Calibration{}, endJudging(env, err)
		}
		bounds = left(bounds, sum)
	}
	var pairs []judge.Labelled
	for _, l := range labels {
		pairs = append(pairs, judge.Labelled{Label: l.Verdict, Judgments: said[l.pair()]})
	}
	return judge.Calibrate(labels[0].AppID, asker.Judge(), pairs), nil
}

// left is what a run left of its budget.
func left(b api.StartJudging, sum judge.Summary) api.StartJudging {
	if b.MaxCalls != nil {
		calls := *b.MaxCalls - sum.Calls
		b.MaxCalls = &calls
	}
	if b.MaxCostUSD != nil && sum.CostUSD != nil {
		cost := *b.MaxCostUSD - *sum.CostUSD
		b.MaxCostUSD = &cost
	}
	return b
}

// sample takes a share of the labels, evenly spread over the file.
func sample(labels []label, percent int) []label {
	var taken []label
	for i, l := range labels {
		if (i+1)*percent/100 > i*percent/100 {
			taken = append(taken, l)
		}
	}
	return taken
}

// labelPages offers labelled pairs as the server offers pairs: releases by releases.
func labelPages(labels []label) iter.Seq2[api.PairList, error] {
	return func(yield func(api.PairList, error) bool) {
		for _, l := range labels {
			page := api.PairList{AppID: l.AppID, Environment: l.Environment, BaselineRelease: l.Baseline, CandidateRelease: l.Candidate, Pairs: []api.Pair{{
				ProbeID: l.Probe, Input: l.Input, Baseline: api.PairRun{Output: l.BaselineOutput}, Candidate: api.PairRun{Output: l.CandidateOutput},
			}}}
			if !yield(page, nil) {
				return
			}
		}
	}
}

// compare holds the labels against what the server has of one judge.
func (c JudgeCalibrate) compare(ctx context.Context, client *prova.Client, labels []label) (api.Calibration, error) {
	recorded := map[api.Judge]map[labelledProbe][]api.Judgment{}
	read := map[labelledProbe]bool{}
	for _, l := range labels {
		releases := l.pair()
		releases.Probe = ""
		if read[releases] {
			continue
		}
		read[releases] = true
		if err := c.collect(ctx, client, l, recorded); err != nil {
			return api.Calibration{}, err
		}
	}
	by, err := c.theJudge(slices.Collect(maps.Keys(recorded)))
	if err != nil {
		return api.Calibration{}, err
	}
	var pairs []judge.Labelled
	for _, l := range labels {
		pairs = append(pairs, judge.Labelled{Label: l.Verdict, Judgments: recorded[by][l.pair()]})
	}
	return judge.Calibrate(labels[0].AppID, by, pairs), nil
}

// collect reads what is recorded about the releases of a label, oldest first.
func (c JudgeCalibrate) collect(ctx context.Context, client *prova.Client, l label, recorded map[api.Judge]map[labelledProbe][]api.Judgment) error {
	of := prova.Releases{AppID: l.AppID, Environment: l.Environment, Baseline: l.Baseline, Candidate: l.Candidate}
	var newestFirst []api.RecordedJudgment
	for page := (prova.Page{Limit: judgePage}); ; {
		list, err := client.Judgments(ctx, of, page)
		if err != nil {
			return err
		}
		newestFirst = append(newestFirst, list.Judgments...)
		if page.Cursor = list.NextCursor; page.Cursor == "" {
			break
		}
	}
	for _, j := range slices.Backward(newestFirst) {
		if recorded[j.Judge] == nil {
			recorded[j.Judge] = map[labelledProbe][]api.Judgment{}
		}
		key := labelledProbe{l.Environment, l.Baseline, l.Candidate, j.ProbeID}
		recorded[j.Judge][key] = append(recorded[j.Judge][key], j.Judgment)
	}
	return nil
}

// theJudge is the one judge that the options leave.
func (c JudgeCalibrate) theJudge(judges []api.Judge) (api.Judge, error) {
	judges = slices.DeleteFunc(judges, func(j api.Judge) bool {
		return c.Model != "" && j.Model != c.Model || c.Version != "" && j.Version != c.Version || !strings.HasPrefix(j.Template, c.Prompt)
	})
	switch len(judges) {
	case 0:
		return api.Judge{}, cli.Usagef("the server has no judgments on these releases by this judge; run prova judge run first, or give the lines input, baseline_output and candidate_output")
	case 1:
		return judges[0], nil
	}
	var names []string
	for _, j := range judges {
		names = append(names, "  "+cli.Plain(j.String()))
	}
	slices.Sort(names)
	return api.Judge{}, cli.Usagef("%d judges have judged these releases; say which with --model, --version and --template:\n%s", len(judges), strings.Join(names, "\n"))
}

func (c JudgeCalibrate) print(env *cli.Env, found api.Calibration) error {
	if found.Labels < figures.FewLabels {
		env.Talk("%d labels say little: look at the intervals. Practice guides ask for %d or more.", found.Labels, figures.FewLabels)
	}
	if c.JSON.JSON {
		return env.PrintJSON(found)
	}
	lines := figures.Calibration(found, env.Out())
	if found.EventID != "" {
		lines = append(lines, "", "stored as "+cli.Plain(found.EventID))
	}
	return env.Print(strings.Join(lines, "\n") + "\n")
}
