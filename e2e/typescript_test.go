package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// typescript is the source of the TypeScript SDK.
const typescript = "../sdks/typescript"

// npmTime bounds a call of npm or node: what is installed may have to be fetched first.
const npmTime = 5 * time.Minute

// TestTypeScriptSDK builds the packages, installs them into empty folders as a
// stranger does, and uses what is there.
func TestTypeScriptSDK(t *testing.T) {
	t.Parallel()
	needNode(t)
	tools(t)
	packages := t.TempDir()
	inFolder(t, typescript, nil, "node", "scripts/pack.mjs", "--local", "--out", packages).exits(0)
	tarballs, err := filepath.Glob(filepath.Join(packages, "*.tgz"))
	if err != nil || len(tarballs) != 2 {
		t.Fatalf("packed %v: %v", tarballs, err)
	}
	installed := t.TempDir()
	install(t, installed, tarballs...)
	s := serve(t, sqlite())
	t.Run("modules", func(t *testing.T) { bothModules(t, installed) })
	t.Run("types", func(t *testing.T) { typesOf(t, installed) })
	t.Run("five lines", func(t *testing.T) { fiveLines(t, s.in(t), tarballs) })
	t.Run("program", func(t *testing.T) { packedProgram(t, s.in(t), installed) })
	t.Run("without the program", func(t *testing.T) { withoutProgram(t, tarballs) })
	t.Run("tests", func(t *testing.T) { ownTests(t, s.in(t)) })
}

func needNode(t *testing.T) {
	t.Helper()
	for _, name := range []string{"node", "npm", "bash", "jq"} {
		if _, err := exec.LookPath(name); err != nil {
			missing(t, "NOT TESTED: "+name+" is missing")
		}
	}
}

// in is the server for a part of a test.
func (s *testServer) in(t *testing.T) *testServer {
	return &testServer{TB: t, owner: s.owner, url: s.at()}
}

// inFolder runs a program there, without what steers Prova.
func inFolder(t testing.TB, dir string, env []string, name string, args ...string) result {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, environment(env...)
	return finishWithin(t, npmTime, cmd)
}

// tools installs the compiler, unless it is there as the lock file wants it.
func tools(t *testing.T) {
	t.Helper()
	lock, err := os.ReadFile(filepath.Join(typescript, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(typescript, "node_modules", ".installed-lock")
	if have, err := os.ReadFile(mark); err == nil && string(have) == string(lock) {
		return
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	inFolder(t, typescript, nil, "npm", "ci", "--prefer-offline").exits(0)
	if err := os.WriteFile(mark, lock, 0o600); err != nil {
		t.Fatal(err)
	}
}

func install(t testing.TB, dir string, tarballs ...string) {
	t.Helper()
	args := append([]string{"install", "--offline", "--no-audit", "--no-fund"}, tarballs...)
	inFolder(t, dir, nil, "npm", args...).exits(0)
}

func write(t testing.TB, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// bothModules: what import and what require hand out is the same.
func bothModules(t *testing.T, dir string) {
	write(t, dir, "both.mjs", `
import * as esm from "prova-sdk";
import { createRequire } from "node:module";
const cjs = createRequire(import.meta.url)("prova-sdk");
const { Recorder } = esm;
const names = Object.keys(esm).sort();
if (names.join() !== Object.keys(cjs).sort().join()) throw new Error(names + " and " + Object.keys(cjs));
for (const name of names) if (esm[name] !== cjs[name]) throw new Error(name + " is there twice");
console.log(names.join(" "), new Recorder({ logger: { warn() {} } }).error.message);`)
	inFolder(t, dir, nil, "node", "both.mjs").exits(0).says(`Client Recorder .*verifyReceipt.*PROVA_API_KEY is not set`)
	write(t, dir, "plain.cjs", `const { Recorder } = require("prova-sdk"); console.log(typeof Recorder, require("prova-sdk/package.json").dependencies);`)
	inFolder(t, dir, nil, "node", "plain.cjs").exits(0).says("^function undefined\n")
}

// consumer is a program whose types must hold, and one line that must not.
const consumer = `
import { Client, Recorder, UnsentError, currentRun, verifyReceipt, verifyWebhook, type Rollout, type Stats } from "prova-sdk";

const recorder = new Recorder({ appId: "a", flushInterval: 10 });
const answer: Promise<number> = recorder.run(async (run) => run.metric("cost_usd", 1).probe("p").id.length, { unitId: "u", metrics: { ok: true } });
const left: Promise<UnsentError | undefined> = answer.then(() => recorder.close(1000));
const stats: Stats = recorder.stats();
currentRun()?.output({ any: "thing" });
const created: Promise<{ rollout: Rollout; created: boolean }> =
  new Client({}).createRollout({ app_id: "a", baseline_release: "v1", candidate_release: "v2", gates: ["success", { metric: "latency_ms", margin: "5%" }] });
const weight: number = verifyWebhook(new Headers(), "", "whsec_x").data.weight;
export const all = [answer, left, stats, created, weight, verifyReceipt("{}", "keys")];
// @ts-expect-error a text is no metric
recorder.record({ metrics: { score: "high" } });
`

func typesOf(t *testing.T, dir string) {
	write(t, dir, "consumer.mts", consumer)
	write(t, dir, "consumer.cts", consumer)
	tools, err := filepath.Abs(filepath.Join(typescript, "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	inFolder(t, dir, nil, "node", filepath.Join(tools, "typescript", "bin", "tsc"), "--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--module", "node16",
		"--typeRoots", filepath.Join(tools, "@types"), "--types", "node", "consumer.mts", "consumer.cts").exits(0)
}

// fiveLines goes from an empty folder to a run that is seen, with the lines of the README.
func fiveLines(t *testing.T, s *testServer, tarballs []string) {
	readme, err := os.ReadFile(filepath.Join(typescript, "README.md"))
	s.ok(err)
	block := regexp.MustCompile("(?s)```js\n(.*?)```").FindSubmatch(readme)
	if block == nil || strings.Count(string(block[1]), "\n") != 5 {
		t.Fatalf("the README has no five lines first: %q", block)
	}
	if page, err := os.ReadFile("../docs/sending-runs.md"); err != nil || !strings.Contains(string(page), string(block[0])) {
		t.Errorf("docs/sending-runs.md has other lines than the README of the package (%v)", err)
	}
	dir := t.TempDir()
	install(t, dir, tarballs...)
	write(t, dir, "agent.mjs", string(block[1])+`
async function agent(question, run) {
  run.metric("cost_usd", 0.0123);
  return question.length;
}`)
	got := inFolder(t, dir, []string{"PROVA_BASE_URL=" + s.at(), "PROVA_API_KEY=" + s.owner, "PROVA_RELEASE=ts-v37"}, "node", "agent.mjs").exits(0)
	if got.stdout != "18\n" || got.stderr != "" {
		t.Errorf("the agent said %q and %q", got.stdout, got.stderr)
	}
	shown := s.run("prova", "runs", "tail", "--no-follow").exits(0).stdout
	for _, word := range []string{"claims-agent", "ts-v37", "success", "latency_ms", "cost_usd"} {
		if !strings.Contains(shown, word) {
			t.Errorf("the run is shown without %s:\n%s", word, shown)
		}
	}
}

// packedProgram gates a deployment with the program of the package.
func packedProgram(t *testing.T, s *testServer, dir string) {
	s.programs = filepath.Join(dir, "node_modules", ".bin")
	inFolder(t, dir, nil, filepath.Join(s.programs, "prova-rollout"), "create").exits(64)
	// A pipeline that is ended ends the program too, with its own code.
	waits := `"$0"/prova-rollout watch --id "$("$0"/prova-rollout create --app-id waits --baseline v1 --candidate v2 --json | jq -r .id)" --interval 1 &
pid=$!; sleep 1; kill -TERM $pid; wait $pid; echo "ended with $?"`
	inFolder(t, dir, []string{"PROVA_BASE_URL=" + s.at(), "PROVA_API_KEY=" + s.owner}, "bash", "-c", waits, s.programs).says("ended with 130")
	s.gated(s.agent("claims-agent"), "3f9c2ab", 0, "Promoted")
	s.gated(s.agent("claims-agent").bad(), "b4dc0de", 1, "Rolled back")
}

// withoutProgram: who left the platform's package out is told what to do.
func withoutProgram(t *testing.T, tarballs []string) {
	dir := t.TempDir()
	for _, tarball := range tarballs {
		if regexp.MustCompile(`prova-sdk-\d`).MatchString(filepath.Base(tarball)) {
			install(t, dir, tarball)
		}
	}
	inFolder(t, dir, nil, "node", "node_modules/.bin/prova-rollout", "list").exits(78).says(`npm install prova-sdk-\w+-\w+@\d+\.\d+\.\d+`)
}

// ownTests are those that are written in JavaScript.
func ownTests(t *testing.T, s *testServer) {
	faults := t.TempDir()
	s.ok(build(faults, "../sdks/scenarios/cmd/faultserver"))
	env := []string{"PROVA_TEST_FAULTSERVER=" + filepath.Join(faults, "faultserver"), "PROVA_TEST_SERVER=" + s.at(), "PROVA_TEST_KEY=" + s.owner}
	files, err := filepath.Glob(filepath.Join(typescript, "test", "*.test.mjs"))
	if err != nil || len(files) < 5 {
		t.Fatalf("tests in %v: %v", files, err)
	}
	runTests := func(t *testing.T, file string, env ...string) {
		t.Parallel()
		if got := inFolder(t, typescript, env, "node", "--test", "test/"+file); got.code != 0 {
			t.Errorf("node --test %s ended with %d:\n%s%s", file, got.code, got.stdout, got.stderr)
		}
	}
	for _, file := range files {
		file = filepath.Base(file)
		t.Run(file, func(t *testing.T) { runTests(t, file, env...) })
	}
	t.Run("scenarios without a server behind", func(t *testing.T) { runTests(t, "scenarios.test.mjs", env[0]) })
}
