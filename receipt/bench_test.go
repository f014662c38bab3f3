package receipt

import (
	"crypto/ed25519"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// sized makes a body of about n canonical bytes, of the shape of a real one.
func sized(s Signer, n int) []byte {
	metrics := fields{}
	body := bodyOf(s, fields{"metrics": metrics})
	for i := 0; len(body) < n; i++ {
		metrics[fmt.Sprintf("metric_%03d", i)] = float64(i) / 8
		body = bodyOf(s, fields{"metrics": metrics})
	}
	return body
}

func BenchmarkReceipt(b *testing.B) {
	s := newSigner(b, "receipts")
	for _, n := range []int{600, 4096, 32768} {
		body := sized(s, n)
		sealed, err := s.Seal(body)
		if err != nil {
			b.Fatal(err)
		}
		r, err := Parse(sealed.Raw)
		if err != nil {
			b.Fatal(err)
		}
		pae := PAE(PayloadType, r.Body)
		for _, f := range []struct {
			name string
			f    func() error
		}{
			{"Ed25519Verify", func() error { _ = ed25519.Verify(s.Public(), pae, r.Signature); return nil }},
			{"IsCanonical", func() error { return IsCanonical(r.Body) }},
			{"Parse", func() error { _, err := Parse(sealed.Raw); return err }},
			{"Open", func() error { _, err := Open(sealed.Raw, s); return err }},
			{"Seal", func() error { _, err := s.Seal(body); return err }},
		} {
			b.Run(fmt.Sprintf("%s/%d", f.name, n), func(b *testing.B) {
				b.SetBytes(int64(len(r.Body)))
				b.ReportAllocs()
				for b.Loop() {
					if err := f.f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkVerifyExport(b *testing.B) {
	const n = 2000
	l := newLog(b, n)
	export := l.export(b, l.checkpoint(b))
	trust := l.trust(b)
	for b.Loop() {
		if r := VerifyExport(strings.NewReader(export), trust, nil); r.Result != Verified {
			b.Fatalf("%+v", r)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/receipt")
}

// BenchmarkVerifyRate holds the rate at which evidence is verified to the rate
// of nothing but its signatures, on one core and in one run: at least half.
func BenchmarkVerifyRate(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	l := newLog(b, 0)
	for _, k := range l.head.Keys {
		l.append(b, fields{"kind": "key_event", "event": "add", "key": k, "source": nil, "metrics": nil, "run_id": nil})
	}
	for range 1000 {
		l.append(b, nil)
	}
	trust := l.trust(b)
	export := l.export(b, l.checkpoint(b))
	bundle := bundleOf(b, l, rangeScope(0, l.tree.Size())).tar(b)
	type signed struct{ pae, sig []byte }
	var bare []signed
	for _, line := range l.lines {
		r, err := Parse(line.raw)
		if err != nil {
			b.Fatal(err)
		}
		bare = append(bare, signed{PAE(PayloadType, r.Body), r.Signature})
	}
	for name, verify := range map[string]func() bool{
		"export": func() bool { return VerifyExport(strings.NewReader(export), trust, nil).Result == Verified },
		"bundle": func() bool { return verifyTar(bundle, trust).Result == Verified },
	} {
		b.Run(name, func(b *testing.B) {
			// Both in turns, so that both see the same machine.
			var whole, signatures time.Duration
			for b.Loop() {
				start := time.Now()
				for _, s := range bare {
					if !ed25519.Verify(l.signer.Public(), s.pae, s.sig) {
						b.Fatal("a signature fails")
					}
				}
				between := time.Now()
				if !verify() {
					b.Fatal("not verified")
				}
				signatures += between.Sub(start)
				whole += time.Since(between)
			}
			n := float64(len(bare) * b.N)
			ratio := float64(signatures) / float64(whole)
			b.ReportMetric(n/whole.Seconds(), "receipts/s")
			b.ReportMetric(ratio, "of-bare-Ed25519")
			if ratio < 0.5 {
				b.Errorf("the rate is %.2f of that of bare signatures", ratio)
			}
		})
	}
}

func BenchmarkTreeAppend(b *testing.B) {
	var t Tree
	h := leaf(0)
	b.ReportAllocs()
	for b.Loop() {
		t = t.Append(h)
	}
}
