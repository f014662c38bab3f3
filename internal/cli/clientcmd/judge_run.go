package clientcmd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/connect"
	"github.com/cobound/prova/internal/cli/figures"
	"github.com/cobound/prova/internal/judge"
	"github.com/cobound/prova/prova"
)

// JudgeRun judges the pairs of two releases.
type JudgeRun struct {
	judgedReleases
	judgeAsking
	Again  bool `help:"Ask about pairs that this judge has judged already, too: their verdicts count as before, and are no longer old."`
	DryRun bool `name:"dry-run" help:"Show the pairs and how many calls they take, and ask nobody."`
	JSON
}

// Help says what is needed, with examples and the exit codes.
func (JudgeRun) Help() string {
	return `A pair is the first run of each release on one probe_id, with payload.input and payload.output. The judge sees both answers in both orders and never learns which is whose. If the orders disagree it is a tie; what cannot be read is no verdict. The judgments are recorded as signed receipts as they come, so a run that was interrupted goes on where it was.

` + judgeEnvironment + `

The exit code is 0 when all pairs are judged, 3 if the server refused some judgments, 69 if the endpoint or the server cannot be reached, 75 if the budget is used up or the endpoint asks to try later, 78 if a setting is wrong.

Examples:

  prova judge run --rollout ro_…
  prova judge run --app-id claims-agent --baseline v36 --candidate v37 --max-cost 2.50
  prova judge run --rollout ro_… --dry-run
  prova judge run --rollout ro_… --again`
}

// judgeSurvey is what there is to be judged.
type judgeSurvey struct {
	AppID            string       `json:"app_id"`
	Environment      string       `json:"environment"`
	BaselineRelease  string       `json:"baseline_release"`
	CandidateRelease string       `json:"candidate_release"`
	Judge            api.Judge    `json:"judge"`
	Endpoint         string       `json:"endpoint"`
	Pairs            int64        `json:"pairs"`
	Already          int64        `json:"already_judged"`
	Unpaired         api.Unpaired `json:"unpaired"`
	// Calls is how many requests it takes, without those that have to be repeated and before the cache.
	Calls int64 `json:"calls"`
}

// judgeOutcome is what a run did, as JSON.
type judgeOutcome struct {
	judgeSurvey
	Run     judge.Summary  `json:"run"`
	Refused []judgeRefusal `json:"refused"`
	// Standing is what the judge's judgments add up to on the server.
	Standing *api.JudgeSummary `json:"standing"`
	// Ended is why not all was judged.
	Ended string `json:"ended,omitempty"`
}

// judgeRefusal is a judgment that the server did not take.
type judgeRefusal struct {
	ProbeID string `json:"probe_id"`
	Detail  string `json:"detail"`
}

// Run judges.
func (c JudgeRun) Run(ctx context.Context, env *cli.Env) error {
	of, err := c.of()
	if err != nil {
		return err
	}
	asker, err := c.asker(env)
	if err != nil {
		return err
	}
	client, err := connect.Client(env)
	if err != nil {
		return err
	}
	survey, err := surveyPairs(ctx, client, of, asker, c.Again)
	if err != nil {
		return err
	}
	if c.DryRun {
		return c.printSurvey(env, survey)
	}
	if survey.Pairs == 0 {
		env.Talk("There are no pairs. Runs of both releases need the same probe_id and payload.input, and a payload.output.")
	}
	env.Talk("%s is asked at %s about %d of %d pairs, in at most %d calls.", cli.Plain(survey.Judge.String()), survey.Endpoint, survey.Pairs-survey.Already, survey.Pairs, survey.Calls)
	out := judgeOutcome{judgeSurvey: survey, Refused: []judgeRefusal{}}
	progress := env.NewProgress()
	sum, ended := asker.Run(ctx, judge.Work{
		Pages:  pairPages(ctx, client, of, asker.Judge()),
		Bounds: c.bounds(),
		Fresh:  c.Again,
		Record: func(ctx context.Context, batch []api.Judgment) error { return out.record(ctx, client, batch) },
		Progress: func(s judge.Summary) {
			todo := max(survey.Pairs-survey.Already, 1)
			progress.Show(float64(s.Recorded+s.Failed)/float64(todo), fmt.Sprintf("%d of %d pairs, %s", s.Recorded, todo, soFar(s)))
		},
	})
	progress.Clear()
	out.Run = sum
	if ended != nil {
		out.Ended = ended.Error()
	}
	// What stands on the server is told after an interruption too, and its absence is no reason to hide the rest.
	out.Standing = standing(ctx, client, of, asker.Judge())
	if err := c.print(env, out); err != nil {
		return err
	}
	if ended != nil {
		return endJudging(env, ended)
	}
	if len(out.Refused) > 0 {
		return cli.Exit(cli.Undecided)
	}
	return nil
}

// surveyPairs counts what there is to be judged.
func surveyPairs(ctx context.Context, client *prova.Client, of prova.Releases, asker *judge.Asker, again bool) (judgeSurvey, error) {
	s := judgeSurvey{Judge: asker.Judge(), Endpoint: asker.Endpoint()}
	for page, err := range pairPages(ctx, client, of, s.Judge) {
		if err != nil {
			return s, err
		}
		s.AppID, s.Environment, s.BaselineRelease, s.CandidateRelease = page.AppID, page.Environment, page.BaselineRelease, page.CandidateRelease
		s.Unpaired.BaselineOnly += page.Unpaired.BaselineOnly
		s.Unpaired.CandidateOnly += page.Unpaired.CandidateOnly
		s.Unpaired.NoOutput += page.Unpaired.NoOutput
		s.Unpaired.InputsDiffer += page.Unpaired.InputsDiffer
		s.Pairs += int64(len(page.Pairs))
		for _, p := range page.Pairs {
			if p.Judged && !again {
				s.Already++
			}
		}
	}
	s.Calls = 2 * (s.Pairs - s.Already)
	return s, nil
}

// recordAttempts is how often a batch is sent while the server is away; a rerun costs nothing, so it is not long.
const recordAttempts = 4

// record sends judgments. Each has an idempotency key, so sending again is safe.
func (o *judgeOutcome) record(ctx context.Context, client *prova.Client, batch []api.Judgment) error {
	for attempt := 1; ; attempt++ {
		answer, err := client.RecordJudgments(ctx, batch)
		if err == nil {
			return o.count(batch, answer)
		}
		if !cli.Outage(err) || attempt == recordAttempts {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(shortestPause << (attempt - 1)):
		}
	}
}

func (o *judgeOutcome) count(batch []api.Judgment, answer api.IngestAnswer) error {
	if len(answer.Results) != len(batch) {
		return fmt.Errorf("the server answered for %d of %d judgments; is it another version?", len(answer.Results), len(batch))
	}
	for i, r := range answer.Results {
		switch {
		case r.Status == api.IngestCreated, r.Status == api.IngestDuplicate:
		case r.Problem != nil:
			o.Refused = append(o.Refused, judgeRefusal{batch[i].ProbeID, r.Problem.Error()})
		default:
			o.Refused = append(o.Refused, judgeRefusal{batch[i].ProbeID, "refused without a reason"})
		}
	}
	return nil
}

// standingTime bounds the last question of a run, which an interruption does not end.
const standingTime = 10 * time.Second

// standing is what the judge's judgments add up to on the server, or nil.
func standing(ctx context.Context, client *prova.Client, of prova.Releases, by api.Judge) *api.JudgeSummary {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), standingTime)
	defer cancel()
	list, err := client.Judgments(ctx, of, prova.Page{Limit: 1})
	if err != nil {
		return nil
	}
	for _, s := range list.Judges {
		if s.Judge == by {
			return &s
		}
	}
	return nil
}

func (c JudgeRun) printSurvey(env *cli.Env, s judgeSurvey) error {
	if c.JSON.JSON {
		return env.PrintJSON(s)
	}
	lines := []string{
		s.head(env.Out()), "judge " + cli.Plain(s.Judge.String()) + " at " + s.Endpoint,
		fmt.Sprintf("%d pairs, %d judged before; %d to judge, in at most %d calls", s.Pairs, s.Already, s.Pairs-s.Already, s.Calls),
	}
	if u := figures.UnpairedText(s.Unpaired); u != "" {
		lines = append(lines, u)
	}
	return env.Print(strings.Join(lines, "\n") + "\n")
}

func (s judgeSurvey) head(style cli.Style) string {
	return style.Bold(fmt.Sprintf("%s  %s → %s", cli.Plain(s.AppID), cli.Plain(s.BaselineRelease), cli.Plain(s.CandidateRelease))) + "  " + cli.Plain(s.Environment)
}

func (c JudgeRun) print(env *cli.Env, out judgeOutcome) error {
	if c.JSON.JSON {
		return env.PrintJSON(out)
	}
	for i, r := range out.Refused {
		if i == shownRefusals {
			env.Talk("… and %d more; --json lists all", len(out.Refused)-i)
			break
		}
		env.Talk("%s: %s", cli.Plain(r.ProbeID), cli.Plain(r.Detail))
	}
	if p := out.Run.CacheProblem; p != "" {
		env.Talk("Answers could not be kept for the next run: %s", cli.Plain(p))
	}
	style := env.Out()
	lines := []string{
		out.head(style),
		"this run: " + figures.Tally(out.Run.Figures) + "; " + spent(out.Run),
	}
	if left := out.Pairs - out.Already - out.Run.Recorded; left > 0 {
		lines = append(lines, style.Yellow(fmt.Sprintf("%d pairs are left", left)))
	}
	if u := figures.UnpairedText(out.Unpaired); u != "" {
		lines = append(lines, u)
	}
	lines = append(lines, "")
	if out.Standing != nil {
		lines = append(lines, figures.Judged(*out.Standing, style)...)
	} else {
		lines = append(lines, "The server has no judgments of this judge on these releases, or did not say.")
	}
	return env.Print(strings.Join(lines, "\n") + "\n")
}

// soFar is what a run has taken, short enough for the line of a progress bar.
func soFar(s judge.Summary) string {
	if s.CostUSD == nil {
		return fmt.Sprintf("%d calls", s.Calls)
	}
	return fmt.Sprintf("%d calls, %.4f USD", s.Calls, *s.CostUSD)
}

// spent is what a run took.
func spent(s judge.Summary) string {
	cost := "cost not known"
	if s.CostUSD != nil {
		cost = fmt.Sprintf("%.4f USD", *s.CostUSD)
	}
	return fmt.Sprintf("%d calls, %d answers from the cache, %s", s.Calls, s.Cached, cost)
}
