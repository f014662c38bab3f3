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
		s.screen.commands("Next", s.nextSteps(), "In a checkout, prova is: go run ./cmd/prova, and so for prova-rollout. The README has the rest.")
		return nil
	}
	s.screen.commands("The server goes on at "+s.server.url+" until Ctrl-C", s.lookAround(), "In a checkout, prova is: go run ./cmd/prova.")
	select {
	case <-ctx.Done():
		s.screen.print("\nThe server is stopped. Its data stays in %s", s.data)
		return nil
	case err := <-s.server.served:
		return fmt.Errorf("the server ended: %w", err)
	}
}

// nextSteps are commands for those who have seen the demo.
func (s *demoStage) nextSteps() [][2]string {
	serve, verify := "./prova-data", "prova verify --key keys.json export.ndjson"
	around := [][2]string{{"The same once more, with the dashboard left running to look around in", "prova demo --keep"}}
	list := [][2]string{
		{"Gate a deploy in CI: watch ends with 0 promoted, 1 rolled back, 2 timed out", `ID=$(prova-rollout create --app-id claims-agent --baseline v36 \
  --candidate "$GIT_SHA" --mode canary --json | jq -r .id)
prova-rollout watch --id "$ID" --interval 30 --timeout 3600`},
	}
	if !s.temporary {
		serve = shellQuote(s.data)
		verify = fmt.Sprintf("prova verify --key %s %s", s.file(demoKeys), s.file(demoExport))
		around = append(around, [2]string{"Look at the keys, the export and the changed copy", "ls " + serve})
	}
	list = append(append([][2]string{{"Run a server", "prova serve --data " + serve}}, list...), around...)
	return append(list, [2]string{"Verify an export, offline", verify})
}

// lookAround are commands for a server that goes on.
func (s *demoStage) lookAround() [][2]string {
	return [][2]string{
		{"The dashboard: open it, and sign in with the owner's key, which is kept in a file", fmt.Sprintf("%s/\ncat %s", s.server.url, s.file("owner-key"))},
		{"In another terminal: the server, and the owner's key", fmt.Sprintf("export PROVA_BASE_URL=%s\nexport PROVA_API_KEY=\"$(cat %s)\"", s.server.url, s.file("owner-key"))},
		{"List the rollouts; show the last one's decisions, each with its receipt", "prova rollout list\nprova rollout decisions --id " + s.rollout},
		{"Tick all rollouts that are under way; the pages follow by themselves", "prova rollout evaluate --all"},
		{"Export the log and verify it, offline", fmt.Sprintf("prova receipts export --out log.ndjson\nprova verify --key %s log.ndjson", s.file(demoKeys))},
		{"See which check catches the changed copy", fmt.Sprintf("prova verify --key %s %s", s.file(demoKeys), s.file(demoTampered))},
		{"Start this server again later", "prova serve --data " + shellQuote(s.data)},
	}
}

// file is a file of the data directory, as a word of a command.
func (s *demoStage) file(name string) string { return shellQuote(filepath.Join(s.data, name)) }

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
