package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// largest is the most bytes of a picture.
const largest = 60_000

// TestPictures: the pictures beside the text are what the engine draws now.
func TestPictures(t *testing.T) {
	for _, p := range pictures() {
		t.Run(p.file, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && p.long {
				t.Skip("plays thousands of rollouts")
			}
			kept, err := os.ReadFile(filepath.Join("..", p.file))
			if err != nil {
				t.Fatal(err)
			}
			drawn, err := p.draw()
			if err != nil {
				t.Fatal(err)
			}
			if drawn != string(kept) {
				t.Errorf("%s is not what the engine draws: look at what go generate ./docs/images/generate makes of it, and at the text beside it", p.file)
			}
			if len(drawn) > largest {
				t.Errorf("%d bytes, at most %d", len(drawn), largest)
			}
			checkDocument(t, drawn)
		})
	}
}

// checkDocument: well-formed, with a title and a description, and without scripts.
func checkDocument(t *testing.T, text string) {
	t.Helper()
	seen := map[string]int{}
	for dec := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok {
			seen[start.Name.Local]++
		}
	}
	if seen["title"] != 1 || seen["desc"] != 1 || seen["text"] == 0 || seen["script"] != 0 || seen["image"] != 0 {
		t.Errorf("elements: %v", seen)
	}
	if !strings.Contains(text, "prefers-color-scheme:dark") {
		t.Error("no colours for a dark background")
	}
}
