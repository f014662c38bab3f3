package evalcmd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"

	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/simulate"
	"github.com/cobound/prova/internal/simulate/characteristics"
)

// Report measures the engine's operating characteristics.
type Report struct {
	Out      string `type:"path" required:"" placeholder:"FILE" help:"Where to write the report, as Markdown."`
	Rollouts int    `default:"20000" placeholder:"N" help:"Rollouts in each cell (default ${default}); a twentieth of them for the rule beside ours."`
	Seed     uint64 `default:"1" placeholder:"N" help:"The seed; the same seed gives the same bytes (default ${default})."`
}

// Help says how long it takes.
func (Report) Help() string {
	return `Measures every cell of the table of what the engine must reach. With the default number of rollouts this takes long; the exit code is 1 if a limit does not hold.

Example:

  prova-eval report --out docs/operating-characteristics.md`
}

// Run measures and writes.
func (c Report) Run(ctx context.Context, env *cli.Env) error {
	if c.Rollouts < 1 || c.Rollouts > maxRollouts {
		return cli.Usagef("--rollouts: want 1 to %d", maxRollouts)
	}
	// A place that cannot be written to is found now, not when all is measured.
	if err := os.MkdirAll(filepath.Dir(c.Out), 0o755); err != nil { //nolint:gosec // documents are for everybody
		return err
	}
	defer fewCollections()()
	progress := env.NewProgress()
	o := characteristics.Options{
		Rollouts: c.Rollouts, Rivals: max(c.Rollouts/20, 1), Seed: c.Seed, Workers: runtime.GOMAXPROCS(0),
		Progress: func(share float64, cell string) bool {
			progress.Show(share, cell)
			return ctx.Err() == nil
		},
	}
	groups, err := characteristics.Measure(characteristics.Groups(), o)
	progress.Clear()
	if errors.Is(err, simulate.ErrStopped) {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	text := characteristics.Markdown(groups, o, "go run ./cmd/prova-eval report --out docs/operating-characteristics.md")
	if err := os.WriteFile(c.Out, []byte(text), 0o644); err != nil { //nolint:gosec // a document for everybody
		return err
	}
	for _, g := range groups {
		if !g.Holds() {
			env.Talk("%s: a limit does not hold; see %s", g.Title, c.Out)
			err = cli.Exit(cli.Regressed)
		}
	}
	return err
}
