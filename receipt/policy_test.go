package receipt

import (
	"strings"
	"testing"

	"filippo.io/torchwood"
)

// manyWitnesses defines w1 to w6 and a log.
func manyWitnesses(t testing.TB) string {
	t.Helper()
	_, vkey, err := NoteKeys(testOrigin, seedKey("checkpoints"))
	if err != nil {
		t.Fatal(err)
	}
	text := "# a log\nlog " + vkey + " https://prova.example/\n\n"
	for _, name := range []string{"w1", "w2", "w3", "w4", "w5", "w6"} {
		text += "\twitness  " + name + " " + newCosigner(t, name).VKey() + "\n"
	}
	return text
}

// Every set of witnesses meets a policy here if it does in another
// implementation of the specification.
func TestPolicyQuorums(t *testing.T) {
	checkpoint := newLog(t, 3).checkpoint(t)
	names := []string{"w1", "w2", "w3", "w4", "w5", "w6"}
	var lines []string
	for _, name := range names {
		lines = append(lines, newCosigner(t, name).line(t, checkpoint))
	}
	for _, quorum := range []string{
		"quorum w3\n",
		"group g all w1 w2 w3\nquorum g\n",
		"group g any w5 w2\nquorum g\n",
		"group g 2 w6 w1 w2 w3\nquorum g",
		"group x 2 w1 w2 w3\ngroup y any w4 w5 w6\ngroup both all x y\nquorum both\n",
		"group x all w1 w2\ngroup y 2 x w4 w5\nquorum y\n",
		"quorum none\n",
	} {
		text := manyWitnesses(t) + quorum
		p, err := ParsePolicy([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", quorum, err)
		}
		theirs, err := torchwood.ParsePolicy([]byte(strings.ReplaceAll(text, "\t", " ")))
		if err != nil {
			t.Fatalf("%s: %v", quorum, err)
		}
		if len(p.Logs) != 1 || len(p.Witnesses) != 6 || !p.Given() {
			t.Fatalf("%+v", p)
		}
		for set := range 1 << len(names) {
			signed, cosigned := checkpoint, make([]bool, len(names))
			for i := range names {
				if cosigned[i] = set>>i&1 == 1; cosigned[i] {
					signed += lines[i]
				}
			}
			_, _, err := torchwood.VerifyCheckpoint([]byte(signed), theirs)
			if got := p.Met(cosigned); got != (err == nil) {
				t.Errorf("%s with %v: %t, the other implementation says %v", quorum, cosigned, got, err)
			}
		}
	}
}

func TestPolicyRefusals(t *testing.T) {
	all := manyWitnesses(t)
	w1, w7 := newCosigner(t, "w1").VKey(), newCosigner(t, "w7").VKey()
	_, vkey, _ := NoteKeys("other", seedKey("checkpoints"))
	_, w1AsLog, _ := NoteKeys("other", seedKey("witness w1"))
	for text, want := range map[string]string{
		"":                             "no quorum",
		all:                            "no quorum",
		all + "quorum w7\n":            "line 10",
		all + "quorum w1 w2\n":         "want quorum",
		all + "quorum\n":               "want quorum",
		all + "quorum w1\nquorum w1\n": "second quorum",
		all + "quorum w1\nwitness w1 " + w7 + "\n":       "taken",
		all + "witness none " + w7 + "\nquorum none":     "taken",
		all + "witness w7 " + w1 + "\nquorum w7":         "earlier line",
		all + "log " + vkey + "\nquorum none":            "earlier line",
		all + "log " + w1AsLog + "\nquorum none":         "earlier line",
		all + "log " + w7 + "\nquorum none":              "unknown verifier algorithm",
		all + "witness w7 " + vkey + "\nquorum none":     "type 1",
		all + "witness w7\nquorum none":                  "want witness",
		all + "witness w7 " + w7 + " u v\nquorum none":   "want witness",
		all + "group g 0 w1\nquorum g":                   "from 1 to 1",
		all + "group g 2 w1\nquorum g":                   "from 1 to 1",
		all + "group g 01 w1\nquorum g":                  "from 1 to 1",
		all + "group g some w1\nquorum g":                "from 1 to 1",
		all + "group g any\nquorum g":                    "want group",
		all + "group g any w7\nquorum g":                 "not defined",
		all + "group g any g\nquorum g":                  "not defined",
		all + "group g any none\nquorum g":               "not defined",
		all + "group g any w1 w1\nquorum g":              "counts once",
		all + "group g any w1\ngroup h any w1\nquorum g": "counts once",
		all + "group w1 any w2\nquorum w1":               "taken",
		all + "Quorum w1":                                "begins with",
		all + "quorum w1\r\n":                            "control character",
		all + "quorum w1 # really\n":                     "want quorum",
		strings.Repeat("# \n", 100_000):                  "at most",
	} {
		p, err := ParsePolicy([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q… %q: %+v, %v", text, text[max(0, len(text)-40):], p, err)
		}
	}
	for _, k := range []int{0, -1, 2} {
		if _, err := NewPolicy(k, w1); err == nil {
			t.Errorf("%d of 1", k)
		}
	}
	if _, err := NewPolicy(1, w1, w1); err == nil {
		t.Error("one witness twice")
	}
	if _, err := NewPolicy(1); err == nil {
		t.Error("of none")
	}
	// Two witnesses that call themselves by one name are still two.
	a, b := newCosigner(t, "w1"), newCosigner(t, "w2")
	same, err := NewCosigner(a.Name(), b.key)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPolicy(2, a.VKey(), same.VKey())
	if err != nil || p.Met([]bool{true, false}) || !p.Met([]bool{true, true}) {
		t.Errorf("%+v, %v", p, err)
	}
}

// Whatever is read has a quorum that its witnesses can meet, and that none of them do not.
func FuzzPolicy(f *testing.F) {
	all := manyWitnesses(f)
	f.Add([]byte(all + "group x 2 w1 w2 w3\ngroup y any w4 w5 w6\ngroup both all x y\nquorum both\n"))
	f.Add([]byte("quorum none"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePolicy(data)
		if err != nil {
			return
		}
		every := make([]bool, len(p.Witnesses))
		if p.quorum != "none" && p.Met(every) {
			t.Errorf("%s is met by nobody", p)
		}
		for i := range every {
			every[i] = true
		}
		if !p.Met(every) {
			t.Errorf("%s cannot be met", p)
		}
	})
}
