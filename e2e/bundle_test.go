package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
	"github.com/cobound/prova/verifiers/python/pythontest"
)

// TestBundleOfRealRuns: a rollout on real runs is bundled, and an auditor
// without a network recomputes its decisions. A run that is changed, removed or
// added is noticed.
func TestBundleOfRealRuns(t *testing.T) {
	path := shared(t, filepath.Join("data", "llmdrift", "runs.ndjson"))
	needPrograms(t, "unshare")
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		router := s.subscribe(nil)
		recorded := recordings(t, path)
		p := replay{app: "gpt4-prime", baseline: "gpt-4-0314", candidate: "gpt-4-0613", want: api.StateRolledBack, s: s, router: router, runs: recorded["gpt4-prime"], used: map[string]int{}}
		id := p.play()
		bundle := filepath.Join(t.TempDir(), "evidence.tar")
		s.run("prova", "receipts", "bundle", "--rollout", id, "--out", bundle).exits(0)
		keys := s.keysFile()

		verify := exec.Command("unshare", "-n", program("prova-verify"), "--key", keys, "--replay", bundle)
		verify.Env = environment()
		finish(t, verify).exits(0).says("✓ replay").says("verified")

		run(t, "prova-verify", "--key", keys, "--replay", s.exportFile()).exits(0).says("✓ replay")
		evidence := []string{bundle, s.exportFile()}
		for name, c := range map[string]struct {
			change func(lines [][]byte) [][]byte
			check  receipt.CheckName
		}{
			"changed": {func(lines [][]byte) [][]byte {
				i := indexOf(t, lines, `"success":1`)
				lines[i] = bytes.Replace(lines[i], []byte(`"success":1`), []byte(`"success":0`), 1)
				return lines
			}, receipt.CheckDigest},
			"removed": {func(lines [][]byte) [][]byte {
				i := indexOf(t, lines, `"success":1`)
				return append(lines[:i:i], lines[i+1:]...)
			}, receipt.CheckDigest},
			"added": {func(lines [][]byte) [][]byte {
				i := indexOf(t, lines, `"success":1`)
				return append(lines[:i+1:i+1], lines[i:]...)
			}, receipt.CheckDigest},
		} {
			changed := t.TempDir()
			unpack := exec.Command("tar", "-xf", bundle, "-C", changed)
			finish(t, unpack).exits(0)
			file := filepath.Join(changed, receipt.FileReceipts)
			data, err := os.ReadFile(file)
			s.ok(err)
			s.ok(os.WriteFile(file, bytes.Join(c.change(bytes.SplitAfter(data, []byte("\n"))), nil), 0o600))
			r := run(t, "prova-verify", "--key", keys, "--replay", "--json", changed)
			r.exits(1)
			failing(r, c.check)
			t.Logf("%s: noticed", name)
			evidence = append(evidence, changed)
		}
		if b.url == "" { // the evidence of both is of one kind, and the other verifier is slow
			pythonAgrees(t, keys, evidence)
		}
	})
}

// pythonAgrees lets both verifiers replay evidence, and wants the same checks
// with the same outcome at the same places.
func pythonAgrees(t *testing.T, keys string, evidence []string) {
	t.Helper()
	answers, _ := pythontest.Verify(t, append([]string{"--key", keys, "--replay"}, evidence...)...)
	if len(answers) != len(evidence) {
		t.Fatalf("%d answers for %d files", len(answers), len(evidence))
	}
	for i, path := range evidence {
		want := decode[receipt.Report](run(t, "prova-verify", "--key", keys, "--replay", "--json", path))
		var got receipt.Report
		if err := json.Unmarshal(answers[i], &got); err != nil {
			t.Fatal(err)
		}
		for _, r := range []*receipt.Report{&got, &want} {
			for j := range r.Checks { // the words are each one's own
				r.Checks[j].Detail, r.Checks[j].Expected, r.Checks[j].Found = "", "", ""
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\nPython %+v\nGo     %+v", path, got, want)
		}
	}
}

func indexOf(t *testing.T, lines [][]byte, part string) int {
	t.Helper()
	for i, line := range lines {
		if bytes.Contains(line, []byte(part)) {
			return i
		}
	}
	t.Fatalf("no line holds %s", part)
	return 0
}
