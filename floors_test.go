package prova_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cobound/prova/"

// floor is a row of the table: a package may import packages of lower floors
// only, and of those just the ones that the row allows.
type floor struct {
	height float64
	// only lists the project's packages that may be imported; nil allows all of lower floors.
	only []string
	// pure packages have no I/O, no clock and no randomness.
	pure bool
}

// floors is the architecture: a package without a row fails the test.
func floors() map[string]floor {
	pure := func(height float64, only ...string) floor {
		return floor{height: height, only: append([]string{}, only...), pure: true}
	}
	return map[string]floor{
		"api":     pure(0),
		"receipt": pure(0),

		"internal/stats":   pure(0),
		"internal/compare": pure(1, "internal/stats", "api"),
		"internal/rollout": pure(2, "internal/compare", "internal/stats", "api"),

		"internal/replay":   pure(2.5, "internal/evidence", "internal/rollout", "internal/compare", "internal/stats", "api", "receipt"),
		"internal/evidence": pure(2.2, "internal/rollout", "internal/compare", "internal/stats", "api", "receipt"),

		"internal/simulate":                 pure(2.5, "internal/rollout", "internal/compare", "internal/stats", "api"),
		"internal/simulate/characteristics": pure(2.6, "internal/simulate", "internal/stats", "api"),

		"internal/authority": {height: 3},
		"internal/durable":   {height: 3, only: []string{}},

		"internal/store/migrations": {height: 3, only: []string{}},
		"internal/store":            {height: 4},
		"internal/webhook":          {height: 4},
		"internal/httpapi":          {height: 4},
		"internal/dashboard":        {height: 4},
		"internal/importer":         {height: 4},
		"internal/keyfile":          {height: 4},
		"internal/anchor":           {height: 4},
		"internal/judge":            {height: 4, only: []string{"internal/authority", "internal/stats", "api"}},
		"internal/witness":          {height: 4, only: []string{"internal/authority", "internal/durable", "receipt"}},
		// The SDK is what a stranger's program links: the contract, the receipts, and nothing else.
		"prova": {height: 4, only: []string{"api", "receipt"}},

		"internal/cli":            {height: 5, only: []string{"api"}},
		"internal/cli/connect":    {height: 5.1},
		"internal/cli/figures":    {height: 5.1},
		"internal/cli/rolloutcmd": {height: 5.2},
		"internal/cli/evalcmd":    {height: 5.2},
		"internal/cli/clientcmd":  {height: 5.2},
		"internal/cli/verifycmd":  {height: 5.2, only: []string{"receipt", "internal/cli", "internal/replay"}},

		"cmd/prova":         {height: 6},
		"cmd/prova-rollout": {height: 6, only: []string{"internal/cli", "internal/cli/rolloutcmd"}},
		"cmd/prova-eval":    {height: 6, only: []string{"internal/cli", "internal/cli/evalcmd"}},
		"cmd/prova-verify":  {height: 6, only: []string{"internal/cli", "internal/cli/verifycmd"}},

		// It draws the pictures of the documentation.
		"docs/images/generate": {height: 6, only: []string{"internal/simulate", "internal/rollout", "internal/compare", "internal/stats", "api"}},

		// A server that misbehaves, for the tests of all SDKs.
		"sdks/scenarios/faultserver":     {height: 4.5, only: []string{"api"}},
		"sdks/scenarios/cmd/faultserver": {height: 6, only: []string{"sdks/scenarios/faultserver"}},

		// Tests and what only tests import.
		"":                            {height: 9},
		"e2e":                         {height: 9},
		"internal/store/storetest":    {height: 4.5},
		"internal/store/pgtest":       {height: 4.5},
		"internal/httpapi/contract":   {height: 4.5},
		"internal/judge/judgetest":    {height: 4.5, only: []string{}},
		"internal/cli/clitest":        {height: 5.1},
		"verifiers/python/pythontest": {height: 4.5},
	}
}

// impure are the packages that a pure one must not import, itself.
func impure() []string {
	return []string{"os", "net", "net/http", "database/sql", "log", "log/slog", "math/rand", "math/rand/v2", "context", "testing"}
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
	GoFiles    []string
	Dir        string
}

func list(t *testing.T, args ...string) []goPackage {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json"}, args...)...).Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatal(err)
	}
	var packages []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func short(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, strings.TrimSuffix(module, "/")), "/")
}

func TestFloors(t *testing.T) {
	table := floors()
	seen := map[string]bool{}
	for _, p := range list(t, "./...") {
		name := short(p.ImportPath)
		seen[name] = true
		row, ok := table[name]
		if !ok {
			t.Errorf("package %s has no row in the table: which floor is it on?", name)
			continue
		}
		for _, path := range p.Imports {
			if row.pure && slices.Contains(impure(), path) {
				t.Errorf("%s is pure and imports %s", name, path)
			}
			if !strings.HasPrefix(path, module) {
				continue
			}
			imported := short(path)
			switch below, ok := table[imported]; {
			case !ok:
				t.Errorf("%s imports %s, which has no row", name, imported)
			case below.height >= row.height:
				t.Errorf("%s (floor %v) imports %s (floor %v)", name, row.height, imported, below.height)
			case row.only != nil && !slices.Contains(row.only, imported):
				t.Errorf("%s may import %v, not %s", name, row.only, imported)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if !seen[name] {
			t.Errorf("the table has a row for %s, which is not there", name)
		}
	}
}

// TestPureClock: a pure package asks no clock.
func TestPureClock(t *testing.T) {
	for name, row := range floors() {
		if !row.pure {
			continue
		}
		out, err := exec.Command("grep", "-nE", `time\.(Now|Since|Until|After|Sleep|Tick|NewTimer|NewTicker)\(`, "-r", "--include=*.go", "--exclude=*_test.go", name).CombinedOutput()
		if err == nil {
			t.Errorf("%s asks a clock:\n%s", name, out)
		}
	}
}

// TestVerifierLinksNoNetwork: what an auditor runs cannot call anybody.
func TestVerifierLinksNoNetwork(t *testing.T) {
	for _, p := range list(t, "./cmd/prova-verify") {
		for _, dep := range p.Deps {
			if dep == "net" || strings.HasPrefix(dep, "net/") && dep != "net/netip" && dep != "net/url" || dep == "database/sql" {
				t.Errorf("prova-verify links %s", dep)
			}
		}
	}
}
