// Command mutate measures the tests of packages: it changes their code in one
// small way after another, such as < into <=, and lists the changes that no test
// notices. From the project's root:
//
//	go run -C tools ./mutate internal/compare internal/rollout
//
// The changes are made in a copy in a temporary directory. Tests run with
// -short, at a fixed seed, and without those of -skip: a golden hash notices
// every change of a bit, but cannot say which of the two is right. A mutant is
// tried by its own package's tests, then by those of the other named packages
// that use it. Constants are not changed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

func main() {
	os.Exit(run())
}

func run() int {
	root := flag.String("root", "..", "the module's root")
	skip := flag.String("skip", "^TestGolden$", "tests that do not count")
	tests := flag.String("run", "", "only these tests count")
	only := flag.String("only", "", "change only files whose path contains this")
	again := flag.String("again", "", "change only what this file, the output of an earlier run, lists as survived")
	workers := flag.Int("workers", runtime.NumCPU(), "mutants at a time")
	flag.Parse()
	if err := measure(*root, *tests, *skip, *only, *again, *workers, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		return 1
	}
	return 0
}

func measure(root, run, skip, only, again string, workers int, directories []string) (err error) {
	if len(directories) == 0 {
		return errors.New("name the directories of the packages, such as internal/compare")
	}
	b, err := newBench(root, run, skip, directories)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.root)) }()
	all, err := b.build()
	if err != nil {
		return err
	}
	listed, err := survivors(again)
	if err != nil {
		return err
	}
	var mutants []mutant
	for _, m := range all {
		if strings.Contains(m.file, only) && (again == "" || listed[m.String()]) {
			mutants = append(mutants, m)
		}
	}
	outcomes := make([]outcome, len(mutants))
	next := make(chan int)
	var group sync.WaitGroup
	for range max(workers, 1) {
		group.Go(func() {
			for i := range next {
				outcomes[i] = b.try(mutants[i])
			}
		})
	}
	started := time.Now()
	for i := range mutants {
		next <- i
		if i%100 == 99 {
			fmt.Fprintf(os.Stderr, "%d of %d mutants in %s\n", i+1, len(mutants), time.Since(started).Round(time.Second))
		}
	}
	close(next)
	group.Wait()
	report(mutants, outcomes)
	return nil
}

// survivors reads the list of an earlier run. What was changed in the code
// since then is not found again.
func survivors(path string) (map[string]bool, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // no list
	}
	text, err := os.ReadFile(path)
	listed := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		listed[strings.TrimSpace(line)] = true
	}
	return listed, err
}

func report(mutants []mutant, outcomes []outcome) {
	counts := map[outcome]int{}
	for i, o := range outcomes {
		if counts[o]++; o == survived {
			fmt.Println(mutants[i])
		}
	}
	n := len(mutants)
	fmt.Printf("\n%d mutants: %d killed, %d killed for taking too long, %d survived\n", n, counts[killed], counts[endless], counts[survived])
	fmt.Printf("score: %.1f %%\n", 100*float64(n-counts[survived])/float64(max(n, 1)))
}
