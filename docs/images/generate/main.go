// Command generate draws the pictures of docs/statistics.md. Every curve comes
// from rollouts that it plays, with fixed seeds, through the packages that
// decide real ones; the same engine gives the same bytes.
//
//	go generate ./docs/images/generate
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

//go:generate go run . ..

func main() {
	directory := "docs/images"
	if len(os.Args) > 1 {
		directory = os.Args[1]
	}
	for _, p := range pictures() {
		if err := p.write(directory); err != nil {
			fmt.Fprintln(os.Stderr, "generate:", err)
			os.Exit(1)
		}
	}
}

// picture is a file and what draws it.
type picture struct {
	file string
	draw func() (string, error)
}

func pictures() []picture {
	return []picture{
		{"peeking.svg", peeking},
		{"strata.svg", strata},
		{"ledger.svg", ledger},
		{"power.svg", power},
	}
}

func (p picture) write(directory string) error {
	text, err := p.draw()
	if err != nil {
		return fmt.Errorf("%s: %w", p.file, err)
	}
	return os.WriteFile(filepath.Join(directory, p.file), []byte(text), 0o600)
}
