package receipt

import (
	"bufio"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// BenchmarkVerifyMillion verifies an export of 10⁶ receipts from a file, on one
// core: memory must not grow with them. Its signatures alone are verified in
// blocks of a thousand between, whenever the verifier tells how far it is.
func BenchmarkVerifyMillion(b *testing.B) {
	const n = 1_000_000
	path := filepath.Join(b.TempDir(), "export.ndjson")
	l := newLog(b, 0)
	var bare []Receipt
	func() {
		f, err := os.Create(path)
		if err != nil {
			b.Fatal(err)
		}
		out := bufio.NewWriter(f)
		w := NewExportWriter(out, l.head)
		for i := range int64(n) {
			l.append(b, nil)
			line := l.lines[0]
			l.lines = l.lines[:0]
			if err := w.Receipt(i, line.raw); err != nil {
				b.Fatal(err)
			}
			if r, err := Parse(line.raw); i < 1000 {
				bare = append(bare, r)
				if err != nil {
					b.Fatal(err)
				}
			}
		}
		if err := errors.Join(w.Close(l.checkpoint(b)), out.Flush(), f.Close()); err != nil {
			b.Fatal(err)
		}
	}()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	trust := l.trust(b)
	for b.Loop() {
		in, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		var signatures time.Duration
		peak, blocks := uint64(0), 0
		start := time.Now()
		r := VerifyExport(in, trust, func(int64) {
			var m runtime.MemStats
			begin := time.Now()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
			for _, r := range bare {
				if !ed25519.Verify(l.signer.Public(), PAE(PayloadType, r.Body), r.Signature) {
					b.Fatal("a signature fails")
				}
			}
			blocks++
			signatures += time.Since(begin)
		})
		whole := time.Since(start) - signatures
		if r.Result != Verified || r.Receipts != n {
			b.Fatalf("%+v", r)
		}
		if err := in.Close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(n/whole.Seconds(), "receipts/s")
		b.ReportMetric(signatures.Seconds()/float64(blocks*len(bare))*n/whole.Seconds(), "of-bare-Ed25519")
		b.ReportMetric(float64(peak)/(1<<20), "peak-heap-MB")
	}
}
