package httpapi

import (
	"strings"
	"testing"

	"github.com/cobound/prova/api"
)

func TestRequestBodies(t *testing.T) {
	create := func(more string) string {
		return `{"app_id":"a","baseline_release":"v1","candidate_release":"v2",` + more + `}`
	}
	for _, c := range []struct{ body, pointer, detail string }{
		{``, "", "empty"},
		{`[]`, "", "want a JSON object, got an array"},
		{`null`, "", "want a JSON object, got null"},
		{"\xEF\xBB\xBF{}", "", "byte order mark"},
		{create(`"min_runs":1.5`), "/min_runs", "want a whole number, got the number 1.5"},
		{create(`"min_runs":"30"`), "/min_runs", "want a whole number, got a string"},
		{create(`"min_runs":1e30`), "/min_runs", "whole number"},
		{create(`"steps":[5,"x"]`), "/steps/1", "want a whole number"},
		{create(`"steps":5`), "/steps", "want an array"},
		{create(`"confidence":true`), "/confidence", "want a number"},
		{create(`"require_pairwise":1`), "/require_pairwise", "want true or false"},
		{create(`"labels":{"a":1}`), "/labels/a", "want a string"},
		{create(`"labels":{"a":"1","a":"2"}`), "/labels/a", "duplicate"},
		{create(`"gates":["speed"]`), "/gates/0", "which way is better"},
		{create(`"gates":["success",{"metric":"success","margin":"-5%"}]`), "/gates/1/margin", "at least 0"},
		{create(`"gates":[{"metric":"success","margin":true}]`), "/gates/0/margin", "margin"},
		{create(`"gates":[{"metric":"success","Margin":1}]`), "/gates/0/Margin", "unknown member"},
		{create(`"gates":[{"metric":"success","on":"fire"}]`), "/gates/0", "rollback, hold or warn"},
		{create(`"gates":[{"metric":7}]`), "/gates/0/metric", "want a string"},
		{create(`"gates":[7]`), "/gates/0", "want a gate"},
		{create(`"gates":[null]`), "/gates/0", "want a gate"},
		{create(`"mode":"can\u0000ary"`), "/mode", "U+0000"},
	} {
		h, _ := serving(t, &fake{})
		p := wantProblem(t, ask(h, "POST", "/api/v1/rollouts", c.body), 400, "invalid")
		if len(p.Errors) != 1 || p.Errors[0].Pointer != c.pointer || !strings.Contains(p.Detail, c.detail) {
			t.Errorf("%s: %+v, want %s %q", c.body, p.Errors, c.pointer, c.detail)
		}
	}
	h, _ := serving(t, &fake{})
	p := wantProblem(t, ask(h, "POST", "/api/v1/api-keys", `{"name":"x","permissions":["rollout.manage"],"expires_at":"soon"}`), 400, "invalid")
	if p.Errors[0].Pointer != "/expires_at" || !strings.Contains(p.Detail, "2026-") {
		t.Errorf("%+v", p.Errors)
	}
}

func TestGatesArrive(t *testing.T) {
	f := &fake{}
	h, _ := serving(t, f)
	const body = `{"app_id":"a","baseline_release":"v1","candidate_release":"v2","gates":["success:margin=2%",{"metric":"speed","better":"higher","margin":0.5,"on":"warn"}]}`
	if w := ask(h, "POST", "/api/v1/rollouts", body); w.Code != 201 {
		t.Fatal(w.Body)
	}
	got := f.argument.(api.CreateRollout).Gates
	if len(got) != 2 || got[0].String() != "success:rate:better=higher:margin=2%:on=rollback" || got[1].String() != "speed:mean:better=higher:margin=0.5:on=warn" {
		t.Errorf("%v", got)
	}
}

func TestReasonIsNeeded(t *testing.T) {
	for _, action := range []string{"pause", "resume", "abort", "promote"} {
		for _, body := range []string{`{}`, `{"reason":""}`, `{"reason":" \t"}`, `{"reason":null}`} {
			h, _ := serving(t, &fake{})
			p := wantProblem(t, ask(h, "POST", "/api/v1/rollouts/x/"+action, body), 400, "invalid")
			if len(p.Errors) != 1 || p.Errors[0].Pointer != "/reason" {
				t.Errorf("%s %s: %+v", action, body, p.Errors)
			}
		}
	}
}
