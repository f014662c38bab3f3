package judge

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// The defaults of a Config.
const (
	DefaultConcurrency = 4
	DefaultTimeout     = 2 * time.Minute
	DefaultRetries     = 4
	// DefaultMaxTokens leaves room for models that think before they answer.
	DefaultMaxTokens = 4096
)

// maxConcurrency is far above what one endpoint serves at a time.
const maxConcurrency = 256

// maxCriteria bounds the user's criteria, in bytes: they are part of every call.
const maxCriteria = 32 << 10

// Prices are in USD for a million tokens.
type Prices struct {
	In, Out float64
}

// Config says whom to ask and how.
type Config struct {
	// URL is the base of the endpoint, such as https://api.openai.com/v1.
	URL string
	// Model is the model's name, as the endpoint knows it.
	Model string
	// Version tells judges apart that share a model's name: a date, a quantisation, a place. May be empty.
	Version string
	// APIKey is sent as a bearer token, if there is one.
	APIKey string
	// Criteria replace the template's own words on what makes an answer better. They make it another judge.
	Criteria string
	// Concurrency is how many pairs are asked about at a time; 0 is DefaultConcurrency.
	Concurrency int
	// Timeout bounds one request; 0 is DefaultTimeout.
	Timeout time.Duration
	// Retries is how often a request is repeated that got no answer; 0 is DefaultRetries, negative is none.
	Retries int
	// MaxTokens bounds an answer, thoughts included; 0 is DefaultMaxTokens.
	MaxTokens int
	// Prices give the cost of a call where the endpoint does not say it. Without them, and without a word of the endpoint, the cost is not known.
	Prices *Prices
	// CacheDir is where answers are kept between runs; empty keeps them in memory.
	CacheDir string
	// HTTPClient sends the requests; nil is a client of its own. It never follows a redirect.
	HTTPClient *http.Client
}

// ConfigFromEnv reads PROVA_JUDGE_URL and its siblings. Its errors say what to set.
func ConfigFromEnv(getenv func(string) string) (Config, error) {
	env := func(name string) string { return strings.TrimSpace(getenv("PROVA_JUDGE_" + name)) }
	c := Config{URL: env("URL"), Model: env("MODEL"), Version: env("VERSION"), APIKey: env("API_KEY")}
	if c.URL == "" {
		return c, badConfig("PROVA_JUDGE_URL is not set; want the base of an OpenAI-compatible endpoint, such as https://api.openai.com/v1, http://127.0.0.1:11434/v1 (Ollama), http://127.0.0.1:8000/v1 (vLLM) or http://127.0.0.1:8080/v1 (llama.cpp)")
	}
	if c.Model == "" {
		return c, badConfig("PROVA_JUDGE_MODEL is not set; want the name of a model at %s, as `curl %s/models` lists them", shownURL(c.URL), shownURL(c.URL))
	}
	var err error
	if name := env("CRITERIA"); name != "" {
		if c.Criteria, err = ReadCriteria(name); err != nil {
			return c, badConfig("PROVA_JUDGE_CRITERIA: %w", err)
		}
	}
	if c.Prices, err = prices(env("PRICE_IN"), env("PRICE_OUT")); err != nil {
		return c, err
	}
	if c.MaxTokens, err = whole("MAX_TOKENS", env("MAX_TOKENS")); err != nil {
		return c, err
	}
	if c.Concurrency, err = whole("CONCURRENCY", env("CONCURRENCY")); err != nil {
		return c, err
	}
	if text := env("RETRIES"); text == "0" {
		c.Retries = -1
	} else if c.Retries, err = whole("RETRIES", text); err != nil {
		return c, err
	}
	if text := env("TIMEOUT"); text != "" {
		if c.Timeout, err = time.ParseDuration(text); err != nil || c.Timeout <= 0 {
			return c, badConfig("PROVA_JUDGE_TIMEOUT: want a time such as 90s or 5m, not %q", text)
		}
	}
	return c, c.check()
}

// ReadCriteria reads the user's criteria from a file.
func ReadCriteria(name string) (string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(data))
	switch {
	case text == "":
		return "", fmt.Errorf("%s is empty; want a few sentences on what makes an answer better", name)
	case len(text) > maxCriteria:
		return "", fmt.Errorf("%s has %d bytes; want at most %d, they are part of every call", name, len(text), maxCriteria)
	}
	return text, nil
}

func prices(in, out string) (*Prices, error) {
	if in == "" && out == "" {
		return nil, nil
	}
	var p Prices
	for name, price := range map[string]*float64{"IN": &p.In, "OUT": &p.Out} {
		text := map[string]string{"IN": in, "OUT": out}[name]
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || !(v >= 0) || math.IsInf(v, 1) {
			return nil, badConfig("PROVA_JUDGE_PRICE_IN and PROVA_JUDGE_PRICE_OUT go together: want both, in USD for a million tokens, such as 0.15 and 0.60")
		}
		*price = v
	}
	return &p, nil
}

func whole(name, text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, badConfig("PROVA_JUDGE_%s: want a whole number of at least 1, not %q", name, text)
	}
	return n, nil
}

// check refuses what cannot work, before anything is asked.
func (c Config) check() error {
	base, err := url.Parse(c.URL)
	switch {
	case err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "":
		return badConfig("PROVA_JUDGE_URL: want an address such as https://api.openai.com/v1 or http://127.0.0.1:11434/v1")
	case base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return badConfig("PROVA_JUDGE_URL: want no user, query or fragment; the key is PROVA_JUDGE_API_KEY")
	case strings.HasSuffix(base.Path, completionsPath):
		return badConfig("PROVA_JUDGE_URL: want the base without %s, which is added", completionsPath)
	case strings.TrimSpace(c.Model) == "":
		return badConfig("PROVA_JUDGE_MODEL: want the name of a model")
	case strings.ContainsFunc(c.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }):
		return badConfig("PROVA_JUDGE_API_KEY holds a space, a line end or another character that no key has; was it copied whole?")
	case c.Concurrency > maxConcurrency || c.Concurrency < 0:
		return badConfig("the judge's concurrency: want 1 to %d", maxConcurrency)
	case len(c.Criteria) > maxCriteria:
		return badConfig("the criteria have %d bytes; want at most %d", len(c.Criteria), maxCriteria)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Concurrency == 0 {
		c.Concurrency = DefaultConcurrency
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Retries == 0 {
		c.Retries = DefaultRetries
	}
	if c.MaxTokens == 0 {
		c.MaxTokens = DefaultMaxTokens
	}
	return c
}

// shownURL is an address without what may be secret in it.
func shownURL(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the endpoint"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(u.Path, "/")}).String()
}

// Kind is what a run can end with, for exit codes and job states.
type Kind int

// The kinds of errors.
const (
	// BadConfig: the endpoint refuses us, or nothing was asked because of a setting.
	BadConfig Kind = iota + 1
	// Unreachable: nothing that can be read comes from the endpoint.
	Unreachable
	// TryLater: the endpoint is overloaded, or a quota is used up.
	TryLater
	// OverBudget: the next call could exceed the budget.
	OverBudget
)

// Error is why a run ended early. Its text says what to do.
type Error struct {
	Kind Kind
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of an error, or 0 if it is not of this package.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return 0
}

func badConfig(format string, args ...any) error {
	return &Error{Kind: BadConfig, Err: fmt.Errorf(format, args...)}
}
