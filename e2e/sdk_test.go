package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// goAgent surrounds the lines of the README with what a program has already.
const goAgent = `package main

import (
	"context"
	"fmt"

	"github.com/cobound/prova/prova"
)

func agent(_ context.Context, run *prova.Run) error {
	run.Metric("cost_usd", 0.0123)
	return nil
}

func record(ctx context.Context) error {
LINES
	return err
}

func main() {
	fmt.Println(record(context.Background()))
}
`

// From an empty folder to a run that `prova runs tail` shows, with the five
// lines of the README.
func TestGoSDKFromAnEmptyFolder(t *testing.T) {
	t.Parallel()
	s := serve(t, sqlite())
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	s.ok(err)
	block := regexp.MustCompile("(?s)```go\n(.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("the README has no Go in it")
	}
	lines := string(block[1])
	if n := strings.Count(lines, "\n"); n != 5 {
		t.Errorf("the README takes %d lines", n)
	}
	dir := t.TempDir()
	s.ok(os.WriteFile(filepath.Join(dir, "main.go"), []byte(strings.Replace(goAgent, "LINES", lines, 1)), 0o600))
	moduleBeside(t, dir)
	cmd := exec.Command("go", "run", ".")
	cmd.Dir = dir
	cmd.Env = environment("GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "PROVA_BASE_URL="+s.at(), "PROVA_API_KEY="+s.owner, "PROVA_RELEASE=v37")
	if got := finish(t, cmd).exits(0); got.stdout != "<nil>\n" || got.stderr != "" {
		t.Errorf("the agent said %q and %q", got.stdout, got.stderr)
	}
	shown := s.run("prova", "runs", "tail", "--no-follow").exits(0).stdout
	for _, word := range []string{"claims-agent", "v37", "success", "latency_ms", "cost_usd"} {
		if !strings.Contains(shown, word) {
			t.Errorf("the run is shown without %s:\n%s", word, shown)
		}
	}
}

// moduleBeside makes dir a module that uses the project as it is here. What the
// project requires is pinned as it is there, so that nothing is fetched.
func moduleBeside(t *testing.T, dir string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(mod), "module github.com/cobound/prova", "module example.com/agent", 1) +
		"\nrequire github.com/cobound/prova v0.0.0\n\nreplace github.com/cobound/prova => " + root + "\n"
	for name, content := range map[string]string{"go.mod": text, "go.sum": string(sum)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// The request that the documentation shows to those without an SDK.
func TestSendingRunsWithCurl(t *testing.T) {
	t.Parallel()
	needPrograms(t, "bash", "curl")
	s := serve(t, sqlite())
	page, err := os.ReadFile(filepath.Join("..", "docs", "sending-runs.md"))
	s.ok(err)
	block := regexp.MustCompile("(?s)```sh\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("the page has no request in it")
	}
	for _, want := range []string{`"status":"created"`, `"status":"duplicate"`} {
		cmd := exec.Command("bash", "-c", string(block[1]))
		cmd.Env = environment("PATH="+os.Getenv("PATH"), "PROVA_BASE_URL="+s.at(), "PROVA_API_KEY="+s.owner, "PROVA_RELEASE=v37")
		got := finish(t, cmd).exits(0)
		if !strings.Contains(got.stdout, want) {
			t.Errorf("answered %s, want %s", got.stdout, want)
		}
	}
	s.run("prova", "runs", "tail", "--no-follow").exits(0).says("claims-agent.*v37")
}
