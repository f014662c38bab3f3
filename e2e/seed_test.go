package e2e

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
)

// gate is a pipeline that gates a deployment. Only interval and timeout are
// shorter than what people are told to use.
const gate = `
set -o pipefail
ID=$(prova-rollout create \
  --app-id claims-agent \
  --baseline v36 \
  --candidate "$GIT_SHA" \
  --mode canary \
  --steps 5,25,50,100 \
  --min-runs 30 \
  --json | jq -r .id)
echo "declared $ID"
prova-rollout watch --id "$ID" --interval 1 --timeout TIMEOUT
`

// pipeline runs the gate in bash, with a key for rollouts alone.
func (s *testServer) pipeline(sha, timeout string) result {
	s.Helper()
	cmd := exec.Command("bash", "-c", strings.Replace(gate, "TIMEOUT", timeout, 1))
	programs := built
	if s.programs != "" {
		programs = s.programs
	}
	cmd.Env = environment("PATH="+programs+":"+os.Getenv("PATH"), "GIT_SHA="+sha, "PROVA_BASE_URL="+s.at(), "PROVA_API_KEY="+s.key(api.RolloutManage))
	return finish(s.TB, cmd).says(`declared rol_\w+`)
}

// TestSeedExample: two commands in a pipeline gate a deployment, while runs
// arrive. The runs are reported with keys that can do nothing else.
func TestSeedExample(t *testing.T) { onEach(t, seedExample) }

func seedExample(t *testing.T, b backend) {
	needPrograms(t, "bash", "jq")
	s := serve(t, b)
	hook := s.subscribe(nil)

	const healthy, broken = "3f9c2ab", "b4dc0de"
	s.pipeline("0ff1ine", "3").exits(2).says("[Tt]imed out")

	s.abortAll()
	good := s.agent("claims-agent")
	good.key = s.key(api.AuditIngest)
	s.gated(good, healthy, 0, "Promoted")
	bad := s.agent("claims-agent").bad()
	bad.key = good.key
	s.gated(bad, broken, 1, "Rolled back")

	v := s.export()
	transitions := 0
	for _, r := range s.rollouts() {
		decided := v.timeline(r.ID)
		hook.delivered(s, r.ID, decided)
		transitions += len(decided)
		switch r.CandidateRelease {
		case healthy:
			if r.State != api.StatePromoted || *r.Weight != 100 || len(decided) != 3 {
				t.Errorf("the healthy candidate is %s at %d after %d transitions", r.State, *r.Weight, len(decided))
			}
		case broken:
			if r.State != api.StateRolledBack || *r.Weight != 0 {
				t.Errorf("the broken candidate is %s at %d", r.State, *r.Weight)
			}
		}
	}
	if got := len(hook.accepted()); got != transitions {
		t.Errorf("%d webhooks for %d transitions", got, transitions)
	}
}

// gated runs the pipeline while an agent reports runs.
func (s *testServer) gated(f *traffic, sha string, code int, says string) {
	s.Helper()
	f.release = sha
	end := f.feed()
	defer end()
	started := time.Now()
	s.pipeline(sha, "60").exits(code).says(says)
	s.Logf("%s: %s after %.1f s", sha, says, time.Since(started).Seconds())
}

func (s *testServer) rollouts() []api.Rollout {
	s.Helper()
	status, body := s.request("GET", "/api/v1/rollouts?limit=100", "")
	if status != 200 {
		s.Fatalf("%d %s", status, body)
	}
	return decode[api.List[api.Rollout]](result{TB: s.TB, command: "list", stdout: string(body)}).Items
}

func (s *testServer) abortAll() {
	s.Helper()
	for _, r := range s.rollouts() {
		if !r.State.Finished() {
			_, err := s.api().Abort(s.Context(), r.ID, "the test is done with it")
			s.ok(err)
		}
	}
}

func needPrograms(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			missing(t, name+" is not installed")
		}
	}
}

// missing skips a test, or fails where nothing may be skipped.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" || os.Getenv("PROVA_REQUIRE_ALL") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// envAlone is set for a test that runs in a network of its own.
const envAlone = "PROVA_E2E_ALONE"

// TestSeedExampleWithoutNetwork: the same on a machine that has no network but
// its loopback. The test runs itself again in a network namespace.
func TestSeedExampleWithoutNetwork(t *testing.T) {
	if os.Getenv(envAlone) != "" {
		onlyLoopback(t)
		seedExample(t, sqlite())
		return
	}
	t.Parallel()
	needPrograms(t, "unshare", "ip")
	if out, err := exec.Command("unshare", "-n", "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		missing(t, "no network namespace can be made here: "+err.Error()+" "+string(out))
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "-n", "sh", "-c", `ip link set lo up && exec "$0" -test.run '^TestSeedExampleWithoutNetwork$' -test.v`, self)
	cmd.Env = append(environment(), envAlone+"=1", envPrograms+"="+built)
	finish(t, cmd).exits(0).says("--- PASS: TestSeedExampleWithoutNetwork")
}

// onlyLoopback makes sure that the test proves what it says.
func onlyLoopback(t *testing.T) {
	t.Helper()
	list, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		if i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 {
			t.Fatalf("there is a network: %s", i.Name)
		}
	}
	if conn, err := net.DialTimeout("tcp", "192.0.2.1:80", time.Second); err == nil {
		_ = conn.Close()
		t.Fatal("an address outside was reached")
	}
}
