package clientcmd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/internal/cli/clientcmd"
	"github.com/cobound/prova/internal/judge"
	"github.com/cobound/prova/internal/judge/judgetest"
)

// judging is a server, an endpoint and a command line.
type judging struct {
	vault    *vault
	endpoint *judgetest.Endpoint
	env      map[string]string
	cache    string
}

func newJudging(t *testing.T, mode judgetest.Mode) *judging {
	t.Helper()
	j := &judging{vault: &vault{}, cache: t.TempDir(), endpoint: &judgetest.Endpoint{Mode: mode, Model: "judge-1", Key: "sk-test", Forbidden: []string{"v36", "v37"}}}
	for i, outputs := range [][2]string{{"bad", "GOOD"}, {"GOOD", "bad"}, {"bad", "bad too"}, {"bad", "GOOD GOOD"}, {"so-so", "GOOD"}} {
		j.vault.pairs = append(j.vault.pairs, api.Pair{
			ProbeID: fmt.Sprintf("probe-%d", i+1), Input: json.RawMessage(fmt.Sprintf(`"question %d"`, i)),
			Baseline:  api.PairRun{EventID: fmt.Sprintf("evt_b%d", i), Output: json.RawMessage(strconv.Quote(outputs[0]))},
			Candidate: api.PairRun{EventID: fmt.Sprintf("evt_c%d", i), Output: json.RawMessage(strconv.Quote(outputs[1]))},
		})
	}
	server, endpoint := httptest.NewServer(j.vault), httptest.NewServer(j.endpoint)
	t.Cleanup(server.Close)
	t.Cleanup(endpoint.Close)
	t.Cleanup(func() {
		for _, c := range j.endpoint.Complaints() {
			t.Errorf("the endpoint minds: %s", c)
		}
	})
	j.env = map[string]string{
		"PROVA_API_KEY": "prv_test", "PROVA_BASE_URL": server.URL,
		"PROVA_JUDGE_URL": endpoint.URL + "/v1", "PROVA_JUDGE_MODEL": "judge-1", "PROVA_JUDGE_API_KEY": "sk-test",
	}
	return j
}

// run runs prova judge with arguments and returns what it wrote and its exit code.
func (j *judging) run(ctx context.Context, t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, talk output
	var grammar struct {
		Judge clientcmd.Judge `cmd:""`
	}
	env := &cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &talk, Getenv: func(name string) string { return j.env[name] }, Args: append([]string{"judge"}, args...)}
	if args[0] != "show" {
		env.Args = append(env.Args, "--cache", j.cache)
	}
	code = cli.Run(ctx, cli.Program{Name: "prova", Grammar: &grammar}, env)
	if strings.ContainsRune(out.String()+talk.String(), '\x1b') {
		t.Errorf("a control character reached the terminal: %q %q", out.String(), talk.String())
	}
	return out.String(), talk.String(), code
}

// wants wants texts in an output.
func wants(t *testing.T, got string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(got, text) {
			t.Errorf("%q is not in:\n%s", text, got)
		}
	}
}

// TestJudgeRun judges, and again, and shows it.
func TestJudgeRun(t *testing.T) {
	j := newJudging(t, judgetest.Fair)
	j.vault.unpaired = api.Unpaired{BaselineOnly: 2, NoOutput: 1}
	out, _, code := j.run(t.Context(), t, "run", "--rollout", "ro_1", "--dry-run")
	wants(t, out, "5 pairs, 0 judged before; 5 to judge, in at most 10 calls", "3 probes not paired: 2 ran on the baseline only, 1 without an output", "v36 → v37\ufffd")
	if code != 0 || j.endpoint.Requests() != 0 {
		t.Errorf("dry run: exit %d, %d requests", code, j.endpoint.Requests())
	}
	out, talk, code := j.run(t.Context(), t, "run", "--rollout", "ro_1", "--concurrency", "1")
	wants(t, talk, "is asked at "+j.env["PROVA_JUDGE_URL"]+" about 5 of 5 pairs, in at most 10 calls")
	wants(t, out, "this run: 3 wins, 1 loss, 1 tie, 0 without a verdict; 10 calls, 0 answers from the cache, cost not known",
		"75 % (3 of 4;", "3 wins, 1 loss, 1 tie, 0 without a verdict", "both orders agree on 5 of 5 pairs", "the longer answer won 3 of 4 pairs", "UNCALIBRATED", "3 probes not paired")
	if code != 0 || len(j.vault.judgments) != 5 || j.vault.judgments[0].CandidateRelease != "v37\x1b[2J" {
		t.Errorf("exit %d, %d judgments", code, len(j.vault.judgments))
	}
	if out, _, code = j.run(t.Context(), t, "run", "--app-id", "claims-agent", "--baseline", "v36", "--candidate", "v37", "--json"); code != 0 || j.endpoint.Requests() != 10 {
		t.Errorf("again: exit %d, %d requests", code, j.endpoint.Requests())
	}
	var said struct {
		Already  int64 `json:"already_judged"`
		Run      judge.Summary
		Standing *api.JudgeSummary
		Refused  []any
	}
	if err := json.Unmarshal([]byte(out), &said); err != nil || said.Already != 5 || said.Run.Recorded != 0 || said.Standing.Figures.Wins != 3 || said.Refused == nil {
		t.Errorf("%v: %s", err, out)
	}
	j.vault.judgments[4].Answers[0].Reason = "good\x1b[2J\nreason"
	out, talk, code = j.run(t.Context(), t, "show", "--rollout", "ro_1", "--limit", "3")
	wants(t, out, "judge-1 (template ", "75 % (3 of 4;", "UNCALIBRATED", "probe-3", "candidate", "It has more of what counts.", "good\ufffd[2J reason")
	wants(t, talk, "--cursor 3")
	if code != 0 {
		t.Errorf("show: exit %d", code)
	}
}

// TestJudgeRunEnds: each way to end has its exit code and says what to do.
func TestJudgeRunEnds(t *testing.T) {
	for name, c := range map[string]struct {
		mode   judgetest.Mode
		change func(*judging)
		args   []string
		code   int
		says   string
	}{
		"budget":           {judgetest.Fair, nil, []string{"--max-calls", "5"}, 75, "the budget of calls is used up"},
		"no prices":        {judgetest.Fair, nil, []string{"--max-cost", "1"}, 78, "PROVA_JUDGE_PRICE_IN"},
		"a bad key":        {judgetest.Fair, func(j *judging) { j.endpoint.Status = 401 }, nil, 78, "PROVA_JUDGE_API_KEY"},
		"try later":        {judgetest.Fair, func(j *judging) { j.endpoint.RateLimits, j.endpoint.RetryAfter = 99, "600" }, nil, 75, "asks to wait for 10m0s"},
		"no judge":         {judgetest.Fair, func(j *judging) { delete(j.env, "PROVA_JUDGE_URL") }, nil, 78, "PROVA_JUDGE_URL is not set"},
		"no server key":    {judgetest.Fair, func(j *judging) { delete(j.env, "PROVA_API_KEY") }, nil, 78, "PROVA_API_KEY is not set"},
		"no server":        {judgetest.Fair, func(j *judging) { j.env["PROVA_BASE_URL"] = "http://127.0.0.1:1" }, nil, 69, "cannot reach"},
		"not allowed":      {judgetest.Fair, func(j *judging) { j.vault.status = 403 }, nil, 77, "PROVA_API_KEY"},
		"some refused":     {judgetest.Fair, func(j *judging) { j.vault.refuse = "probe-2" }, nil, 3, "probe-2: no such\ufffd[2J probe"},
		"half of releases": {judgetest.Fair, nil, []string{"--baseline", "v1"}, 64, "--rollout ID, or"},
		"no criteria":      {judgetest.Fair, nil, []string{"--criteria", "/none"}, 64, "--criteria"},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJudging(t, c.mode)
			if c.change != nil {
				c.change(j)
			}
			_, talk, code := j.run(t.Context(), t, append([]string{"run", "--rollout", "ro_1", "--concurrency", "1"}, c.args...)...)
			if code != c.code || !strings.Contains(talk, c.says) || strings.Contains(talk, "sk-test") {
				t.Errorf("exit %d, want %d: %s", code, c.code, talk)
			}
			for _, g := range j.vault.judgments {
				if g.Verdict == api.PreferNone {
					t.Errorf("a judgment without an answer: %+v", g)
				}
			}
		})
	}
}

// TestJudgeRunDead: a dead endpoint records nothing, and the advice is about the endpoint and not the server.
func TestJudgeRunDead(t *testing.T) {
	j := newJudging(t, judgetest.Fair)
	j.env["PROVA_JUDGE_URL"], j.env["PROVA_JUDGE_RETRIES"] = "http://127.0.0.1:1/v1", "0"
	out, talk, code := j.run(t.Context(), t, "run", "--rollout", "ro_1")
	wants(t, talk, "cannot reach the judge at http://127.0.0.1:1/v1", "run it again")
	wants(t, out, "5 pairs are left")
	if code != 69 || len(j.vault.judgments) != 0 || strings.Contains(talk, "PROVA_BASE_URL") {
		t.Errorf("exit %d, %d judgments: %s", code, len(j.vault.judgments), talk)
	}
}

// TestJudgeRunInterrupted: 130, and the next run goes on.
func TestJudgeRunInterrupted(t *testing.T) {
	j := newJudging(t, judgetest.Fair)
	ctx, interrupt := context.WithCancel(t.Context())
	j.endpoint.Before = func(n int) {
		if n == 5 {
			interrupt()
		}
	}
	_, talk, code := j.run(ctx, t, "run", "--rollout", "ro_1", "--concurrency", "1")
	wants(t, talk, "it goes on where it was", "interrupted")
	if code != 130 || len(j.vault.judgments) != 2 {
		t.Errorf("exit %d, %d judgments", code, len(j.vault.judgments))
	}
	if out, _, code := j.run(t.Context(), t, "run", "--rollout", "ro_1"); code != 0 || len(j.vault.judgments) != 5 {
		t.Errorf("again: exit %d, %d judgments: %s", code, len(j.vault.judgments), out)
	}
}

// TestJudgeRunAgain: what was judged is asked again where that is wanted.
func TestJudgeRunAgain(t *testing.T) {
	j := newJudging(t, judgetest.Fair)
	for i, args := range [][]string{{}, {}, {"--again"}} {
		_, talk, code := j.run(t.Context(), t, append([]string{"run", "--rollout", "ro_1", "--json"}, args...)...)
		if want := []int{5, 5, 10}[i]; code != 0 || len(j.vault.judgments) != want {
			t.Errorf("run %d: exit %d, %d judgments, want %d: %s", i, code, len(j.vault.judgments), want, talk)
		}
	}
}

func labelFile(t *testing.T, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "labels.ndjson")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func labelOf(probe, verdict, texts string) string {
	return fmt.Sprintf(`{"app_id":"claims-agent","baseline_release":"v36","candidate_release":"v37","probe_id":%q,"verdict":%q%s}`, probe, verdict, texts)
}

func textsOf(baseline, candidate string) string {
	return fmt.Sprintf(`,"input":"q","baseline_output":%q,"candidate_output":%q`, baseline, candidate)
}

// TestCalibrateWithTexts asks the judge about the labelled pairs, and about some of them twice.
func TestCalibrateWithTexts(t *testing.T) {
	j := newJudging(t, judgetest.Fair)
	file := labelFile(
		t,
		labelOf("p1", "candidate", textsOf("bad", "GOOD")), labelOf("p2", "baseline", textsOf("GOOD, yes", "bad")), "",
		labelOf("p3", "candidate", textsOf("bad", "worse")), labelOf("p4", "tie", textsOf("so", "so-so")),
	)
	out, talk, code := j.run(t.Context(), t, "calibrate", "--file", file, "--retest", "50", "--dry-run")
	wants(t, talk, "about 4 pairs, 2 of them twice, in at most 12 calls", "4 labels say little")
	wants(t, out, "75 % (3 of 4;", "0.64, substantial", "both orders agree on 100 % (4 of 4;", "the same verdict again on 100 % (2 of 2;")
	if code != 0 || j.endpoint.Requests() != 12 || len(j.vault.calibrations) != 0 || len(j.vault.judgments) != 0 {
		t.Errorf("exit %d, %d requests", code, j.endpoint.Requests())
	}
	out, _, code = j.run(t.Context(), t, "calibrate", "--file", file, "--retest", "0")
	wants(t, out, "stored as evt_calibration")
	if code != 0 || j.endpoint.Requests() != 12 || len(j.vault.calibrations) != 1 {
		t.Fatalf("exit %d, %d requests", code, j.endpoint.Requests())
	}
	if c := j.vault.calibrations[0]; c.AppID != "claims-agent" || c.Judge.Model != "judge-1" || c.Judge.Template == "" || c.Compared != 4 || c.Confusion != [3][3]int64{{1, 0, 0}, {0, 1, 1}, {0, 0, 1}} {
		t.Errorf("%+v", c)
	}
	if _, talk, code = j.run(t.Context(), t, "calibrate", "--file", file, "--max-calls", "3", "--criteria", labelFile(t, "Be brief.")); code != 75 || len(j.vault.calibrations) != 1 {
		t.Errorf("half calibrated: exit %d: %s", code, talk)
	}
}

// TestCalibrateBudget: one budget holds for both rounds of asking.
func TestCalibrateBudget(t *testing.T) {
	j := newJudging(t, judgetest.Fair)
	file := labelFile(t, labelOf("p1", "candidate", textsOf("bad", "GOOD")), labelOf("p2", "baseline", textsOf("GOOD, yes", "bad")))
	_, talk, code := j.run(t.Context(), t, "calibrate", "--file", file, "--retest", "100", "--max-calls", "7")
	wants(t, talk, "there are answers on 3 of 4 pairs")
	if code != 75 || j.endpoint.Requests() != 6 || len(j.vault.calibrations) != 0 {
		t.Errorf("exit %d, %d requests: %s", code, j.endpoint.Requests(), talk)
	}
}

// TestCalibrateRecorded compares labels with what the server has of a judge.
func TestCalibrateRecorded(t *testing.T) {
	j := newJudging(t, judgetest.Fair)
	labels := []string{labelOf("probe-1", "candidate", ""), labelOf("probe-2", "candidate", ""), labelOf("probe-3", "tie", ""), labelOf("probe-9", "tie", "")}
	file := labelFile(t, labels...)
	if _, talk, code := j.run(t.Context(), t, "calibrate", "--file", file); code != 64 || !strings.Contains(talk, "prova judge run first") {
		t.Errorf("nothing recorded: exit %d: %s", code, talk)
	}
	j.run(t.Context(), t, "run", "--rollout", "ro_1", "--concurrency", "1")
	again := j.vault.judgments[0] // the judge changes its mind: that is a retest, and does not count
	again.Answers, again.Verdict = nil, api.PreferTie
	j.vault.judgments = append(j.vault.judgments, again)
	asked := j.endpoint.Requests()
	out, _, code := j.run(t.Context(), t, "calibrate", "--file", file)
	wants(t, out, "4, of which the judge gave a verdict on 3", "66.7 % (2 of 3;", "the same verdict again on 0 % (0 of 1;")
	if code != 0 || j.endpoint.Requests() != asked || len(j.vault.calibrations) != 1 {
		t.Errorf("exit %d", code)
	}
	if out, _, _ = j.run(t.Context(), t, "show", "--rollout", "ro_1"); strings.Contains(out, "UNCALIBRATED") || !strings.Contains(out, "agrees with people on 66.7 %") || !strings.Contains(out, "only 4 labels") {
		t.Errorf("calibrated: %s", out)
	}
	j.env["PROVA_JUDGE_VERSION"] = "2\x1b[31m"
	j.run(t.Context(), t, "run", "--rollout", "ro_1")
	if _, talk, code := j.run(t.Context(), t, "calibrate", "--file", file); code != 64 || !strings.Contains(talk, "2 judges") {
		t.Errorf("two judges: exit %d: %s", code, talk)
	}
	if _, talk, code := j.run(t.Context(), t, "calibrate", "--file", file, "--version", j.env["PROVA_JUDGE_VERSION"]); code != 0 || j.vault.calibrations[1].Judge.Version != j.env["PROVA_JUDGE_VERSION"] {
		t.Errorf("one of them: exit %d: %s", code, talk)
	}
}

// TestLabels: a bad line is named, and nobody is asked.
func TestLabels(t *testing.T) {
	good := labelOf("p1", "tie", "")
	for name, c := range map[string]struct {
		lines []string
		says  string
	}{
		"no labels":     {[]string{""}, "holds no labels"},
		"no JSON":       {[]string{good, "x"}, "ndjson:2: invalid character"},
		"two in a line": {[]string{good + good}, "one label in each line"},
		"a member more": {[]string{strings.Replace(good, "app_id", "app", 1)}, `unknown field "app"`},
		"no probe":      {[]string{labelOf("", "tie", "")}, "probe_id is missing"},
		"no verdict":    {[]string{labelOf("p1", "none", "")}, "want baseline, candidate or tie"},
		"twice":         {[]string{good, labelOf("p2", "tie", ""), labelOf("p1", "baseline", "")}, "ndjson:3: the pair has a label in line 1"},
		"two agents":    {[]string{good, strings.Replace(labelOf("p2", "tie", ""), "claims-agent", "other", 1)}, "of one agent"},
		"some texts":    {[]string{good, labelOf("p2", "tie", textsOf("a", "b"))}, "in all lines or in none"},
		"half a pair":   {[]string{labelOf("p1", "tie", `,"baseline_output":"a"`)}, "both baseline_output and candidate_output"},
	} {
		j := newJudging(t, judgetest.Fair)
		if _, talk, code := j.run(t.Context(), t, "calibrate", "--file", labelFile(t, c.lines...)); code != 64 || !strings.Contains(talk, c.says) || j.endpoint.Requests() != 0 {
			t.Errorf("%s: exit %d: %s", name, code, talk)
		}
	}
}
