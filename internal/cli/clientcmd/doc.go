// Package clientcmd has the commands of prova that talk to a server through
// the SDK and belong to no program of their own: runs, judges, keys, webhooks,
// receipts and orgs.
package clientcmd

import (
	"time"

	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/prova"
)

// JSON is the option that every command has.
type JSON struct {
	JSON bool `name:"json" help:"Print the answer as JSON on stdout."`
}

// Pages are the options of a list.
type Pages struct {
	Limit  int    `default:"50" placeholder:"N" help:"How many at most (default ${default})."`
	Cursor string `placeholder:"CURSOR" help:"Where to go on, from the end of the list before."`
}

func (p Pages) page() prova.Page { return prova.Page{Limit: p.Limit, Cursor: p.Cursor} }

func more(env *cli.Env, cursor string) {
	if cursor != "" {
		env.Talk("There are more: --cursor %s", cursor)
	}
}

func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

func whenOr(t *time.Time, other string) string {
	if t == nil {
		return other
	}
	return when(*t)
}

// orAll names a filter that is not set.
func orAll(name string) string {
	if name == "" {
		return "all"
	}
	return cli.Plain(name)
}
