package judge

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/cobound/prova/api"
)

// Asker asks one judge. It is safe for concurrent use.
type Asker struct {
	config   Config
	judge    api.Judge
	prompt   Prompt
	cache    *Cache
	endpoint *endpoint
	random   io.Reader
}

// New checks the settings and opens the cache. It does not reach the endpoint.
func New(c Config) (*Asker, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	prompt, err := NewPrompt(c.Criteria)
	if err != nil {
		return nil, err
	}
	cache, err := NewCache(c.CacheDir)
	if err != nil {
		return nil, err
	}
	c = c.withDefaults()
	return &Asker{
		config: c, prompt: prompt, cache: cache, endpoint: newEndpoint(c), random: &locked{r: rand.Reader},
		judge: api.Judge{Model: c.Model, Version: c.Version, Template: prompt.Digest()},
	}, nil
}

// Judge names who judges: model, version, and the digest of the prompt.
func (a *Asker) Judge() api.Judge { return a.judge }

// Endpoint is the address that is asked, fit to be shown.
func (a *Asker) Endpoint() string { return shownURL(a.config.URL) }

// locked makes a reader safe for concurrent use.
type locked struct {
	mu sync.Mutex
	r  io.Reader
}

func (l *locked) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(p)
}

// pairTexts are the two orders in which a pair is shown: the baseline first, then the candidate first.
func pairTexts(p api.Pair) [2]Texts {
	input, baseline, candidate := Text(p.Input), Text(p.Baseline.Output), Text(p.Candidate.Output)
	return [2]Texts{{input, baseline, candidate}, {input, candidate, baseline}}
}

// pair asks about a pair in both orders. Without an error the judgment is
// complete, with or without a verdict; with one there is nothing to record.
func (a *Asker) pair(ctx context.Context, t *turn, of api.PairList, p api.Pair) (api.Judgment, error) {
	began := time.Now()
	orders := pairTexts(p)
	if err := a.reserve(t, orders); err != nil {
		return api.Judgment{}, err
	}
	defer t.end()
	j := api.Judgment{
		AppID: of.AppID, Environment: of.Environment, BaselineRelease: of.BaselineRelease, CandidateRelease: of.CandidateRelease,
		ProbeID: p.ProbeID, Judge: a.judge, BaselineEventID: p.Baseline.EventID, CandidateEventID: p.Candidate.EventID,
		BaselineChars: chars(orders[0].First), CandidateChars: chars(orders[0].Second),
	}
	for i, first := range []api.Preference{api.PreferBaseline, api.PreferCandidate} {
		said, err := a.ask(ctx, t, orders[i])
		if err != nil {
			return api.Judgment{}, err
		}
		j.Answers = append(j.Answers, api.JudgeAnswer{First: first, Verdict: said.verdict, Cached: said.cached, Reason: said.reason})
	}
	j.Verdict = api.Settle(j.Answers)
	calls, latency := t.calls, float64(time.Since(began).Microseconds())/1000
	j.Calls, j.LatencyMS = &calls, &latency
	if cost := t.cost; !t.unknown {
		j.CostUSD = &cost
	}
	j.OccurredAt = time.Now().UTC().Format(time.RFC3339Nano)
	// The key makes sending this judgment again harmless. Judging the pair again, for
	// another rollout or because the verdict grew old, is another judgment.
	j.IdempotencyKey = "judgment:" + rand.Text()
	return j, nil
}

// reserve sets aside what the pair's calls may take, so that no pair is begun
// that the budget does not let come to an end.
func (a *Asker) reserve(t *turn, orders [2]Texts) error {
	messages, err := a.prompt.messages(orders[0], a.random)
	if err != nil {
		return err
	}
	calls := len(orders)
	if !t.fresh {
		unknown := map[string]bool{} // two equal answers are one question
		for _, texts := range orders {
			key := keyOf(a.judge, a.config.MaxTokens, texts)
			if _, known := a.cache.get(key); !known {
				unknown[key] = true
			}
		}
		calls = len(unknown)
	}
	return t.reserve(int64(calls), a.endpoint.mostCost(messages))
}

// ask asks about two texts in one order, unless the answer is known.
func (a *Asker) ask(ctx context.Context, t *turn, texts Texts) (answered, error) {
	if t.fresh {
		return a.question(ctx, t, texts)
	}
	key := keyOf(a.judge, a.config.MaxTokens, texts)
	release, ok := a.cache.alone(key, ctx.Done())
	if !ok {
		return answered{}, context.Cause(ctx)
	}
	defer release()
	if known, ok := a.cache.get(key); ok {
		return known, nil
	}
	said, err := a.question(ctx, t, texts)
	if err == nil && said.verdict != api.PositionNone {
		if err := a.cache.put(key, said); err != nil {
			t.uncached = err
		}
	}
	return said, err
}

// question asks once, and once more without a schema if the answer cannot be
// read: some endpoints take a schema and do not keep to it.
func (a *Asker) question(ctx context.Context, t *turn, texts Texts) (answered, error) {
	said, again, err := a.attempt(ctx, t, texts)
	if err != nil || !again {
		return said, err
	}
	t.plain = true
	defer func() { t.plain = false }()
	said, _, err = a.attempt(ctx, t, texts)
	return said, err
}

// attempt makes one call and reads what the judge said; again reports whether
// it said nothing that could be read. A refusal and an answer that was cut off
// are read: they are no verdict.
func (a *Asker) attempt(ctx context.Context, t *turn, texts Texts) (said answered, again bool, err error) {
	messages, err := a.prompt.messages(texts, a.random)
	if err != nil {
		return answered{}, false, err
	}
	none := func(reason string) answered { return answered{verdict: api.PositionNone, reason: fit(reason)} }
	r, err := a.endpoint.ask(ctx, t, messages)
	if no, ok := errors.AsType[*noVerdict](err); ok {
		return none(no.reason), false, nil
	}
	if err != nil {
		return answered{}, false, err
	}
	t.unknown = t.unknown || r.cost == nil
	switch {
	case r.refusal != "":
		return none("the judge refused: " + r.refusal), false, nil
	case r.finish == "content_filter":
		return none("the endpoint's content filter held the judge's answer back"), false, nil
	case r.finish == "length":
		return none("the judge's answer was cut off; PROVA_JUDGE_MAX_TOKENS allows longer ones"), false, nil
	}
	if r.dialect.format != formatSchema {
		r.content = unwrap(r.content)
	}
	said, err = parseAnswer(r.content)
	if err != nil {
		return none(err.Error()), true, nil
	}
	a.endpoint.learn(r.dialect)
	return said, false, nil
}

func chars(text string) *int64 {
	n := int64(utf8.RuneCountInString(text))
	return &n
}
