package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed helpers.txt
var helpers string

type outcome int

const (
	killed   outcome = iota // a test fails
	endless                 // the tests do not end
	survived                // no test notices
)

// bench is a copy of the module with all mutants built in.
type bench struct {
	root        string
	run, skip   string // patterns of the tests that count, and of those that do not
	directories []string
	tests       map[string][]string // directories whose tests may notice a change in a directory, its own first
	flags       map[string][]string // of each directory's test binary
	limit       time.Duration
	exports     map[string]string // what the compiler wrote about a package, before anything was rewritten
}

func newBench(root, run, skip string, directories []string) (*bench, error) {
	temporary, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return nil, err
	}
	b := &bench{root: temporary, run: run, skip: skip, directories: directories, tests: map[string][]string{}, flags: map[string][]string{}, exports: map[string]string{}, limit: 5 * time.Minute}
	if err := errors.Join(copyModule(temporary, root), b.inspect()); err != nil {
		return nil, errors.Join(err, os.RemoveAll(temporary))
	}
	return b, nil
}

// inspect finds out which tests a package has and which may notice a change in it.
func (b *bench) inspect() error {
	for _, d := range b.directories {
		b.tests[d] = append([]string{d}, b.tests[d]...)
		used, err := b.list("{{join .Deps \"\\n\"}}", "./"+d)
		if err != nil {
			return err
		}
		for _, other := range b.directories {
			if other != d && slices.ContainsFunc(used, func(path string) bool { return strings.HasSuffix(path, "/"+other) }) {
				b.tests[other] = append(b.tests[other], d)
			}
		}
		tested, err := b.list("{{join .TestImports \"\\n\"}}\n{{join .XTestImports \"\\n\"}}", "./"+d)
		if err != nil {
			return err
		}
		if slices.Contains(tested, "pgregory.net/rapid") {
			b.flags[d] = []string{"-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=1ms"}
		}
	}
	return nil
}

// copyModule copies the module without what starts with a dot.
func copyModule(to, from string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	copied, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer func() { _ = copied.Close() }() // a directory: nothing is written by closing it
	for _, e := range entries {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, "."):
			continue
		case e.IsDir():
			err = os.CopyFS(filepath.Join(to, name), os.DirFS(filepath.Join(from, name)))
		default:
			var data []byte
			if data, err = os.ReadFile(filepath.Join(from, name)); err == nil {
				err = copied.WriteFile(name, data, 0o600)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// list asks go list about packages and returns the words of its answer.
func (b *bench) list(format string, arguments ...string) ([]string, error) {
	command := exec.CommandContext(context.Background(), "go", append([]string{"list", "-f", format}, arguments...)...)
	command.Dir = b.root
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %v: %w", arguments, err)
	}
	return strings.Fields(string(out)), nil
}

// build writes the mutants into the copy and compiles the test binaries. Where a
// rewritten line does not compile, it stays as it was.
func (b *bench) build() ([]mutant, error) {
	sources := map[string][]byte{}
	skip := map[string]bool{}
	for _, d := range b.directories {
		imported, err := b.list("{{join .Imports \"\\n\"}}", "./"+d)
		if err != nil {
			return nil, err
		}
		for _, path := range imported {
			if file, err := b.export(path); err == nil {
				_ = file.Close()
			}
		}
	}
	for range 20 {
		var all []mutant
		for _, d := range b.directories {
			found, err := b.rewrite(d, sources, skip, len(all)+1)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
		failed, err := b.compile(skip)
		if err != nil {
			return nil, err
		}
		if !failed {
			return all, b.calibrate()
		}
	}
	return nil, errors.New("the rewritten packages do not compile")
}

// rewrite builds the mutants of one package into its files. sources keeps the
// files as they were.
func (b *bench) rewrite(directory string, sources map[string][]byte, skip map[string]bool, next int) ([]mutant, error) {
	files := token.NewFileSet()
	paths, err := filepath.Glob(filepath.Join(b.root, directory, "*.go"))
	if err != nil {
		return nil, err
	}
	var parsed []*ast.File
	var names []string
	for _, path := range paths {
		base := filepath.Base(path)
		if strings.HasSuffix(base, "_test.go") || base == "mutant_helpers.go" {
			continue
		}
		name := filepath.ToSlash(filepath.Join(directory, base))
		if sources[name] == nil {
			if sources[name], err = os.ReadFile(path); err != nil {
				return nil, err
			}
		}
		file, err := parser.ParseFile(files, name, sources[name], 0)
		if err != nil {
			return nil, err
		}
		parsed, names = append(parsed, file), append(names, name)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	config := types.Config{Importer: importer.ForCompiler(files, "gc", b.export)}
	own, err := config.Check(directory, files, parsed, info)
	if err != nil {
		return nil, err
	}
	var all []mutant
	for i, file := range parsed {
		m := &mutator{files: files, info: info, own: own, name: names[i], source: sources[names[i]], skip: skip, next: next + len(all)}
		text := m.rewrite(file)
		all = append(all, m.found...)
		if err := os.WriteFile(filepath.Join(b.root, names[i]), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	text := strings.Replace(helpers, "PACKAGE", own.Name(), 1)
	return all, os.WriteFile(filepath.Join(b.root, directory, "mutant_helpers.go"), []byte(text), 0o600)
}

// export opens what the compiler wrote about a package that is imported.
func (b *bench) export(path string) (io.ReadCloser, error) {
	if b.exports[path] == "" {
		file, err := b.list("{{.Export}}", "-export", path)
		if err != nil || len(file) != 1 {
			return nil, fmt.Errorf("no export data of %s: %w", path, err)
		}
		b.exports[path] = file[0]
	}
	return os.Open(b.exports[path])
}

// complaint is a compiler's error; its place is before the rewriting, since that adds no line.
var complaint = regexp.MustCompile(`(?m)^(?:\./)?([^\s:]+\.go:\d+):`)

func (b *bench) compile(skip map[string]bool) (failed bool, err error) {
	for _, d := range b.directories {
		command := exec.CommandContext(context.Background(), "go", "test", "-c", "-vet=off", "-gcflags=-e", "-o", b.binary(d), "./"+d)
		command.Dir = b.root
		out, err := command.CombinedOutput()
		if err == nil {
			continue
		}
		before := len(skip)
		for _, match := range complaint.FindAllSubmatch(out, -1) {
			skip[string(match[1])] = true
		}
		if len(skip) == before {
			return true, fmt.Errorf("%s: %w\n%s", d, err, bytes.TrimSpace(out))
		}
		return true, nil
	}
	return false, nil
}

func (b *bench) binary(directory string) string {
	return filepath.Join(b.root, strings.ReplaceAll(directory, "/", "_")+".test")
}

// calibrate runs the tests with no mutant on: they must pass, and set how long is too long.
func (b *bench) calibrate() error {
	longest := time.Duration(0)
	for _, d := range b.directories {
		started := time.Now()
		if b.test(d, 0) != survived {
			return fmt.Errorf("the tests of %s fail as they are", d)
		}
		longest = max(longest, time.Since(started))
	}
	b.limit = 5*time.Second + 10*longest
	return nil
}

// try switches one mutant on and runs the tests that may notice it.
func (b *bench) try(m mutant) outcome {
	for _, d := range b.tests[filepath.ToSlash(filepath.Dir(m.file))] {
		if o := b.test(d, m.id); o != survived {
			return o
		}
	}
	return survived
}

// test runs a package's tests. Their memory is limited: a loop that never ends may append.
func (b *bench) test(directory string, id int) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), b.limit)
	defer cancel()
	arguments := append([]string{"-c", `ulimit -v 8000000; exec "$0" "$@"`, b.binary(directory), "-test.short", "-test.failfast", "-test.run=" + b.run, "-test.skip=" + b.skip}, b.flags[directory]...)
	command := exec.CommandContext(ctx, "sh", arguments...)
	command.Dir = filepath.Join(b.root, directory)
	command.Env = append(os.Environ(), "MUTANT="+strconv.Itoa(id))
	err := command.Run()
	switch {
	case ctx.Err() != nil:
		return endless
	case err != nil:
		return killed
	}
	return survived
}
