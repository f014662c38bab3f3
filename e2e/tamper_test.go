package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// tampering is something that was done to an export, and the check that notices.
type tampering struct {
	name   string
	change func(lines [][]byte) [][]byte
	code   int
	check  receipt.CheckName
}

// TestVerifyTampered: whatever is done to an export is noticed and named.
func TestVerifyTampered(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		f := s.agent("claims-agent").bad()
		r := f.rollout(steps(50, 100), minRuns(200))
		f.until(r.ID, 10)
		f.send(0, 5)
		v := s.export()
		keys := s.keysFile()
		decisions := v.of(r.ID, api.KindRolloutDecision)
		at := int(decisions[len(decisions)-1].index) + 1 // the line, behind the head
		original, err := os.ReadFile(v.file)
		s.ok(err)
		s.stop() // nothing of this needs a server

		for _, c := range tamperings(t, at) {
			lines := bytes.SplitAfter(bytes.Clone(original), []byte("\n"))
			changed := bytes.Join(c.change(lines[:len(lines)-1]), nil)
			if bytes.Equal(changed, original) {
				t.Fatalf("%s changes nothing", c.name)
			}
			noticed(t, c, keys, changed)
		}
		run(t, "prova-verify", "--key", keys, v.file).exits(0)

		stranger := serve(t, same(t, b))
		foreign := run(t, "prova-verify", "--json", "--key", stranger.keysFile(), v.file).exits(1)
		failing(foreign, receipt.CheckKnownKey)
	})
}

func noticed(t *testing.T, c tampering, keys string, changed []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log.ndjson")
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, "prova-verify", "--json", "--key", keys, path)
	if r.code != c.code {
		t.Errorf("%s: prova-verify ended with %d, want %d\n%s%s", c.name, r.code, c.code, r.stdout, r.stderr)
		return
	}
	failing(r, c.check)
	run(t, "prova-verify", "--key", keys, path).exits(c.code).says("[✗?] " + string(c.check))
}

// failing wants a check among those that do not hold.
func failing(r result, want receipt.CheckName) {
	r.Helper()
	var names []receipt.CheckName
	for _, c := range decode[receipt.Report](r).Checks {
		if c.Status != receipt.OK {
			names = append(names, c.Check)
		}
	}
	if !slices.Contains(names, want) {
		r.Errorf("%s: what does not hold is %v, want %s among it", r.command, names, want)
	}
}

// tamperings changes the decision that stands in a line, and lines around it.
func tamperings(t *testing.T, at int) []tampering {
	replace := func(old, by string) func([][]byte) [][]byte {
		return func(lines [][]byte) [][]byte {
			if !bytes.Contains(lines[at], []byte(old)) {
				t.Fatalf("the decision holds no %s:\n%s", old, lines[at])
			}
			lines[at] = bytes.Replace(lines[at], []byte(old), []byte(by), 1)
			return lines
		}
	}
	drop := func(i int) func([][]byte) [][]byte {
		return func(lines [][]byte) [][]byte { return slices.Delete(lines, i, i+1) }
	}
	return []tampering{
		{"one byte of the decision", replace(`"decision":"rollback"`, `"decision":"rollbaci"`), 1, receipt.CheckSignature},
		{"one digit of a figure", func(lines [][]byte) [][]byte {
			digit := regexp.MustCompile(`"estimate":-0\.[0-8]`)
			lines[at] = digit.ReplaceAllFunc(lines[at], func(m []byte) []byte { m[len(m)-1]++; return m })
			return lines
		}, 1, receipt.CheckSignature},
		{"a space in the body", replace(`"decision":"rollback"`, `"decision": "rollback"`), 1, receipt.CheckCanonicalForm},
		{"a member twice", replace(`"decision":"rollback"`, `"decision":"hold","decision":"rollback"`), 1, receipt.CheckCanonicalForm},
		{"the decision left out", drop(at), 1, receipt.CheckLogIndex},
		{"the decision left out and the rest renumbered", func(lines [][]byte) [][]byte { return renumber(slices.Delete(lines, at, at+1)) }, 1, receipt.CheckRoot},
		{"two lines changed about", func(lines [][]byte) [][]byte {
			lines[at], lines[at-1] = lines[at-1], lines[at]
			return lines
		}, 1, receipt.CheckLogIndex},
		{"two receipts changed about and renumbered", func(lines [][]byte) [][]byte {
			lines[at], lines[at-1] = lines[at-1], lines[at]
			return renumber(lines)
		}, 1, receipt.CheckRoot},
		{"a receipt twice", func(lines [][]byte) [][]byte { return renumber(slices.Insert(lines, at, lines[at])) }, 1, receipt.CheckUniqueEvents},
		{"the checkpoint left out", func(lines [][]byte) [][]byte { return lines[:len(lines)-1] }, 3, receipt.CheckCompleteness},
		{"the checkpoint and receipts before it left out", func(lines [][]byte) [][]byte { return lines[:at+1] }, 3, receipt.CheckCompleteness},
		{"the end cut off", func(lines [][]byte) [][]byte {
			return append(lines[:at], lines[at][:len(lines[at])/2])
		}, 2, receipt.CheckLine},
		{"the last receipts left out before the checkpoint", func(lines [][]byte) [][]byte { return slices.Delete(lines, at, len(lines)-1) }, 1, receipt.CheckSize},
		{"another root in the checkpoint", func(lines [][]byte) [][]byte {
			last := lines[len(lines)-1]
			parts := bytes.SplitN(last, []byte(`\n`), 4)
			parts[2] = []byte("AAAA" + string(parts[2][4:]))
			lines[len(lines)-1] = bytes.Join(parts, []byte(`\n`))
			return lines
		}, 1, receipt.CheckCheckpoint},
	}
}

var numbered = regexp.MustCompile(`^\{"log_index":\d+`)

// renumber makes the indexes contiguous again.
func renumber(lines [][]byte) [][]byte {
	for i := 1; i < len(lines)-1; i++ {
		lines[i] = numbered.ReplaceAll(lines[i], []byte(`{"log_index":`+strconv.Itoa(i-1)))
	}
	return lines
}
