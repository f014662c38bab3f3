package stats

import (
	"math/big"
	"math/bits"
)

// wide is an unsigned integer of 448 bits, least significant word first: the
// fourth power of 10^27 billionths takes 359 bits, a sum of 2^31 of them 390.
type wide [7]uint64

func (w wide) plus(o wide) wide {
	carry := uint64(0)
	for i := range w {
		w[i], carry = bits.Add64(w[i], o[i], carry)
	}
	return w
}

// times returns the product modulo 2^448.
func (w wide) times(o wide) wide {
	words := len(o)
	for words > 0 && o[words-1] == 0 {
		words--
	}
	var product wide
	for i, x := range w {
		if x == 0 {
			continue
		}
		carry := uint64(0)
		for j := 0; j < words && i+j < len(product); j++ {
			hi, lo := bits.Mul64(x, o[j])
			sum, c := bits.Add64(product[i+j], lo, 0)
			hi += c
			product[i+j], c = bits.Add64(sum, carry, 0)
			carry = hi + c
		}
		if i+words < len(product) {
			product[i+words] = carry // no row before came this far
		}
	}
	return product
}

func (w wide) big() *big.Int {
	var bytes [8 * len(w)]byte
	for i, word := range w {
		for j := range 8 {
			bytes[len(bytes)-1-8*i-j] = byte(word >> (8 * j))
		}
	}
	return new(big.Int).SetBytes(bytes[:])
}

// powers is a count of magnitudes, in billionths, and the exact sums of their
// powers one to four. Adding is associative, so the order leaves no trace.
type powers struct {
	n    int64
	sums [4]wide
}

func (p powers) with(magnitude Fixed) powers {
	x := wide{magnitude.lo, uint64(magnitude.hi)}
	square := x.times(x)
	return p.plus(powers{n: 1, sums: [4]wide{x, square, square.times(x), square.times(square)}})
}

func (p powers) plus(o powers) powers {
	p.n += o.n
	for k := range p.sums {
		p.sums[k] = p.sums[k].plus(o.sums[k])
	}
	return p
}

// about returns the exact sums of the powers one to four of x - centre, in
// billionths to that power, where x is each of the magnitudes, or minus it.
func (p powers) about(centre Fixed, negative bool) [4]*big.Int {
	shift := centre.Neg().big()
	raw := [5]*big.Int{big.NewInt(p.n)}
	for k, sum := range p.sums {
		raw[k+1] = sum.big()
		if negative && k%2 == 0 {
			raw[k+1].Neg(raw[k+1])
		}
	}
	binomials := [4][5]int64{{1, 1}, {1, 2, 1}, {1, 3, 3, 1}, {1, 4, 6, 4, 1}}
	var sums [4]*big.Int
	for k := range sums {
		sum, shifts := new(big.Int), big.NewInt(1)
		for j := k + 1; j >= 0; j-- { // shifts is shift^(k+1-j)
			term := new(big.Int).Mul(raw[j], shifts)
			sum.Add(sum, term.Mul(term, big.NewInt(binomials[k][j])))
			shifts.Mul(shifts, shift)
		}
		sums[k] = sum
	}
	return sums
}

func (f Fixed) big() *big.Int {
	m, negative := f.magnitude()
	v := wide{m.lo, uint64(m.hi)}.big()
	if negative {
		v.Neg(v)
	}
	return v
}

// times returns f times n, modulo 2^128 billionths.
func (f Fixed) times(n int64) Fixed {
	hi, lo := bits.Mul64(f.lo, uint64(n))
	if n < 0 { // n as unsigned is 2^64 too much
		hi -= f.lo
	}
	return Fixed{hi: f.hi*n + int64(hi), lo: lo}
}

// approximate returns f to within a few units of the last place, without the
// detour through text that the nearest float takes. Equal numbers give equal
// floats, and 0 gives 0.
func (f Fixed) approximate() float64 {
	m, negative := f.magnitude()
	v := (float64(float64(m.hi)*0x1p64) + float64(m.lo)) / fixedScale
	if negative {
		return -v
	}
	return v
}
