package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// farewell says where to look next. With keep the server goes on until the
// context ends.
func (s *demoStage) farewell(ctx context.Context, keep bool) error {
	if !keep {
		s.screen.commands("Next", [][2]string{
			{"Run a server", "prova serve --data ./prova-data"},
			{"Gate a deploy in CI", `ID=$(prova-rollout create --app-id my-agent --baseline v36 --candidate "$GIT_SHA" \
  --mode canary --json | jq -r .id)
prova-rollout watch --id "$ID"      # ends with 0 promoted, 1 rolled back, 2 timed out`},
			{"Look around in a server with this data", "prova demo --keep"},
			{"Verify an export, offline", "prova verify --key keys.json export.ndjson"},
		}, "From a checkout, prova is go run ./cmd/prova. The README has the rest.")
		return nil
	}
	quoted := shellQuote(s.data)
	s.screen.commands("The server goes on at "+s.server.url+"; end it with Ctrl-C", [][2]string{
		{"In another terminal, with the owner's key", fmt.Sprintf("export PROVA_BASE_URL=%s PROVA_API_KEY=\"$(cat %s)\"", s.server.url, shellQuote(filepath.Join(s.data, "owner-key")))},
		{"List the rollouts", "prova rollout list"},
		{"Show the decisions of the last one, each with its receipt", "prova rollout decisions --id " + s.decisionRollout},
		{"Verify an export, offline", fmt.Sprintf("prova receipts export --out log.ndjson\nprova verify --key %s log.ndjson", shellQuote(filepath.Join(s.data, demoKeys)))},
		{"Start it again later", "prova serve --data " + quoted},
	}, "From a checkout, prova is go run ./cmd/prova.")
	select {
	case <-ctx.Done():
		s.screen.print("\nThe server is stopped; its data stays in %s", s.data)
		return nil
	case err := <-s.server.served:
		s.server.served <- err
		return fmt.Errorf("the server ended: %w", err)
	}
}

// commands prints commands to copy, each under what it does.
func (s *demoScreen) commands(title string, list [][2]string, note string) {
	s.print("\n%s\n", s.style.Bold(title))
	for _, c := range list {
		s.print("  %s", s.style.Dim("# "+c[0]))
		for line := range strings.SplitSeq(c[1], "\n") {
			s.print("  %s", line)
		}
		s.print("")
	}
	s.print("  %s", s.style.Dim(note))
}

// shellQuote makes one word of a path, where it has to be.
func shellQuote(path string) string {
	if strings.ContainsFunc(path, func(r rune) bool {
		return !strings.ContainsRune("/._-:@%+,=", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}
