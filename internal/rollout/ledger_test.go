package rollout_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/rollout"
)

// TestIntervalAtALook: it has the gate's direction, counts the strata, and
// excludes the margin exactly when the gate is regressed.
func TestIntervalAtALook(t *testing.T) {
	for text, value := range map[string]func(failed bool) float64{
		"success": func(failed bool) float64 { return boolean(!failed) },
		"error":   func(failed bool) float64 { return boolean(failed) },
	} {
		for failing, regressed := range map[int]bool{4: false, 6: false, 15: true} {
			p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Gates: gates(t, text)})
			for i := range 30 {
				for j := range 19 {
					p.metric(rollout.Baseline, text, value((19*i+j)%10 == 0))
				}
				p.metric(rollout.Candidate, text, value(i < failing))
			}
			d := p.tick()
			g := d.Verdict.Gates[0]
			harm := g.Difference.Estimate
			lo, hi := g.Difference.Lo, g.Difference.Hi
			if text == "success" {
				harm, lo, hi = -harm, -hi, -lo
			}
			if (d.Decision == api.Rollback) != regressed || (lo > 0) != regressed || harm < lo || harm > hi || harm <= 0 || g.Difference.Strata != 1 {
				t.Errorf("%s, %d of 30 failed: %s, %+v", text, failing, d.Decision, g.Difference)
			}
			if g.Ledger.Boundary <= 0 || g.Ledger.Score <= 0 || (g.Ledger.Score >= g.Ledger.Boundary) != regressed {
				t.Errorf("%s, %d of 30 failed: %+v", text, failing, g.Ledger)
			}
		}
	}
}

// TestStrataOfALedger: a look in the epoch of the one before opens no stratum.
func TestStrataOfALedger(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary})
	p.traffic(30, 19, 3, 57)
	if d := p.tick(); d.Verdict.Gates[0].Difference.Strata != 1 || len(d.Looks) != 6 || d.Looks[5].Strata != 1 {
		t.Errorf("%d looks at one epoch: %+v", len(d.Looks), d.Verdict.Gates[0].Difference)
	}
	p.traffic(30, 3, 3, 9)
	if d := p.tick(); d.Verdict.Gates[0].Difference.Strata != 2 {
		t.Errorf("two epochs: %+v", d.Verdict.Gates[0].Difference)
	}
}

// TestDigestChainsEveryLook: anyone can compute it from the looks alone.
func TestDigestChainsEveryLook(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Gates: gates(t, "success", "<error&>:rate:better=lower:on=hold", "flagged:on=warn")})
	chained := ""
	for round := range 2 {
		for i := range 30 {
			for j := range 19 {
				p.record(rollout.Baseline, map[string]api.Metric{"success": api.Bool((i+j)%10 > 0), "<error&>": api.Bool(j == 0), "flagged": api.Bool(false)})
			}
			p.record(rollout.Candidate, map[string]api.Metric{"success": api.Bool(i%10 > 0), "<error&>": api.Bool(i == round), "flagged": api.Bool(i > 5)})
		}
		before := digest(t, p.r)
		d := p.tick()
		if len(d.Looks) == 0 {
			t.Fatal("no look")
		}
		for _, l := range d.Looks {
			var data bytes.Buffer
			enc := json.NewEncoder(&data)
			enc.SetEscapeHTML(false) // canonical JSON escapes no more than it must
			if err := enc.Encode(l); err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(append([]byte(chained), bytes.TrimSpace(data.Bytes())...))
			chained = hex.EncodeToString(sum[:])
			if !l.Tested && (l.Boundary != 0 || l.Level != 0 || l.Regressed) || l.Tested && l.Boundary == 0 {
				t.Errorf("look %d: %+v", l.Number, l)
			}
		}
		if p.r.Ledger.Digest != chained {
			t.Errorf("digest %s, want %s", p.r.Ledger.Digest, chained)
		}
		if before == digest(t, p.r) {
			t.Error("looks leave the state's digest as it was")
		}
	}
	v := p.r.Ledger.View(p.r.Policy, 0.05)
	if len(v.Gates) != 2 || v.Gates[0].Gate != "success:rate" || v.Gates[1].Gate != "<error&>:rate" || v.Looks != p.r.Ledger.Block || v.Digest != chained || v.SpentBefore != 0.05 || v.Gates[0].Looks == 0 {
		t.Errorf("%+v", v)
	}
}

// TestBrokenState: a state that cannot be read is an error, never a verdict, and changes nothing.
func TestBrokenState(t *testing.T) {
	p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary})
	p.traffic(10, 19, 1, 19)
	broken := p.r
	broken.Ledger.Gates = []rollout.Test{broken.Ledger.Gates[0]}
	if err := json.Unmarshal([]byte(`{"gate": "success:rate", "state": "bm8gc3RhdGU="}`), &broken.Ledger.Gates[0]); err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]rollout.Evidence{"with a block": {Blocks: p.closed}, "without one": {}} {
		if next, d, err := broken.Tick(e); err == nil || d.Decision != "" || next.Ledger.Block != 0 || !strings.Contains(err.Error(), "success:rate") {
			t.Errorf("%s: %s, %v", name, d.Decision, err)
		}
	}
	broken.State, broken.Policy.Mode = api.StatePromoted, api.ModeShadow
	if _, _, err := broken.Tick(rollout.Evidence{}); err == nil {
		t.Error("a shadow is scored with a broken state")
	}
	late := p.closed[1:]
	if next, d, err := p.r.Tick(rollout.Evidence{Blocks: late}); err == nil || d.Decision != "" || next.Ledger.Block != 0 {
		t.Errorf("block %d is looked at first: %s", late[0].Number, d.Decision)
	}
	impossible := p.closed[0]
	impossible.Tallies = []rollout.Tally{{Gate: p.r.Policy.Gates[0], Candidate: rollout.Counts{N: 1 << 40, Ones: 1 << 40}, Baseline: rollout.Counts{N: 5, Ones: 5}}}
	if next, _, err := p.r.Tick(rollout.Evidence{Blocks: []rollout.Block{impossible}}); err == nil || next.Ledger.Block != 0 {
		t.Error("more runs than a test can hold are looked at")
	}
	if _, err := rollout.New("rol", api.Policy{Steps: []int{50, 100}, MinRuns: 30, Gates: gates(t, "success"), Guarantee: api.GuaranteeRollout}, rollout.History{}); err == nil || !strings.Contains(err.Error(), "success:rate") {
		t.Errorf("without an error budget: %v", err)
	}
}

// TestRelativeMarginOfSuccess: 20 % of 90 % successes is 18 points, and 12 points less is within it.
func TestRelativeMarginOfSuccess(t *testing.T) {
	for text, want := range map[string]api.Action{
		"success:margin=1%": api.Rollback, "success:margin=30%": api.Promote, "success:margin=10000%": api.Hold,
		"success:margin=0.01": api.Rollback, "success:margin=0.3": api.Promote,
	} {
		p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Gates: gates(t, text)})
		p.traffic(30, 19, 11, 57)
		if d := p.tick(); d.Decision != want {
			t.Errorf("%s: %s, want %s: %s", text, d.Decision, want, d.Reason.Text)
		}
	}
}

// TestTwiceTheFailuresAsMargin: 9 of 30 beside 57 of 570 are a regression, and within a margin of 100 %.
func TestTwiceTheFailuresAsMargin(t *testing.T) {
	for text, want := range map[string]api.Action{"error": api.Rollback, "error:margin=100%": api.Promote} {
		p := newPlay(t, api.CreateRollout{Mode: api.ModeCanary, Gates: gates(t, text)})
		for i := range 30 {
			for j := range 19 {
				p.metric(rollout.Baseline, "error", boolean((19*i+j)%10 == 0))
			}
			p.metric(rollout.Candidate, "error", boolean(i%3 == 0))
		}
		if d := p.tick(); d.Decision != want {
			t.Errorf("%s: %s: %s", text, d.Decision, d.Reason.Text)
		}
	}
}
