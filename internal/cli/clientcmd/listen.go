package clientcmd

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/durable"
	"github.com/cobound/prova/prova"
	"github.com/cobound/prova/receipt"
)

// WebhooksListen receives deliveries.
type WebhooksListen struct {
	Addr   string `default:"127.0.0.1:8799" placeholder:"HOST:PORT" help:"Where to listen (default ${default})."`
	Secret string `placeholder:"SECRET" help:"The webhook's secret; better in PROVA_WEBHOOK_SECRET, where no list of processes shows it."`
	Exec   string `placeholder:"COMMAND" help:"Run this by the shell for each event."`
	// Checkpoints is made when it is missing.
	Checkpoints string `type:"path" placeholder:"DIR" help:"Keep the signed head of the log that comes with each delivery in a file here. Whoever has it can show later that the log was not rewritten: prova verify --head FILE."`
	JSON
}

// Help shows an example and what a command gets.
func (WebhooksListen) Help() string {
	return `The command gets the event as JSON on stdin, and PROVA_EVENT, PROVA_WEIGHT, PROVA_ROLLOUT_ID, PROVA_CANDIDATE_RELEASE, PROVA_BASELINE_RELEASE, PROVA_TERMINAL, PROVA_SEQUENCE, PROVA_REASON and PROVA_TEST in its environment. Quote the variables. If it fails, the delivery is answered with 500 and sent again. A test delivery is printed and runs no command.

Example:

  PROVA_WEBHOOK_SECRET=whsec_… prova webhooks listen --exec './set-weight.sh "$PROVA_CANDIDATE_RELEASE" "$PROVA_WEIGHT"'`
}

const (
	headerTime   = 10 * time.Second
	bodyTime     = 30 * time.Second
	shutdownTime = 10 * time.Second
)

// Run receives until it is interrupted.
func (c WebhooksListen) Run(ctx context.Context, env *cli.Env) error {
	secret := c.Secret
	if secret == "" {
		secret = env.Getenv("PROVA_WEBHOOK_SECRET")
	}
	if secret == "" {
		return cli.Configf("PROVA_WEBHOOK_SECRET is not set; it is the secret that `prova webhooks create` showed")
	}
	if c.Checkpoints != "" { // not when the first event comes
		if err := os.MkdirAll(c.Checkpoints, 0o755); err != nil { //nolint:gosec // they are public
			return cli.Configf("--checkpoints: %w", err)
		}
	}
	actor := &actor{WebhooksListen: c, env: env}
	receiver, err := prova.NewWebhookReceiver(actor.act, secret)
	if err != nil {
		return cli.Configf("%w", err)
	}
	receiver.Note = actor.note
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return cli.Configf("--addr: %w", err)
	}
	server := &http.Server{Handler: withCheckpoint(receiver), ReadHeaderTimeout: headerTime, ReadTimeout: bodyTime}
	env.Talk("Listening on http://%s; end with Ctrl-C.", listener.Addr())
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	// An action that is under way is not cut in half.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := server.Shutdown(ending); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return ctx.Err()
}

// actor prints events and runs the command.
type actor struct {
	WebhooksListen
	env *cli.Env
	mu  sync.Mutex // one writer at a time
}

func (a *actor) note(line string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.env.Talk("%s", cli.Plain(line))
}

func (a *actor) act(ctx context.Context, event api.WebhookEvent) error {
	if err := a.print(event); err != nil {
		return err
	}
	// Nothing signs the header that it comes in, and a rollback must not wait for it.
	if err := a.keep(ctx); err != nil {
		a.note("the checkpoint of this delivery was not kept: " + err.Error())
	}
	if a.Exec == "" || event.Data.Test {
		return nil
	}
	body, err := json.Marshal(event)
	if err != nil {
		return err
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "sh", "-c", a.Exec)
	cmd.Stdin, cmd.Env = bytes.NewReader(body), append(os.Environ(), variables(event)...)
	out := &bounded{w: &said, left: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	a.mu.Lock()
	defer a.mu.Unlock()
	_, _ = io.Copy(a.env.Stderr, &said)
	if err != nil {
		return fmt.Errorf("the command ended with: %w", err)
	}
	return nil
}

type checkpointKey struct{}

// withCheckpoint passes the checkpoint of a delivery on to who acts on it. It
// needs no signature of the delivery: the note has its own.
func withCheckpoint(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), checkpointKey{}, r.Header.Get(api.CheckpointHeader))))
	})
}

// keep writes the checkpoint of a delivery to a file that is named by the log's
// size and the beginning of its root: one that was written is never replaced.
func (a *actor) keep(ctx context.Context) error {
	text, _ := ctx.Value(checkpointKey{}).(string)
	if a.Checkpoints == "" || text == "" {
		return nil
	}
	note, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("%s is not base64: %w", api.CheckpointHeader, err)
	}
	c, err := receipt.ParseCheckpoint(string(note))
	if err != nil {
		return fmt.Errorf("%s: %w", api.CheckpointHeader, err)
	}
	path := filepath.Join(a.Checkpoints, fmt.Sprintf("%010d-%x.checkpoint", c.Size, c.Root[:4]))
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.Replace(path, note)
}

// bounded keeps what a command says within bounds, and lets it go on.
type bounded struct {
	w    io.Writer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	if n > 0 {
		if _, err := b.w.Write(p[:n]); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// variables is the environment of the command. A control character has no
// business in a name and could fool a script.
func variables(e api.WebhookEvent) []string {
	d := e.Data
	return []string{
		"PROVA_EVENT=" + e.Event,
		"PROVA_WEIGHT=" + strconv.Itoa(d.Weight),
		"PROVA_ROLLOUT_ID=" + cli.Plain(d.RolloutID),
		"PROVA_CANDIDATE_RELEASE=" + cli.Plain(d.CandidateRelease),
		"PROVA_BASELINE_RELEASE=" + cli.Plain(d.BaselineRelease),
		"PROVA_TERMINAL=" + strconv.FormatBool(d.Terminal),
		"PROVA_SEQUENCE=" + strconv.FormatInt(d.Sequence, 10),
		"PROVA_REASON=" + cli.Plain(d.Reason),
		"PROVA_TEST=" + strconv.FormatBool(d.Test),
	}
}

func (a *actor) print(e api.WebhookEvent) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.JSON.JSON {
		return a.env.PrintJSON(e)
	}
	style := a.env.Out()
	word := style.Green(cli.Plain(e.Event))
	if e.Event == api.EventRollback {
		word = style.Red(cli.Plain(e.Event))
	}
	note := ""
	if e.Data.Test {
		note = style.Yellow("  (a test)")
	}
	return a.env.Print(fmt.Sprintf("%s  %s to %d %%  %s  %s%s\n  %s\n", word, cli.Plain(e.Data.CandidateRelease), e.Data.Weight,
		cli.Plain(e.Data.AppID), style.Dim(cli.Plain(e.Data.RolloutID)+" #"+strconv.FormatInt(e.Data.Sequence, 10)), note, cli.Plain(e.Data.Reason)))
}
