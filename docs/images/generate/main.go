// Command generate draws the pictures of docs/statistics.md. Every curve comes
// from rollouts that it plays, with fixed seeds, through the packages that
// decide real ones; the same engine gives the same bytes.
//
//	go generate ./docs/images/generate
package main

import (
	"fmt"
	"os"
)

//go:generate go run . ..

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// write writes all pictures into the directory that is named, or docs/images.
func write() error {
	name := "docs/images"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	directory, err := os.OpenRoot(name)
	if err != nil {
		return err
	}
	defer func() { _ = directory.Close() }()
	for _, p := range pictures() {
		text, err := p.draw()
		if err != nil {
			return fmt.Errorf("%s: %w", p.file, err)
		}
		if err := directory.WriteFile(p.file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// picture is a file and what draws it.
type picture struct {
	file string
	draw func() (string, error)
	// long: it takes seconds.
	long bool
}

func pictures() []picture {
	return []picture{
		{"peeking.svg", peeking, true},
		{"strata.svg", strata, false},
		{"ledger.svg", ledger, false},
		{"power.svg", power, true},
	}
}
