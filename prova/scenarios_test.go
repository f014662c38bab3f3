package prova_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/cobound/prova/prova"
	"github.com/cobound/prova/sdks/scenarios/faultserver"
)

// TestScenarios runs what all SDKs run, against a server that misbehaves in
// front of a real one; what needs no fault also against one that signs itself.
func TestScenarios(t *testing.T) {
	forget(t)
	paths, err := filepath.Glob("../sdks/scenarios/*.json")
	if err != nil || len(paths) < 15 {
		t.Fatalf("%d scenarios: %v", len(paths), err)
	}
	real := startServer()
	defer real.Stop()
	for _, path := range paths {
		s, err := faultserver.Load(path)
		ok(t, err)
		t.Run(s.Name, func(t *testing.T) {
			play(t, s, real.URL, real.Key)
			if len(s.Faults) == 0 {
				t.Run("alone", func(t *testing.T) { play(t, s, "", "prv_id_secret") })
			}
		})
	}
}

// player carries out the calls of a scenario.
type player struct {
	*testing.T
	server   *faultserver.Server
	options  prova.RecorderOptions
	recorder *prova.Recorder
	log      *heard
}

func play(t *testing.T, s faultserver.Scenario, upstream, key string) {
	server := faultserver.New(upstream)
	server.Program(s.Faults)
	listener := httptest.NewServer(server)
	defer listener.Close()
	t.Setenv("PROVA_BASE_URL", listener.URL)
	t.Setenv("PROVA_API_KEY", key)
	for name, value := range s.Environment {
		if value == nil {
			t.Setenv(name, "")
		} else {
			t.Setenv(name, *value)
		}
	}
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	o := s.Options
	p := &player{T: t, server: server, log: &heard{}}
	p.options = prova.RecorderOptions{
		AppID: o.AppID, QueueEvents: o.QueueEvents, BatchEvents: o.BatchEvents, FlushInterval: ms(o.FlushIntervalMS), Timeout: ms(o.TimeoutMS),
		RetryMin: ms(o.RetryMinMS), RetryMax: ms(o.RetryMaxMS), Logger: slog.New(p.log),
	}
	if o.Spool {
		p.options.SpoolDir = t.TempDir()
	}
	p.recorder = prova.NewRecorder(p.options)
	for _, c := range s.Calls {
		for range max(1, c.Repeat) {
			began := time.Now()
			p.call(c)
			if took := time.Since(began); c.TimeoutMS == 0 && took > time.Second {
				t.Errorf("%s took %v", c.Do, took)
			}
		}
	}
	counts := map[string]int64{}
	data, err := json.Marshal(p.recorder.Stats())
	ok(t, err)
	ok(t, json.Unmarshal(data, &counts))
	for _, failure := range server.Judge(faultserver.Report{Expect: s.Expect, Counts: counts, Warnings: p.log.warnings()}) {
		t.Error(failure)
	}
	if t.Failed() {
		t.Logf("%+v\n%s", p.recorder.Stats(), p.log.all())
	}
}

func (p *player) call(c faultserver.Call) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), time.Duration(c.TimeoutMS)*time.Millisecond)
	defer cancel()
	switch c.Do {
	case "run":
		p.run(c)
	case "record":
		p.recorder.Record(prova.RunRecord{
			RunID: c.RunID, Release: c.Release, ProbeID: c.ProbeID, UnitID: c.UnitID,
			Metrics: values(p.T, c.Metrics), Payload: values(p.T, c.Payload), Attributes: values(p.T, c.Attributes),
		})
	case "outcome":
		p.recorder.Outcome(c.RunID, values(p.T, c.Metrics))
	case "flush":
		p.left(c, p.recorder.Flush(ctx))
	case "close":
		p.left(c, p.recorder.Close(ctx))
	case "restart":
		p.recorder = prova.NewRecorder(p.options)
	case "faults":
		p.server.Program(c.Faults)
	default:
		p.Fatalf("there is no call %q", c.Do)
	}
}

// run runs an agent that ends as the call says.
func (p *player) run(c faultserver.Call) {
	failed := errors.New("the agent failed")
	defer func() {
		if v := recover(); (v != nil) != (c.End == "panic") {
			p.Errorf("a run that ends with %q panicked with %v", c.End, v)
		}
	}()
	err := p.recorder.Run(p.Context(), func(_ context.Context, run *prova.Run) error {
		if c.RunID != "" {
			run.SetID(c.RunID)
		}
		run.Release(c.Release)
		run.Probe(c.ProbeID)
		run.Unit(c.UnitID)
		for name, v := range values(p.T, c.Metrics) {
			run.Metric(name, v)
		}
		for name, v := range values(p.T, c.Payload) {
			run.Payload(name, v)
		}
		for name, v := range values(p.T, c.Attributes) {
			run.Attribute(name, v)
		}
		switch c.End {
		case "error":
			return failed
		case "panic":
			panic("the agent broke")
		}
		return nil
	})
	if errors.Is(err, failed) != (c.End == "error") {
		p.Errorf("a run that ends with %q returned %v", c.End, err)
	}
}

func (p *player) left(c faultserver.Call, err error) {
	p.Helper()
	left := int64(0)
	if unsent, ok := errors.AsType[*prova.UnsentError](err); ok {
		left = unsent.Queued + unsent.Spooled + unsent.Lost
	} else if err != nil {
		p.Errorf("%s returned %v", c.Do, err)
	}
	if left != c.Left {
		p.Errorf("after %s %d are left, want %d", c.Do, left, c.Left)
	}
}

// values are what stands in a scenario as a program would give it.
func values(t *testing.T, given map[string]json.RawMessage) map[string]any {
	t.Helper()
	special := map[string]any{"nan": math.NaN(), "infinity": math.Inf(1), "2^53": int64(1) << 53, "unserialisable": make(chan int)}
	all := map[string]any{}
	for name, raw := range given {
		var v any
		ok(t, json.Unmarshal(raw, &v))
		if object, isObject := v.(map[string]any); isObject {
			if key, isSpecial := object["$"].(string); isSpecial {
				var known bool
				if v, known = special[key]; !known {
					t.Fatalf("there is no value %q", key)
				}
			}
		}
		all[name] = v
	}
	return all
}
