package authority_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/witness"
	"github.com/cobound/prova/receipt"
)

func cosigner(t testing.TB, name string) receipt.Cosigner {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	c, err := receipt.NewCosigner(name, ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// watched runs a real witness of the house's log, over HTTP, and has the house ask it.
func (h *house) watched(name string) authority.Witness {
	h.t.Helper()
	c, err := h.Checkpoint(h.ctx, h.owner)
	if err != nil {
		h.t.Fatal(err)
	}
	dir := h.t.TempDir()
	if err := witness.Prepare(dir, "key"); err != nil {
		h.t.Fatal(err)
	}
	k := cosigner(h.t, name)
	w, err := witness.Open(witness.Options{Dir: dir, Cosigner: k, Logs: []string{c.VKey}, Now: h.clock.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		h.t.Fatal(err)
	}
	server := httptest.NewServer(w.Handler())
	h.t.Cleanup(func() {
		server.Close()
		_ = w.Close()
	})
	at := authority.Witness{Witness: k.Witness, URL: server.URL + "/"}
	h.asks(witness.NewClient(witness.ClientOptions{}), at)
	return at
}

func (h *house) asks(client authority.WitnessClient, more ...authority.Witness) {
	h.Config.Witnesses, h.WitnessClient = append(h.Config.Witnesses, more...), client
}

// ask makes a pass, which must keep so many answers.
func (h *house) ask(w authority.Witness, want int) {
	h.t.Helper()
	if n, err := h.AskWitness(h.ctx, w); err != nil || n != want {
		h.t.Fatalf("%d answers, want %d: %v", n, want, err)
	}
}

// signed records runs and signs the head of the log that has them.
func (h *house) signed(n int) api.Checkpoint {
	h.t.Helper()
	h.recordRuns(n)
	if err := h.SignHeads(h.ctx); err != nil {
		h.t.Fatal(err)
	}
	list, err := h.Checkpoints(h.ctx, h.owner, "", 1)
	if err != nil || len(list.Items) != 1 {
		h.t.Fatalf("%+v, %v", list, err)
	}
	return list.Items[0]
}

func (h *house) shown(i int) api.Witness {
	h.t.Helper()
	list, err := h.Witnesses(h.ctx, h.owner)
	if err != nil || len(list) <= i {
		h.t.Fatalf("%+v, %v", list, err)
	}
	return list[i]
}

// byPolicy is the trust in the house's keys and in k of some witnesses.
func (h *house) byPolicy(k int, all ...authority.Witness) receipt.Trust {
	h.t.Helper()
	keys, err := h.SigningKeys(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	list, err := json.Marshal(api.List[api.SigningKey]{Items: keys})
	if err != nil {
		h.t.Fatal(err)
	}
	trust, err := receipt.ParsePublicKeys(list)
	if err != nil {
		h.t.Fatal(err)
	}
	vkeys := make([]string, len(all))
	for i, w := range all {
		vkeys[i] = w.VKey()
	}
	if trust.Policy, err = receipt.NewPolicy(k, vkeys...); err != nil {
		h.t.Fatal(err)
	}
	return trust
}

// testWitnesses: two witnesses and two servers of one log. Whatever shows a
// checkpoint shows who cosigned it.
func testWitnesses(t *testing.T, v *vault) {
	first := v.recordRuns(3)[0]
	early := v.signed(1)
	w1, w2 := v.watched("w1.example"), v.watched("w2.example")
	second := v.server(v.stores[0], v.config())
	second.Config.Witnesses, second.WitnessClient = v.Config.Witnesses, v.WitnessClient
	if w := v.shown(0); w.Name != "w1.example" || w.VKey != w1.VKey() || w.URL != w1.URL || w.CosignedSize != 0 || w.AskedAt != nil || w.NextAt != nil {
		t.Errorf("before it was asked: %+v", w)
	}
	v.ask(w1, 1)
	v.ask(w1, 0)
	second.ask(w1, 0) // what one server got is there for all
	v.cosigns(early, w1)
	if w := v.shown(0); w.CosignedSize != early.Size || !w.CosignedAt.Equal(v.clock.now()) || w.StatusCode != 200 || w.Error != "" || w.NextAt != nil {
		t.Errorf("after it cosigned: %+v", w)
	}

	late := v.signed(300)
	v.ask(w1, 0) // too soon
	v.clock.pass(time.Second)
	var wg sync.WaitGroup
	for _, h := range []*house{v.house, second} {
		for _, w := range []authority.Witness{w1, w2} {
			wg.Go(func() {
				if _, err := h.AskWitness(h.ctx, w); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	v.cosigns(late, w1, w2)
	v.cosigns(early, w1)
	v.carries(first, late, v.byPolicy(2, w1, w2))
	if found := v.scrub(); found != nil {
		t.Errorf("a scrub: %v", found)
	}
	v.tamper("cosignatures", "UPDATE cosignatures SET cosigned_at = cosigned_at + 1000000 WHERE size = "+fmt.Sprint(early.Size))
	v.tamper("cosignatures", "UPDATE cosignatures SET line = (SELECT MAX(line) FROM cosignatures c WHERE c.size = "+fmt.Sprint(early.Size)+") WHERE size = "+fmt.Sprint(late.Size)+" AND vkey = '"+w1.VKey()+"'")
	if found := v.scrub(); len(found) != 2 || found[0] != fmt.Sprintf("%d witnesses", early.Size) || found[1] != fmt.Sprintf("%d witnesses", late.Size) {
		t.Errorf("a scrub of changed cosignatures: %v", found)
	}
}

// cosigns checks that exactly these witnesses cosigned a checkpoint, and that
// nothing else of it changed.
func (h *house) cosigns(c api.Checkpoint, all ...authority.Witness) {
	h.t.Helper()
	got, err := h.CheckpointAt(h.ctx, h.owner, c.Size)
	if err != nil {
		h.t.Fatal(err)
	}
	signed := c.Note[:strings.Index(c.Note, "\n— ")+1]
	signed += strings.SplitAfter(c.Note[len(signed):], "\n")[0]
	added, ok := strings.CutPrefix(got.Note, signed)
	if !ok || strings.Count(added, "\n") != len(all) {
		h.t.Errorf("the checkpoint\n%s became\n%s", c.Note, got.Note)
	}
	for _, w := range all {
		if _, _, err := w.Cosigned(got.Note); err != nil {
			h.t.Errorf("%s: %v", w.Name(), err)
		}
	}
	if got.Note = c.Note; got != c {
		h.t.Errorf("%+v, want %+v", got, c)
	}
}

// carries checks that everything with a checkpoint in it satisfies a policy.
func (v *vault) carries(event string, c api.Checkpoint, trust receipt.Trust) {
	t := v.t
	now, err := v.Checkpoint(v.ctx, v.owner)
	if err != nil || now.Size != c.Size {
		t.Fatalf("%+v, %v", now, err)
	}
	list, err := v.Checkpoints(v.ctx, v.owner, "", 9)
	if err != nil || list.Items[0] != now || !strings.Contains(list.Items[len(list.Items)-1].Note, "w1.example") {
		t.Errorf("%+v, %v", list, err)
	}
	verifier, err := receipt.NewNoteVerifier(now.VKey)
	if err != nil {
		t.Fatal(err)
	}
	p := v.includes(authority.InclusionQuery{EventID: event})
	text, err := receipt.ParseProof(p.Proof)
	if err != nil || text.Checkpoint != now.Note {
		t.Fatalf("%q, %v", p.Proof, err)
	}
	if _, err := text.Verify(hashOf(t, p.LeafHash), note.VerifierList(verifier)); err != nil {
		t.Error(err)
	}
	var export, bundle bytes.Buffer
	if err := errors.Join(v.Export(v.ctx, v.owner, 0, 0, &export), v.Bundle(v.ctx, v.owner, receipt.Scope{Receipt: event}, 0, &bundle)); err != nil {
		t.Fatal(err)
	}
	if report := receipt.VerifyExport(&export, trust, nil); report.Result != receipt.Verified {
		t.Errorf("export: %+v", report.Checks)
	}
	if report := receipt.OpenBundleTar(bytes.NewReader(bundle.Bytes()), int64(bundle.Len())).Verify(trust, nil); report.Result != receipt.Verified {
		t.Errorf("bundle: %+v", report.Checks)
	}
}

// script is a witness that answers as it is told, in turn, and then always as the last time.
type script struct {
	mu      sync.Mutex
	asked   []authority.WitnessRequest
	answers []func(authority.WitnessRequest) authority.WitnessAnswer
}

func (s *script) AddCheckpoint(_ context.Context, _ string, r authority.WitnessRequest) authority.WitnessAnswer {
	s.mu.Lock()
	s.asked = append(s.asked, r)
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	s.mu.Unlock()
	return answer(r)
}

func (s *script) say(answers ...func(authority.WitnessRequest) authority.WitnessAnswer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.answers = nil, answers
}

func status(code int) func(authority.WitnessRequest) authority.WitnessAnswer {
	return func(authority.WitnessRequest) authority.WitnessAnswer {
		return authority.WitnessAnswer{StatusCode: code, Reason: "because", Size: -1}
	}
}

func conflict(size int64) func(authority.WitnessRequest) authority.WitnessAnswer {
	return func(authority.WitnessRequest) authority.WitnessAnswer {
		return authority.WitnessAnswer{StatusCode: 409, Size: size}
	}
}

func silence(authority.WitnessRequest) authority.WitnessAnswer {
	return authority.WitnessAnswer{Size: -1, Err: errors.New("connection refused")}
}

func lines(text string) func(authority.WitnessRequest) authority.WitnessAnswer {
	return func(authority.WitnessRequest) authority.WitnessAnswer {
		return authority.WitnessAnswer{StatusCode: 200, Lines: text, Size: -1}
	}
}

// cosigns answers with what a cosigner signs, at the clock's time and some more.
func cosigns(t testing.TB, k receipt.Cosigner, c *clock, later time.Duration, before string) func(authority.WitnessRequest) authority.WitnessAnswer {
	return func(r authority.WitnessRequest) authority.WitnessAnswer {
		line, err := k.Cosign(r.Checkpoint, c.now().Add(later))
		if err != nil {
			t.Error(err)
		}
		return authority.WitnessAnswer{StatusCode: 200, Lines: before + line, Size: -1}
	}
}

// told is a house that asks a scripted witness, with its log.
func told(t *testing.T) (*house, *script, authority.Witness, *bytes.Buffer) {
	h, s, k := newHouse(t), &script{}, cosigner(t, "w.example")
	w := authority.Witness{Witness: k.Witness, URL: "https://w.example/"}
	h.asks(s, w)
	var log bytes.Buffer
	h.Log = slog.New(slog.NewTextHandler(&log, nil))
	return h, s, w, &log
}

// TestWitnessAnswers: what each answer of a witness means, and what is asked next.
func TestWitnessAnswers(t *testing.T) {
	h, s, _, log := told(t)
	stranger := cosigner(t, "stranger.example")
	const size = 12 // of the log when it is asked
	type answer = func(authority.WitnessRequest) authority.WitnessAnswer
	cases := map[string]struct {
		seen    int64 // that it had cosigned before; 0 for nothing
		answers func(k receipt.Cosigner) []answer
		olds    []int64
		status  int
		says    string // in the error; empty for a cosignature
		logs    string
	}{
		"cosigned": {0, func(k receipt.Cosigner) []answer { return []answer{cosigns(t, k, h.clock, 0, "")} }, []int64{0}, 200, "", ""},
		"cosigned, from what it saw": {
			9, func(k receipt.Cosigner) []answer { return []answer{cosigns(t, k, h.clock, 4*time.Minute, "")} },
			[]int64{9},
			200, "", "",
		},
		"among lines of others": {0, func(k receipt.Cosigner) []answer {
			return []answer{func(r authority.WitnessRequest) authority.WitnessAnswer {
				other := cosigns(t, stranger, h.clock, 0, "")(r).Lines
				return cosigns(t, k, h.clock, 0, other+"hello\n\n— cosigned !\n")(r)
			}}
		}, []int64{0}, 200, "", ""},
		"it knew more than this server": {0, func(k receipt.Cosigner) []answer { return []answer{conflict(5), cosigns(t, k, h.clock, 0, "")} }, []int64{0, 5}, 200, "", ""},
		"the answer was lost":           {9, func(k receipt.Cosigner) []answer { return []answer{conflict(size), cosigns(t, k, h.clock, 0, "")} }, []int64{9, size}, 200, "", ""},
		"it forgot":                     {9, func(k receipt.Cosigner) []answer { return []answer{conflict(0), cosigns(t, k, h.clock, 0, "")} }, []int64{9, 0}, 200, "", "has forgotten"},

		"a line of another witness": {0, func(k receipt.Cosigner) []answer { return []answer{cosigns(t, stranger, h.clock, 0, "")} }, []int64{0}, 200, "no cosignature by the key", "did not cosign"},
		"a line of another checkpoint": {0, func(k receipt.Cosigner) []answer {
			return []answer{func(r authority.WitnessRequest) authority.WitnessAnswer {
				r.Checkpoint = strings.Replace(r.Checkpoint, "\n12\n", "\n13\n", 1)
				return cosigns(t, k, h.clock, 0, "")(r)
			}}
		}, []int64{0}, 200, "invalid cosignature", ""},
		"a line without an end": {0, func(k receipt.Cosigner) []answer {
			return []answer{func(r authority.WitnessRequest) authority.WitnessAnswer {
				return lines(strings.TrimSpace(cosigns(t, k, h.clock, 0, "")(r).Lines))(r)
			}}
		}, []int64{0}, 200, "no cosignature", ""},
		"a time of the past": {0, func(k receipt.Cosigner) []answer { return []answer{cosigns(t, k, h.clock, -6*time.Minute, "")} }, []int64{0}, 200, "one of the clocks is wrong", ""},
		"a time to come":     {0, func(k receipt.Cosigner) []answer { return []answer{cosigns(t, k, h.clock, 6*time.Minute, "")} }, []int64{0}, 200, "one of the clocks is wrong", ""},
		"nothing":            {0, func(receipt.Cosigner) []answer { return []answer{lines("")} }, []int64{0}, 200, "no cosignature", ""},
		"garbage":            {0, func(receipt.Cosigner) []answer { return []answer{lines("\n\n— w.example AAAA\n—\n— \n")} }, []int64{0}, 200, "no cosignature", ""},
		"it does not follow": {0, func(receipt.Cosigner) []answer { return []answer{status(404)} }, []int64{0}, 404, "does not follow this log", ""},
		"an unknown key":     {0, func(receipt.Cosigner) []answer { return []answer{status(403)} }, []int64{0}, 403, "does not know the key", ""},
		"a bad request":      {0, func(receipt.Cosigner) []answer { return []answer{status(400)} }, []int64{0}, 400, "it answered 400: because", ""},
		"it saw more":        {9, func(receipt.Cosigner) []answer { return []answer{conflict(20)} }, []int64{9}, 409, "it has seen size 20", ""},
		"a conflict without a size": {
			9, func(receipt.Cosigner) []answer { return []answer{status(409)} },
			[]int64{9},
			409, "is this the URL of a witness", "",
		},
		"conflicts for ever":           {0, func(receipt.Cosigner) []answer { return []answer{conflict(5), conflict(6), conflict(7)} }, []int64{0, 5}, 409, "and then another, 6", ""},
		"a conflict about what it saw": {9, func(receipt.Cosigner) []answer { return []answer{conflict(9)} }, []int64{9}, 409, "refuses to be asked from there", ""},

		"another root":               {0, func(receipt.Cosigner) []answer { return []answer{conflict(size)} }, []int64{0, size}, 409, "another history of this log: at size 12", "A WITNESS SAW ANOTHER HISTORY"},
		"another history":            {9, func(receipt.Cosigner) []answer { return []answer{status(422)} }, []int64{9}, 422, "another history of this log", "A WITNESS SAW ANOTHER HISTORY"},
		"no history, and it refuses": {0, func(receipt.Cosigner) []answer { return []answer{status(422)} }, []int64{0}, 422, "refused the consistency proof: because", "did not cosign"},
	}
	// Each case is a witness of its own, of one log.
	at := h.signed(9 - h.size())
	witnesses := map[string]authority.Witness{}
	for name, c := range cases {
		k := cosigner(t, strings.ReplaceAll(name, " ", "-"))
		witnesses[name] = authority.Witness{Witness: k.Witness}
		if c.seen > 0 {
			s.say(cosigns(t, k, h.clock, 0, ""))
			h.ask(witnesses[name], 1)
		}
	}
	newest := h.signed(size - int(at.Size))
	h.clock.pass(time.Minute)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := witnesses[name]
			h.Config.Witnesses = []authority.Witness{w}
			if got := h.shown(0); got.CosignedSize != c.seen {
				t.Fatalf("before: %+v", got)
			}
			log.Reset()
			s.say(c.answers(cosigner(t, w.Name()))...)
			h.ask(w, 1)
			var olds []int64
			for _, r := range s.asked {
				olds = append(olds, r.Old)
				if r.Checkpoint != newest.Note || (len(r.Proof) > 0) != (r.Old > 0 && r.Old < size) {
					t.Errorf("asked with %+v", r)
				}
			}
			if fmt.Sprint(olds) != fmt.Sprint(c.olds) {
				t.Errorf("asked from %v, want %v", olds, c.olds)
			}
			got := h.shown(0)
			if got.StatusCode != c.status || !strings.Contains(got.Error, c.says) || (got.Error == "") != (c.says == "") {
				t.Errorf("shown as %+v", got)
			}
			cosigned, err := h.CheckpointAt(h.ctx, h.owner, size)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := w.Cosigned(cosigned.Note); (err == nil) != (c.says == "") || err != nil && !errors.Is(err, receipt.ErrNotCosigned) {
				t.Errorf("%v of\n%s", err, cosigned.Note)
			}
			if !strings.Contains(log.String(), c.logs) || c.says == "" && c.logs == "" && log.Len() > 0 {
				t.Errorf("logged %q", log)
			}
		})
	}
}

// size is that of the log.
func (h *house) size() int {
	h.t.Helper()
	c, err := h.Checkpoint(h.ctx, h.owner)
	if err != nil {
		h.t.Fatal(err)
	}
	return int(c.Size)
}

// TestWitnessBackoff: who refuses is asked again, ever more rarely; a person is told once.
func TestWitnessBackoff(t *testing.T) {
	h, s, w, log := told(t)
	h.signed(1)
	s.say(status(422), status(404))
	h.ask(w, 1) // of an empty proof: nothing grave
	var waited []time.Duration
	for range 12 {
		next := *h.shown(0).NextAt
		wait := next.Sub(h.clock.now())
		h.clock.pass(wait - time.Millisecond)
		h.ask(w, 0)
		h.clock.pass(2 * time.Millisecond)
		h.signed(1) // a newer checkpoint makes it no sooner
		h.ask(w, 1)
		waited = append(waited, wait)
	}
	for i, least := range []int{1, 2, 5, 15, 30, 60, 120, 300, 600, 900, 900, 900} {
		if d := time.Duration(least) * time.Second; waited[i] < d || waited[i] > d+d/4+time.Millisecond {
			t.Errorf("the wait %d was %s", i, waited[i])
		}
	}
	if n := strings.Count(log.String(), "did not cosign"); n != 2 {
		t.Errorf("said %d times, and there were two different answers:\n%s", n, log)
	}
	log.Reset()
	h.clock.pass(20 * time.Minute)
	s.say(cosigns(t, cosigner(t, "w.example"), h.clock, 0, ""))
	h.ask(w, 1)
	h.signed(1)
	for range 3 {
		s.say(status(422))
		h.clock.pass(time.Hour)
		h.ask(w, 1)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), "checkpoint=\"test/") {
		t.Errorf("another history was said %d times:\n%s", n, log)
	}
}

// TestWitnessAbsent: one that does not answer is asked about no org before its
// time, and every org is told; what one org's log is refused is no other's business.
func TestWitnessAbsent(t *testing.T) {
	h, s, w, log := told(t)
	other, err := h.CreateOrg(h.ctx, h.owner, api.CreateOrg{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	if h.size() == 0 {
		t.Fatal("an empty log")
	}
	if err := h.SignHeads(h.ctx); err != nil {
		t.Fatal(err)
	}
	theirs, err := h.Authenticate(h.ctx, other.OwnerKey)
	if err != nil {
		t.Fatal(err)
	}
	s.say(silence)
	for i, wait := range []time.Duration{0, 2 * time.Second, 3 * time.Second} {
		h.clock.pass(wait)
		h.ask(w, 1)
		h.ask(w, 0)
		if len(s.asked) != i+1 {
			t.Errorf("asked %d times", len(s.asked))
		}
		for _, who := range []authority.Principal{h.owner, theirs} {
			list, err := h.Witnesses(h.ctx, who)
			if err != nil || list[0].Error != "connection refused" || list[0].StatusCode != 0 || !list[0].NextAt.After(h.clock.now()) {
				t.Errorf("%s: %+v, %v", who.Org, list, err)
			}
		}
	}
	if n := strings.Count(log.String(), "does not answer"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log)
	}
	if err := h.Ready(h.ctx); err != nil {
		t.Errorf("not ready: %v", err)
	}
	if strings.Contains(log.String(), "did not cosign") {
		t.Errorf("an absence is no refusal:\n%s", log)
	}
	h.clock.pass(10 * time.Second)
	s.say(status(404), cosigns(t, cosigner(t, "w.example"), h.clock, 0, ""))
	h.ask(w, 2)
	if n := strings.Count(log.String(), "answers again"); n != 1 {
		t.Errorf("its return was said %d times:\n%s", n, log)
	}
	list, err := h.Witnesses(h.ctx, theirs)
	if err != nil {
		t.Fatal(err)
	}
	if mine := h.shown(0); (mine.Error == "") == (list[0].Error == "") {
		t.Errorf("one was refused and one was not: %+v, %+v", mine, list[0])
	}
	theirs.Permissions = []api.Permission{api.ReleaseRead}
	_, err = h.Witnesses(h.ctx, theirs)
	code(t, err, authority.CodeForbidden)
}

// TestWitnessMemory: what is believed of a witness is what it said last of this
// very log, in whatever order two servers keep it.
func TestWitnessMemory(t *testing.T) {
	h, s, w, _ := told(t)
	k := cosigns(t, cosigner(t, "w.example"), h.clock, 0, "")
	asked := func(old int64) {
		t.Helper()
		if got := s.asked[len(s.asked)-1].Old; got != old {
			t.Errorf("asked from %d, want %d", got, old)
		}
	}
	h.signed(10 - h.size())
	s.say(conflict(1000))
	h.ask(w, 1)
	h.signed(1)
	h.clock.pass(time.Minute)
	s.say(k)
	h.ask(w, 1)
	asked(0) // a size that the log never had

	var late api.Checkpoint
	early := h.signed(1)
	h.clock.pass(time.Minute)
	s.say(func(r authority.WitnessRequest) authority.WitnessAnswer {
		late = h.signed(1)
		h.ask(w, 1)
		return k(r)
	}, k)
	h.ask(w, 1)
	h.cosigns(early, w)
	h.cosigns(late, w)
	if got := h.shown(0); got.CosignedSize != late.Size {
		t.Errorf("%+v after the answers to two servers, want size %d", got, late.Size)
	}

	err := h.Store.Update(h.ctx, h.owner.Org, func(tx authority.Tx) error { return tx.RenameLog("another") })
	if err != nil {
		t.Fatal(err)
	}
	h.clock.pass(time.Minute)
	s.say(k)
	renamed := h.signed(1)
	if got := h.shown(0); got.CosignedSize != 0 || renamed.Origin != "test/another" {
		t.Errorf("the log %s: %+v", renamed.Origin, got)
	}
	h.ask(w, 1)
	asked(0)
	h.cosigns(renamed, w)
}

// What a database says that went back is shown to no witness.
func testWitnessOfRestoredBackup(t *testing.T, v *vault) {
	v.anchored()
	s := &script{}
	w := authority.Witness{Witness: cosigner(t, "w.example").Witness}
	v.asks(s, w)
	s.say(status(404))
	backup, size := v.tree()
	v.signed(5)
	v.goBack(backup, size)
	if err := v.MoveAnchors(v.ctx); err != nil {
		t.Fatal(err)
	}
	v.readOnly(v.house)
	v.ask(w, 0)
	if err := v.SignHeads(v.ctx); err != nil || len(s.asked) != 0 {
		t.Errorf("asked %d times, %v", len(s.asked), err)
	}
}

// What does not agree with itself is shown to no witness.
func testWitnessOfDamagedLog(t *testing.T, v *vault) {
	s, k := &script{}, cosigner(t, "w.example")
	w := authority.Witness{Witness: k.Witness}
	v.asks(s, w)
	v.signed(5)
	v.tamper("checkpoints", "UPDATE checkpoints SET root_hash = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='")
	s.say(silence)
	v.ask(w, 1)
	if got := v.shown(0); len(s.asked) != 0 || !strings.Contains(got.Error, "prova log scrub") || got.NextAt == nil {
		t.Errorf("asked %d times; shown as %+v", len(s.asked), got)
	}
}

// TestCheckpointInHeader: a delivery carries what cosignatures fit.
func TestCheckpointInHeader(t *testing.T) {
	h, s, w, _ := told(t)
	hook := h.hook()
	h.signed(3)
	s.say(cosigns(t, cosigner(t, "w.example"), h.clock, 0, ""))
	h.ask(w, 1)
	for i := range 20 {
		k := cosigner(t, fmt.Sprintf("witness-%d.%s.example", i, strings.Repeat("long", 20)))
		s.say(cosigns(t, k, h.clock, 0, ""))
		h.ask(authority.Witness{Witness: k.Witness}, 1)
	}
	c, err := h.Checkpoint(h.ctx, h.owner)
	if err != nil || strings.Count(c.Note, "\n") != 3+1+1+21 {
		t.Fatalf("%s, %v", c.Note, err)
	}
	if _, err := h.TestWebhook(h.ctx, h.owner, hook.ID); err != nil {
		t.Fatal(err)
	}
	sent := h.out.sent[0].Checkpoint
	if len(sent) > 3<<10 || len(sent) < 2<<10 || !strings.HasPrefix(c.Note, sent) || !strings.HasSuffix(sent, "\n") {
		t.Errorf("%d bytes were sent:\n%s", len(sent), sent)
	}
	verifier, err := receipt.NewNoteVerifier(c.VKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := receipt.OpenCheckpoint(sent, note.VerifierList(verifier)); err != nil {
		t.Error(err)
	}
}

// TestWaitForCosignatures: evidence that asks for it carries the cosignatures of
// a head that was signed only now, and waits for nobody who is away.
func TestWaitForCosignatures(t *testing.T) {
	h, s, w, _ := told(t)
	away := authority.Witness{Witness: cosigner(t, "away.example").Witness, URL: "https://away.example/"}
	h.asks(s, away)
	h.signed(3)
	for i := range 6 { // until both are left alone for longer than anybody waits
		h.clock.pass(time.Duration(i) * 10 * time.Second)
		s.say(silence)
		h.ask(away, 1)
		s.say(status(404))
		h.ask(w, 1)
	}
	began := time.Now()
	c, err := h.CosignedCheckpoint(h.ctx, h.owner, 20*time.Second)
	if err != nil || c.VKey == "" || time.Since(began) > 10*time.Second {
		t.Errorf("nobody will answer: %+v, %v after %s", c, err, time.Since(began))
	}
	h.cosigns(c)

	h.clock.pass(2 * time.Minute)
	s.say(silence)
	h.ask(away, 1)
	h.recordRuns(1)
	c, err = h.CosignedCheckpoint(h.ctx, h.owner, 150*time.Millisecond)
	if err != nil || strings.Contains(c.Note, "w.example") {
		t.Errorf("nobody asked: %+v, %v", c, err)
	}

	// The head that is cosigned may be a later one than that which was signed for the answer.
	s.say(cosigns(t, cosigner(t, "w.example"), h.clock, 0, ""))
	h.recordRuns(1)
	var wg sync.WaitGroup
	wg.Go(func() {
		for at := c; at.Size == c.Size; { // until the export's head is signed
			list, err := h.Checkpoints(h.ctx, h.owner, "", 1)
			if err != nil {
				t.Error(err)
				return
			}
			at = list.Items[0]
		}
		h.recordRuns(1)
		if err := h.SignHeads(h.ctx); err != nil {
			t.Error(err)
		}
		if n, err := h.AskWitness(h.ctx, w); err != nil || n != 1 {
			t.Errorf("%d answers, %v", n, err)
		}
	})
	var export bytes.Buffer
	if err := h.Export(h.ctx, h.owner, 0, time.Minute, &export); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	report := receipt.VerifyExport(&export, h.byPolicy(1, w), nil)
	if report.Result != receipt.Verified || report.Size != c.Size+2 {
		t.Errorf("%d receipts: %+v", report.Size, report.Checks)
	}
	poor := h.owner
	poor.Permissions = []api.Permission{api.ReleaseRead}
	_, err = h.CosignedCheckpoint(h.ctx, poor, time.Minute)
	code(t, err, authority.CodeForbidden)
}
