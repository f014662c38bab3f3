package evalcmd

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/cobound/prova/internal/simulate/characteristics"
)

// TestReportedOptions: the options that the report shows for a line are read
// back as the scenario that the line was measured on.
func TestReportedOptions(t *testing.T) {
	for _, g := range characteristics.Groups() {
		for _, c := range g.Cells {
			options := c.Assumed.Options()
			var command Simulate
			parser, err := kong.New(&command)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(strings.Fields(options)); err != nil {
				t.Fatalf("%q: %v", options, err)
			}
			read, err := command.assumptions()
			if err != nil {
				t.Fatalf("%q: %v", options, err)
			}
			if read.Options() != options {
				t.Errorf("%q was read as %q", options, read.Options())
			}
		}
	}
}
