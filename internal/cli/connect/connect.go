// Package connect makes the client of a command from its environment:
// PROVA_API_KEY and PROVA_BASE_URL.
package connect

import (
	"strings"
	"time"

	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/prova"
)

// callTime bounds one call. A tick also delivers webhooks, to receivers that may be slow.
const callTime = 2 * time.Minute

// Client returns the client that the environment describes. What is missing or
// wrong there is a configuration error, found before anything is sent.
func Client(env *cli.Env) (*prova.Client, error) {
	key := strings.TrimSpace(env.Getenv("PROVA_API_KEY"))
	if key == "" {
		return nil, cli.Configf("PROVA_API_KEY is not set; the server's first start wrote the owner's key to <data>/owner-key, and `prova keys create` makes others")
	}
	client, err := prova.New(prova.Options{
		BaseURL:   strings.TrimSpace(env.Getenv("PROVA_BASE_URL")),
		APIKey:    key,
		UserAgent: env.Program,
		Timeout:   callTime,
	})
	if err != nil {
		return nil, cli.Configf("PROVA_BASE_URL or PROVA_API_KEY: %w", err)
	}
	return client, nil
}
