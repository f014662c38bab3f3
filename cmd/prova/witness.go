package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/keyfile"
	"github.com/cobound/prova/internal/witness"
	"github.com/cobound/prova/receipt"
)

// Witness is the family of commands of a witness.
type Witness struct {
	Serve WitnessServe `cmd:"" help:"Run a witness: it cosigns a log's checkpoint if the log proves that it only grew."`
	Key   WitnessKey   `cmd:"" help:"Print the witness's verifier key, for the policies of auditors."`
}

// witnessKey is what names a witness and where it keeps its key.
type witnessKey struct {
	Name string `required:"" env:"PROVA_WITNESS_NAME" placeholder:"NAME" help:"Name of the witness in its verifier key, such as witness.example.org; it never changes."`
	Data string `default:"./prova-witness" env:"PROVA_WITNESS_DATA" type:"path" placeholder:"DIR" help:"Directory of the key and of the heads that it has seen (default ${default}). Keep it on another machine than the server's, and do not restore it from a backup."`
}

// cosigner prepares the directory and reads the key, or makes it.
func (c witnessKey) cosigner(env *cli.Env) (receipt.Cosigner, error) {
	passphrase, err := keyfile.Passphrase(env.Getenv)
	if err != nil {
		return receipt.Cosigner{}, cli.Configf("%w", err)
	}
	if err := witness.Prepare(c.Data, keyfile.WitnessKey); err != nil {
		return receipt.Cosigner{}, cli.Configf("%w", err)
	}
	key, err := keyfile.Dir{Path: c.Data, Passphrase: passphrase}.LoadWitness()
	if err != nil {
		return receipt.Cosigner{}, cli.Configf("%w", err)
	}
	cosigner, err := receipt.NewCosigner(c.Name, key)
	if err != nil {
		return receipt.Cosigner{}, cli.Usagef("--name: %w", err)
	}
	return cosigner, nil
}

// WitnessKey prints the verifier key.
type WitnessKey struct {
	witnessKey
}

// Help shows an example.
func (WitnessKey) Help() string {
	return "The first call makes the key. Example:\n\n  echo \"witness w1 $(prova witness key --name witness.example.org)\" >> witnesses.policy"
}

// Run prints it.
func (c *WitnessKey) Run(_ context.Context, env *cli.Env) error {
	cosigner, err := c.cosigner(env)
	if err != nil {
		return err
	}
	return env.Print(cosigner.VKey() + "\n")
}

// WitnessServe runs a witness.
type WitnessServe struct {
	witnessKey
	Addr      string   `default:"127.0.0.1:7789" env:"PROVA_WITNESS_ADDR" placeholder:"HOST:PORT" help:"Address to listen on (default ${default})."`
	VKey      []string `name:"log" sep:"none" placeholder:"VKEY" help:"Verifier key of a log to follow, as prova log checkpoint --json prints it. May be repeated."`
	Logs      string   `type:"path" placeholder:"FILE" help:"A file of them, one in each line."`
	LogLevel  string   `help:"Least level that is logged." enum:"debug,info,warn,error" default:"info"`
	LogFormat string   `help:"Form of the log lines on stderr." enum:"text,json" default:"text"`
}

// Help says what it is good for.
func (WitnessServe) Help() string {
	return "A C2SP tlog-witness (POST /add-checkpoint, cosignature/v1). It signs that a head of a log continues the last one that it saw, so that a log cannot show two histories to two people who both want its cosignature. Example:\n\n" +
		"  prova witness serve --name witness.example.org --log \"$VKEY\" --data /var/lib/prova-witness --addr 0.0.0.0:7789"
}

// Run serves until the context ends.
func (c *WitnessServe) Run(ctx context.Context, env *cli.Env) error {
	logs := c.VKey
	if c.Logs != "" {
		text, err := os.ReadFile(c.Logs)
		if err != nil {
			return cli.Configf("--logs: %w", err)
		}
		more, err := witness.ReadLogs(string(text))
		if err != nil {
			return cli.Configf("--logs %s: %w", c.Logs, err)
		}
		logs = append(logs, more...)
	}
	cosigner, err := c.cosigner(env)
	if err != nil {
		return err
	}
	log := logger(env, c.LogLevel, c.LogFormat)
	w, err := witness.Open(witness.Options{Dir: c.Data, Cosigner: cosigner, Logs: logs, Now: time.Now, Log: log})
	if err != nil {
		return cli.Configf("%w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return errors.Join(cli.Configf("--addr: %w", err), w.Close())
	}
	env.Talk("The witness listens on http://%s. Its verifier key, for the policies of auditors:\n%s", listener.Addr(), cosigner.VKey())
	for _, origin := range w.Origins() {
		log.Info("following a log", "origin", origin)
	}
	server := w.Server()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err = <-served:
	case <-ctx.Done(): // a request under way is finished: what was written is answered
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = server.Shutdown(ending)
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, w.Close())
}
