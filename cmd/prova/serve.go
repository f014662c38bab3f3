package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/keyfile"
	"github.com/cobound/prova/internal/witness"
)

// Serve is the command that runs the server.
type Serve struct {
	Addr             string        `help:"Address to listen on." default:"127.0.0.1:7788" env:"PROVA_ADDR"`
	Data             string        `help:"Directory of the database, the signing keys and the owner's key." default:"./prova-data" env:"PROVA_DATA" type:"path"`
	DatabaseURL      string        `help:"PostgreSQL instead of the embedded database: postgres://…" env:"PROVA_DATABASE_URL" placeholder:"URL"`
	TickEvery        time.Duration `help:"Tick every unfinished rollout by itself, such as 30s; 0 leaves that to your CD system." default:"0"`
	DeliveryLoop     string        `help:"Send due webhooks between ticks." enum:"on,off" default:"on"`
	WebhookAllowCIDR []string      `help:"Open an address range for webhooks that is closed otherwise, such as 10.0.0.0/8. Repeatable." name:"webhook-allow-cidr" placeholder:"CIDR"`
	Witnesses        string        `help:"File of the witnesses that are asked to cosign checkpoints: a URL and a verifier key in each line." env:"PROVA_WITNESSES" type:"path" placeholder:"FILE"`
	Origin           string        `help:"Name that begins the origin of checkpoints." default:"prova"`
	LogLevel         string        `help:"Least level that is logged." enum:"debug,info,warn,error" default:"info"`
	LogFormat        string        `help:"Form of the log lines on stderr." enum:"text,json" default:"text"`
}

// Help is shown below the flags.
func (Serve) Help() string {
	return "The first start makes the signing keys and an owner key in the data directory. With PROVA_KEY_PASSPHRASE, or PROVA_KEY_PASSPHRASE_FILE for a file that holds it, the key files are encrypted. With PROVA_JUDGE_URL and PROVA_JUDGE_MODEL the server judges pairs when it is asked to; prova judge run --help names the rest. Example:\n\n  prova serve --data /var/lib/prova --addr 0.0.0.0:7788"
}

// Run serves until the context ends.
func (c *Serve) Run(ctx context.Context, env *cli.Env) error {
	s, err := c.settings(env)
	if err != nil {
		return err
	}
	srv, err := start(ctx, s)
	if err != nil {
		return cli.Configf("%w", err)
	}
	srv.greet(env)
	select {
	case <-ctx.Done():
		s.log.Info("stopping: requests under way are finished first")
	case err = <-srv.served:
	}
	if stopErr := srv.stop(); err == nil {
		err = stopErr
	}
	if err != nil {
		return err
	}
	s.log.Info("stopped")
	return nil
}

func (c *Serve) settings(env *cli.Env) (settings, error) {
	s := settings{
		addr: c.Addr, data: c.Data, databaseURL: c.DatabaseURL, ownerKey: strings.TrimSpace(env.Getenv("PROVA_OWNER_KEY")), origin: c.Origin,
		deliveryLoop: c.DeliveryLoop == "on", tickEvery: c.TickEvery, log: logger(env, c.LogLevel, c.LogFormat),
	}
	if c.TickEvery < 0 || c.TickEvery > 0 && c.TickEvery < time.Second {
		return s, cli.Usagef("--tick-every is at least 1s, or 0 for off")
	}
	var err error
	if s.passphrase, err = keyfile.Passphrase(env.Getenv); err != nil {
		return s, cli.Configf("%w", err)
	}
	if c.Witnesses != "" {
		text, err := os.ReadFile(c.Witnesses)
		if err != nil {
			return s, cli.Configf("--witnesses: %w", err)
		}
		if s.witnesses, err = witness.ReadWitnesses(string(text)); err != nil {
			return s, cli.Configf("--witnesses %s: %w", c.Witnesses, err)
		}
	}
	if s.judge, err = serverJudge(env.Getenv); err != nil {
		return s, err
	}
	for _, text := range c.WebhookAllowCIDR {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return s, cli.Usagef("--webhook-allow-cidr %q is not a range such as 10.0.0.0/8", text)
		}
		s.allowCIDRs = append(s.allowCIDRs, prefix.Masked())
	}
	return s, nil
}

func logger(env *cli.Env, level, format string) *slog.Logger {
	var least slog.Level
	_ = least.UnmarshalText([]byte(level)) // the flag allows names of levels only
	options := &slog.HandlerOptions{Level: least}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(env.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(env.Stderr, options))
}

// greet says where the server is and, on the first start, prints the owner's key once.
func (s *server) greet(env *cli.Env) {
	where := s.data
	if s.databaseURL != "" {
		where = "PostgreSQL, with the keys in " + s.data
	}
	env.Talk("Prova listens on %s and keeps its data in %s", s.url, where)
	if !s.created {
		return
	}
	_ = env.Print("Owner key (shown this once, kept in " + s.data + "/owner-key):\n\n  " + s.owner + "\n\n") // what cannot be printed stands in the file
	if cli.IsTerminal(env.Stdout) {
		_ = env.Print(firstRequest(s.url, s.owner))
	}
}

// firstRequest is a request to copy.
func firstRequest(url, key string) string {
	return fmt.Sprintf(`Send a first run from another terminal:

  export PROVA_BASE_URL=%s PROVA_API_KEY=%s
  curl -s "$PROVA_BASE_URL/api/v1/audit/ingest" -H "Authorization: Bearer $PROVA_API_KEY" \
    -H 'Content-Type: application/json' \
    -d '{"kind":"agent_run","source":{"app_id":"my-agent","release":"v1"},"metrics":{"success":true,"latency_ms":812}}'

`, url, key)
}
