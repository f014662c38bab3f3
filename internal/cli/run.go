package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// Program is a command-line program: its grammar is a pointer to a struct that
// kong understands, whose commands have Run(context.Context, *Env) error.
type Program struct {
	Name        string
	Description string
	Grammar     any
}

// helpShown unwinds the parser after it has printed a help text, where it
// would otherwise end the process.
type helpShown struct{}

// Run parses the arguments, runs the command and returns the exit code. The
// context that the command gets ends with SIGINT, SIGTERM or a closed terminal; a second signal
// kills.
func Run(ctx context.Context, p Program, env *Env) (code int) {
	env.Program = p.Name
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup leaves it
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(ctx, ends...)
	defer stop()
	defer context.AfterFunc(ctx, stop)()

	parser, err := kong.New(p.Grammar,
		kong.Name(p.Name),
		kong.Description(p.Description),
		kong.Writers(env.Stdout, env.Stderr),
		kong.Exit(func(int) { panic(helpShown{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.Help(help),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(env),
	)
	if err != nil {
		panic(fmt.Sprintf("cli: the grammar of %s is wrong: %v", p.Name, err))
	}
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(helpShown); !ok {
				panic(r)
			}
			code = Done
		}
	}()
	chosen, err := parser.Parse(env.Args)
	if err != nil {
		return usage(env, p, err)
	}
	return report(ctx, env, chosen.Run())
}

// help prints a help text. The small programs are sub-commands of prova, and
// there the examples have to say so.
func help(options kong.HelpOptions, ctx *kong.Context) error {
	if ctx.Model.Name != "prova" {
		return kong.DefaultHelpPrinter(options, ctx)
	}
	stdout := ctx.Stdout
	defer func() { ctx.Stdout = stdout }()
	var text bytes.Buffer
	ctx.Stdout = &text
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	_, err := strings.NewReplacer("prova-rollout ", "prova rollout ", "prova-eval ", "prova eval ", "prova-verify ", "prova verify ").WriteString(stdout, text.String())
	return err
}

// usage says what is wrong with the command line and where help is.
func usage(env *Env, p Program, err error) int {
	env.Talk("%s: %v", p.Name, err)
	hint := p.Name
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context != nil {
		if command := parse.Context.Selected(); command != nil {
			hint = command.FullPath()
		}
	}
	env.Talk("Run %s --help for the commands, their options and an example.", hint)
	return Usage
}

// report prints an error that a command ended with, and returns its exit code.
func report(ctx context.Context, env *Env, err error) int {
	code := Code(err)
	if ctx.Err() != nil && code != Done {
		if exit, ok := errors.AsType[*ExitError](err); !ok || exit.Err != nil {
			env.Talk("%s: interrupted", env.Program)
			return Interrupted
		}
	}
	if exit, ok := errors.AsType[*ExitError](err); ok && exit.Err == nil {
		return code
	}
	if err != nil {
		style := env.Err()
		env.Talk("%s %s", style.Red(env.Program+":"), strings.TrimSpace(err.Error()))
		if hint := remedy(code); hint != "" {
			env.Talk("  %s", hint)
		}
	}
	return code
}

// remedy says what to do where the error itself does not.
func remedy(code int) string {
	switch code {
	case NotAllowed:
		return "The key is that of PROVA_API_KEY."
	case Unreachable:
		return "Is the server running, and is PROVA_BASE_URL right?"
	}
	return ""
}
