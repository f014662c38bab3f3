package receipt

import (
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"
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

func BenchmarkTreeAppend(b *testing.B) {
	var t Tree
	h := leaf(0)
	b.ReportAllocs()
	for b.Loop() {
		t = t.Append(h)
	}
}
