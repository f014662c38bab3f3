package stats_test

import (
	"math"
	"math/big"
	"strconv"
	"testing"

	"github.com/cobound/prova/internal/stats"
	"pgregory.net/rapid"
)

// exact is the value of a decimal text in billionths, rounded half to even.
func exact(t rapid.TB, text string) *big.Int {
	t.Helper()
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is not a number", text)
	}
	r.Mul(r, big.NewRat(1_000_000_000, 1))
	quotient, rest := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int))
	twice := rest.Mul(rest, big.NewInt(2))
	if c := twice.CmpAbs(r.Denom()); c > 0 || c == 0 && quotient.Bit(0) == 1 {
		quotient.Add(quotient, big.NewInt(int64(r.Sign())))
	}
	return quotient
}

func shortest(v float64) string { return strconv.FormatFloat(v, 'e', -1, 64) }

// values draws floats of every size that FixedOf takes.
func values() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.Float64Range(-1e18, 1e18),
		rapid.Float64Range(-10, 10),
		rapid.Map(rapid.Int64Range(-1e15, 1e15), func(i int64) float64 { return float64(i) / 1e6 }),
		rapid.Map(rapid.Int64Range(-1e6, 1e6), func(i int64) float64 { return float64(i) * 0.5e-9 }),
		rapid.SampledFrom([]float64{0, 1, -1, 0.1, 1e18, -1e18, 1e-9, 0.5e-9, 1.5e-9, 2.5e-9, 5e-324, 0.30000000000000004, 1e17, 123456789.123456789}),
	)
}

func TestFixedAgainstBig(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a, b := values().Draw(r, "a"), values().Draw(r, "b")
		f, err := stats.FixedOf(a)
		if err != nil {
			r.Fatal(err)
		}
		g, err := stats.FixedOf(b)
		if err != nil {
			r.Fatal(err)
		}
		same := func(what string, got stats.Fixed, want *big.Int) {
			if exact(r, got.String()).Cmp(want) != 0 {
				r.Fatalf("%s of %v and %v is %s, want %s billionths", what, a, b, got, want)
			}
			back, _ := new(big.Rat).SetFrac(want, big.NewInt(1_000_000_000)).Float64()
			if got.Float64() != back {
				r.Fatalf("%s: float %v, want %v", got, got.Float64(), back)
			}
			if got.IsZero() != (want.Sign() == 0) {
				r.Fatalf("%s: zero %v", got, got.IsZero())
			}
		}
		x, y := exact(r, shortest(a)), exact(r, shortest(b))
		same("value", f, x)
		same("sum", f.Add(g), new(big.Int).Add(x, y))
		same("difference", f.Sub(g), new(big.Int).Sub(x, y))
		same("negation", f.Neg(), new(big.Int).Neg(x))
		if f.Cmp(g) != x.Cmp(y) || (f == g) != (x.Cmp(y) == 0) {
			r.Fatalf("order of %s and %s", f, g)
		}
	})
}

func TestFixedRejects(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1.0000000000000002e18, -1e19} {
		if _, err := stats.FixedOf(v); err == nil {
			t.Errorf("FixedOf(%v) was accepted", v)
		}
	}
}

func TestFixedString(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", -1: "-1", 0.1: "0.1", -0.25: "-0.25", 12.5: "12.5", 1e-9: "0.000000001", 1e-10: "0",
		1e18: "1000000000000000000", -1e18: "-1000000000000000000", 123456.789: "123456.789",
	} {
		f, err := stats.FixedOf(v)
		if err != nil || f.String() != want {
			t.Errorf("%v prints as %s (%v), want %s", v, f, err, want)
		}
	}
	sum, _ := stats.FixedOf(1e18)
	for range 30 { // far beyond 64 bits
		sum = sum.Add(sum)
	}
	if want := "1073741824000000000000000000"; sum.String() != want {
		t.Errorf("sum %s, want %s", sum, want)
	}
}
