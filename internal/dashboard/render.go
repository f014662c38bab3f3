package dashboard

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"path"
	"strings"

	"github.com/cobound/prova/api"
)

//go:embed templates
var templateFiles embed.FS

// view is what the layout is given; Page is what the page's own template reads.
type view struct {
	assets
	Title   string
	Version string
	// Script is the page's module; empty for none.
	Script string
	Nav    []navItem
	// Who is signed in; nil for nobody.
	Who *who
	// Done says what a form has just done; empty for nothing.
	Done string
	Page any
}

// Modules are those that the page loads, so that none waits for another.
func (v view) Modules() []string { return v.needs(v.Script) }

type navItem struct {
	Name, Path string
	Here       bool
}

// who is the API key that somebody is signed in with.
type who struct {
	Key         api.APIKey
	Org         string
	Environment string
}

// templates are those of each page with the layout and the partials, by name.
type templates map[string]*template.Template

// frame are the templates that every page has: the frame, and the parts that
// pages are made of.
func frame() []string { return []string{"layout", "parts", "charts", "forms", "gates", "runs-parts"} }

func loadTemplates() (templates, error) {
	files := make([]string, 0, len(frame()))
	for _, name := range frame() {
		files = append(files, "templates/"+name+".html")
	}
	base, err := template.New("").Funcs(functions()).ParseFS(templateFiles, files...)
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	t := templates{}
	for _, file := range names {
		own, err := base.Clone()
		if err == nil {
			own, err = own.ParseFS(templateFiles, file)
		}
		if err != nil {
			return nil, err
		}
		t[strings.TrimSuffix(path.Base(file), ".html")] = own
	}
	return t, nil
}

// render fills a part of the template of a page: the layout, or only what stands in it.
func (t templates) render(page, part string, v view) ([]byte, error) {
	var b bytes.Buffer
	err := t[page].ExecuteTemplate(&b, part, v)
	return b.Bytes(), err
}
