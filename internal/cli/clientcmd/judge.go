package clientcmd

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/judge"
	"github.com/cobound/prova/prova"
)

// Judge is the family of commands for the pairwise judge.
type Judge struct {
	Run       JudgeRun       `cmd:"" help:"Have an LLM judge the pairs of two releases."`
	Calibrate JudgeCalibrate `cmd:"" help:"Hold a judge against people's labels."`
	Show      JudgeShow      `cmd:"" help:"Show what judges said of two releases, and how far to trust them."`
}

// judgePage is how many pairs, or judgments, are read at a time.
const judgePage = 50

// judgedReleases says which two releases, on the command line.
type judgedReleases struct {
	Rollout     string `placeholder:"ID" help:"The releases and the evidence of this rollout."`
	AppID       string `name:"app-id" placeholder:"APP" help:"Or: the agent,"`
	Baseline    string `placeholder:"RELEASE" help:"its baseline release,"`
	Candidate   string `placeholder:"RELEASE" help:"its candidate release,"`
	Environment string `placeholder:"NAME" help:"and their environment (default production)."`
}

func (r judgedReleases) of() (prova.Releases, error) {
	whole := r.AppID != "" && r.Baseline != "" && r.Candidate != ""
	none := r.AppID == "" && r.Baseline == "" && r.Candidate == "" && r.Environment == ""
	switch {
	case r.Rollout != "" && none:
		return prova.Releases{RolloutID: r.Rollout}, nil
	case r.Rollout == "" && whole:
		return prova.Releases{AppID: r.AppID, Environment: r.Environment, Baseline: r.Baseline, Candidate: r.Candidate}, nil
	}
	return prova.Releases{}, cli.Usagef("want --rollout ID, or --app-id, --baseline and --candidate")
}

// judgeAsking says how the judge is asked, on the command line.
type judgeAsking struct {
	MaxCalls    *int64   `name:"max-calls" placeholder:"N" help:"Make at most so many requests."`
	MaxCost     *float64 `name:"max-cost" placeholder:"USD" help:"Spend at most so much. Needs the model's prices."`
	Concurrency int      `placeholder:"N" help:"Ask about so many pairs at a time (default 4, or PROVA_JUDGE_CONCURRENCY)."`
	Criteria    string   `placeholder:"FILE" help:"What makes an answer better, in your words. Other criteria make another judge."`
	Cache       string   `placeholder:"DIR" help:"Where answers are kept, so that nothing is asked twice (default the user's cache folder)."`
}

const judgeEnvironment = `The judge is any OpenAI-compatible endpoint: PROVA_JUDGE_URL (its base, such as https://api.openai.com/v1 or http://127.0.0.1:11434/v1), PROVA_JUDGE_MODEL, and PROVA_JUDGE_API_KEY if it wants one. PROVA_JUDGE_VERSION tells judges apart that share a model's name. PROVA_JUDGE_PRICE_IN and _OUT are in USD for a million tokens. PROVA_JUDGE_MAX_TOKENS, _TIMEOUT, _RETRIES, _CONCURRENCY and _CRITERIA are the others.`

// asker makes the asker that the environment and the options describe.
func (c judgeAsking) asker(env *cli.Env) (*judge.Asker, error) {
	config, err := judge.ConfigFromEnv(env.Getenv)
	if err != nil {
		return nil, judgeError(err)
	}
	if c.MaxCalls != nil && *c.MaxCalls < 0 || c.MaxCost != nil && !(*c.MaxCost >= 0) {
		return nil, cli.Usagef("--max-calls and --max-cost: want at least 0")
	}
	if c.Concurrency < 0 {
		return nil, cli.Usagef("--concurrency: want at least 1")
	}
	if c.Concurrency > 0 {
		config.Concurrency = c.Concurrency
	}
	if c.Criteria != "" {
		if config.Criteria, err = judge.ReadCriteria(c.Criteria); err != nil {
			return nil, cli.Usagef("--criteria: %w", err)
		}
	}
	if config.CacheDir = c.Cache; config.CacheDir == "" {
		if folder, err := os.UserCacheDir(); err == nil { // a service may have none
			config.CacheDir = filepath.Join(folder, "prova", "judge")
		}
	}
	asker, err := judge.New(config)
	return asker, judgeError(err)
}

func (c judgeAsking) bounds() api.StartJudging {
	return api.StartJudging{MaxCalls: c.MaxCalls, MaxCostUSD: c.MaxCost}
}

// judgeError gives an error of the asking side its exit code. What the server
// said keeps its own.
func judgeError(err error) error {
	codes := map[judge.Kind]int{judge.BadConfig: cli.BadConfig, judge.Unreachable: cli.Unreachable, judge.TryLater: cli.TryLater, judge.OverBudget: cli.TryLater}
	if code, ok := codes[judge.KindOf(err)]; ok {
		return &cli.ExitError{Code: code, Err: err}
	}
	return err
}

// endJudging says why a run ended early. The endpoint's errors are said here:
// what to do about them is not what to do about the server.
func endJudging(env *cli.Env, err error) error {
	if err == nil {
		return nil
	}
	if exit, ok := errors.AsType[*cli.ExitError](judgeError(err)); ok && judge.KindOf(err) != 0 {
		env.Talk("%s %s", env.Err().Red(env.Program+":"), cli.Plain(err.Error()))
		return cli.Exit(exit.Code)
	}
	if errors.Is(err, context.Canceled) || cli.Outage(err) {
		env.Talk("What was judged is recorded or kept. Run the same command again: it goes on where it was.")
	}
	return err
}

// pairPages reads the pairs of two releases, page by page.
func pairPages(ctx context.Context, client *prova.Client, of prova.Releases, by api.Judge) iter.Seq2[api.PairList, error] {
	return func(yield func(api.PairList, error) bool) {
		page := prova.Page{Limit: judgePage}
		for {
			list, err := client.Pairs(ctx, of, by, page)
			if !yield(list, err) || err != nil || list.NextCursor == "" {
				return
			}
			page.Cursor = list.NextCursor
		}
	}
}
