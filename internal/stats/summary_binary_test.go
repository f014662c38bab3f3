package stats_test

import (
	"math/big"
	"testing"

	"github.com/cobound/prova/internal/stats"
)

// TestSummarySumHasOneForm: the sum of one run, in each way in which it could be written.
func TestSummarySumHasOneForm(t *testing.T) {
	number := func(v *big.Int) []byte {
		var data []byte
		for v = new(big.Int).Set(v); v.BitLen() > 7; v.Rsh(v, 7) {
			data = append(data, byte(v.Bits()[0])|0x80)
		}
		return append(data, byte(v.Uint64()))
	}
	padded := func(data []byte) []byte {
		data[len(data)-1] |= 0x80
		return append(data, 0)
	}
	power := func(bits uint, add int64) *big.Int {
		v := new(big.Int).Lsh(big.NewInt(1), bits)
		return v.Add(v, big.NewInt(add))
	}
	for name, c := range map[string]struct {
		whole    byte
		sum      []byte
		accepted bool
	}{
		"0":                              {1, []byte{0}, true},
		"-0":                             {1, []byte{1}, false},
		"-0 billionths":                  {0, []byte{1}, false},
		"0 billionths":                   {0, []byte{0}, false},
		"1":                              {1, []byte{2}, true},
		"-1":                             {1, []byte{3}, true},
		"1, padded":                      {1, []byte{0x82, 0}, false},
		"1 in billionths":                {0, number(big.NewInt(2_000_000_000)), false},
		"0.5":                            {0, number(big.NewInt(1_000_000_000)), true},
		"0.5, padded":                    {0, append(number(big.NewInt(1_000_000_000|1<<34)), 0), false},
		"2^70 billionths":                {0, number(power(71, 0)), true},
		"2^70 billionths, padded":        {0, padded(number(power(71, 0))), false},
		"10^30 in billionths":            {0, number(new(big.Int).Exp(big.NewInt(10), big.NewInt(30), nil)), false},
		"the most billionths":            {0, number(power(128, -2)), true},
		"the least billionths":           {0, number(power(128, -1)), true},
		"too many billionths":            {0, number(power(128, 0)), false},
		"far too many billionths":        {0, number(power(140, 2)), false},
		"10^29":                          {1, number(new(big.Int).Exp(big.NewInt(10), big.NewInt(29), nil)), true},
		"more than the most billionths":  {1, number(power(99, 0)), false},
		"more than 128 bits billionths":  {1, number(power(126, 2)), false},
		"2^64 times a billion, and once": {1, number(power(120, 1<<20)), false},
	} {
		tally := append([]byte{1<<1 | c.whole}, c.sum...)
		data := append([]byte{1, 1, 0, 0}, tally...)
		data = append(append(data, 0, 1, 7), tally...)
		data = append(data, 1, 0x85, 0x80, 0x40, 1) // a bin that is neither that of 0 nor of 1
		var read stats.Summary
		if err := read.UnmarshalBinary(data); (err == nil) != c.accepted {
			t.Errorf("%s: %v, want it accepted: %t", name, err, c.accepted)
		} else if err == nil && encoded(t, read) != string(data) {
			t.Errorf("%s: read as %v", name, read.Sum())
		}
	}
}
