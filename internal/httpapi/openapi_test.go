package httpapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/oasdiff/yaml"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/httpapi/contract"
)

var update = flag.Bool("update", false, "write api/openapi.json anew from api/openapi.yaml")

// The JSON that is served is the YAML that is written.
func TestOpenAPIForms(t *testing.T) {
	var value any
	if _, err := yaml.Unmarshal(api.OpenAPI(), &value, yaml.DecodeOpts{}); err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile("../../api/openapi.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(api.OpenAPIJSON(), want) {
		t.Error("api/openapi.json is not made from api/openapi.yaml: run go test ./internal/httpapi -run TestOpenAPIForms -update")
	}
}

// What a verdict and a rollout are made of has the members that the document says, neither more nor fewer.
func TestMembersAreTheDocument(t *testing.T) {
	doc, err := contract.Document()
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []any{
		api.Verdict{},
		api.GateResult{},
		api.Gate{},
		api.Pairs{},
		api.CohortFigure{},
		api.Difference{},
		api.GateLedger{},
		api.Check{},
		api.Reason{},
		api.Rollout{},
		api.Witness{},
		api.Policy{},
		api.CreateRollout{},
		api.RolloutLedger{},
		api.LedgerGate{},
		api.Plan{},
		api.History{},
		api.Decision{},
		api.Tick{},
		api.CompareRequest{},
		api.Comparison{},
		api.PairwiseResult{},
		api.PairwisePolicy{},
		api.Judgment{},
		api.RecordedJudgment{},
		api.JudgeAnswer{},
		api.JudgedFigures{},
		api.Calibration{},
		api.JudgmentList{},
		api.PairList{},
		api.Unpaired{},
		api.JudgeJob{},
		api.StartJudging{},
	} {
		kind := reflect.TypeOf(value)
		schema := doc.Components.Schemas[kind.Name()]
		if schema == nil {
			t.Errorf("%s is not described", kind.Name())
			continue
		}
		members := membersOf(kind)
		slices.Sort(members)
		if described := slices.Sorted(maps.Keys(schema.Value.Properties)); !slices.Equal(members, described) {
			t.Errorf("%s has %v\nand is described with %v", kind.Name(), members, described)
		}
	}
}

// membersOf lists the JSON members of a struct, those of embedded ones among them.
func membersOf(kind reflect.Type) (names []string) {
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	for f := range kind.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name != "":
			names = append(names, name)
		case f.Anonymous:
			names = append(names, membersOf(f.Type)...)
		}
	}
	return names
}

// The routes are the document's paths, and both say the same about permissions.
func TestRoutesAreTheDocument(t *testing.T) {
	doc, err := contract.Document()
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]api.Permission)
	ids := make(map[string]bool)
	for _, o := range contract.Operations(doc) {
		documented[o.Pattern()] = o.Permission()
		if o.OperationID == "" || ids[o.OperationID] {
			t.Errorf("%s: operationId %q is empty or not unique", o.Pattern(), o.OperationID)
		}
		ids[o.OperationID] = true
	}
	for _, rt := range newService(Options{Cases: &fake{}}).routes() {
		permission, ok := documented[rt.pattern]
		switch {
		case !ok:
			t.Errorf("%s is served and not described", rt.pattern)
		case permission != rt.permission:
			t.Errorf("%s needs %q and is described with %q", rt.pattern, rt.permission, permission)
		}
		if rt.permission != open && !slices.Contains(api.Permissions(), rt.permission) {
			t.Errorf("%s: there is no permission %q", rt.pattern, rt.permission)
		}
		delete(documented, rt.pattern)
	}
	for pattern := range documented {
		t.Errorf("%s is described and not served", pattern)
	}
}
