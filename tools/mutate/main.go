// Command mutate measures the tests of a package: it changes the code in one
// small way after another, such as < into <=, and lists the changes that no
// test notices. From the project's root:
//
//	go run -C tools ./mutate internal/compare internal/rollout
//
// The changes are made in copies in a temporary directory. Tests run with
// -short, at a fixed seed, and without those of -skip: a golden hash notices
// every change of a bit, but not which of the two is right.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

func main() {
	os.Exit(run())
}

func run() int {
	root := flag.String("root", "..", "the module's root")
	skip := flag.String("skip", "^(TestGolden|TestPromise)$", "tests that do not count")
	only := flag.String("only", "", "mutate only files whose path contains this")
	workers := flag.Int("workers", runtime.NumCPU(), "mutants at a time")
	flag.Parse()
	if err := measure(*root, *skip, *only, *workers, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		return 1
	}
	return 0
}

func measure(root, skip, only string, workers int, directories []string) error {
	if len(directories) == 0 {
		return errors.New("name the directories of the packages, such as internal/compare")
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	var mutants []mutant
	for _, d := range directories {
		found, err := mutantsOf(root, d)
		if err != nil {
			return err
		}
		mutants = append(mutants, found...)
	}
	mutants = slices.DeleteFunc(mutants, func(m mutant) bool { return !strings.Contains(m.file, only) })
	benches := make([]*bench, 0, workers)
	for range max(workers, 1) {
		b, err := newBench(root, skip, directories)
		if err != nil {
			return err
		}
		defer os.RemoveAll(b.root)
		benches = append(benches, b)
	}
	if err := benches[0].calibrate(); err != nil {
		return err
	}
	for _, b := range benches {
		b.limit = benches[0].limit
	}
	report(mutants, tryAll(benches, mutants))
	return nil
}

// tryAll tries every mutant and returns the outcomes in their order.
func tryAll(benches []*bench, mutants []mutant) []outcome {
	outcomes := make([]outcome, len(mutants))
	next := make(chan int)
	var group sync.WaitGroup
	for _, b := range benches {
		group.Go(func() {
			for i := range next {
				outcomes[i] = b.try(mutants[i])
				if outcomes[i] == survived {
					fmt.Println(mutants[i])
				}
			}
		})
	}
	started := time.Now()
	for i := range mutants {
		next <- i
		if i%50 == 49 {
			fmt.Fprintf(os.Stderr, "%d of %d mutants in %s\n", i+1, len(mutants), time.Since(started).Round(time.Second))
		}
	}
	close(next)
	group.Wait()
	return outcomes
}

func (m mutant) String() string {
	return fmt.Sprintf("%s:%d: %s: %s | %s", m.file, m.line, m.function, m.change, m.source)
}

func report(mutants []mutant, outcomes []outcome) {
	counts := map[outcome]int{}
	for _, o := range outcomes {
		counts[o]++
	}
	fmt.Printf("\n%d mutants: %d killed, %d killed for taking too long, %d survived; %d more do not compile\n",
		len(mutants)-counts[invalid], counts[killed], counts[endless], counts[survived], counts[invalid])
	if n := len(mutants) - counts[invalid]; n > 0 {
		fmt.Printf("score: %.1f %%\n", 100*float64(counts[killed]+counts[endless])/float64(n))
	}
}

type outcome int

const (
	invalid  outcome = iota // does not compile
	killed                  // a test fails
	endless                 // the tests do not end
	survived                // no test notices
)

// bench is a copy of the module in which one mutant at a time is tried.
type bench struct {
	root, skip string
	directory  []string
	tests      map[string][]string // directories whose tests may notice a change in a directory, its own first
	flags      map[string][]string // of each directory's test binary
	limit      time.Duration
}

func newBench(root, skip string, directories []string) (*bench, error) {
	temporary, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return nil, err
	}
	b := &bench{root: temporary, skip: skip, directory: directories, tests: map[string][]string{}, flags: map[string][]string{}, limit: time.Minute}
	if err := copyModule(temporary, root); err != nil {
		return nil, err
	}
	for _, d := range directories {
		imports, err := b.list("{{join .Deps \"\\n\"}}", d)
		if err != nil {
			return nil, err
		}
		for _, imported := range directories {
			if slices.ContainsFunc(imports, func(path string) bool { return strings.HasSuffix(path, "/"+imported) }) {
				b.tests[imported] = append(b.tests[imported], d)
			}
		}
		b.tests[d] = append([]string{d}, b.tests[d]...)
		tested, err := b.list("{{join .TestImports \"\\n\"}}\n{{join .XTestImports \"\\n\"}}", d)
		if err != nil {
			return nil, err
		}
		if slices.Contains(tested, "pgregory.net/rapid") {
			b.flags[d] = []string{"-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=1ms"}
		}
	}
	return b, nil
}

// copyModule copies the module without what starts with a dot.
func copyModule(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		switch {
		case path != from && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case entry.IsDir():
			return os.MkdirAll(target, 0o700)
		case !entry.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
}

func (b *bench) list(format, directory string) ([]string, error) {
	command := exec.Command("go", "list", "-f", format, "./"+directory)
	command.Dir = b.root
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", directory, err)
	}
	return strings.Fields(string(out)), nil
}

// calibrate runs the tests unchanged: they must pass, and set how long is too long.
func (b *bench) calibrate() error {
	longest := time.Duration(0)
	for _, d := range b.directory {
		binary, err := b.compile(d)
		if err != nil {
			return err
		}
		started := time.Now()
		if o := b.test(d, binary); o != survived {
			return fmt.Errorf("the tests of %s fail as they are", d)
		}
		longest = max(longest, time.Since(started))
	}
	b.limit = 10*time.Second + 5*longest
	return nil
}

// try makes one change, runs the tests that may notice it, and takes it back.
func (b *bench) try(m mutant) outcome {
	path := filepath.Join(b.root, filepath.FromSlash(m.file))
	original, err := os.ReadFile(path)
	if err != nil {
		return invalid
	}
	defer os.WriteFile(path, original, 0o600)
	changed := string(original[:m.start]) + m.replacement + string(original[m.end:])
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		return invalid
	}
	for _, d := range b.tests[filepath.ToSlash(filepath.Dir(m.file))] {
		binary, err := b.compile(d)
		if err != nil {
			return invalid
		}
		if o := b.test(d, binary); o != survived {
			return o
		}
	}
	return survived
}

func (b *bench) compile(directory string) (string, error) {
	binary := filepath.Join(b.root, "mutant.test")
	command := exec.Command("go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-o", binary, "./"+directory)
	command.Dir = b.root
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", directory, err, out)
	}
	return binary, nil
}

// test runs a test binary. Its memory is limited: a loop that never ends may append.
func (b *bench) test(directory, binary string) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), b.limit)
	defer cancel()
	arguments := append([]string{"-c", `ulimit -v 8000000; exec "$0" "$@"`, binary, "-test.short", "-test.failfast", "-test.skip=" + b.skip}, b.flags[directory]...)
	command := exec.CommandContext(ctx, "sh", arguments...)
	command.Dir = filepath.Join(b.root, directory)
	err := command.Run()
	switch {
	case ctx.Err() != nil:
		return endless
	case err != nil:
		return killed
	}
	return survived
}
