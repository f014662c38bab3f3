package stats

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// Seed names one stream of random numbers.
type Seed uint64

// SeedOf derives a seed from the parts that name its use, such as the id of a
// rollout, a gate and the number of a look: the first 8 bytes, big endian, of
// SHA-256 over each part preceded by its length in bytes as 8 bytes, big endian.
func SeedOf(parts ...string) Seed {
	var message []byte
	for _, part := range parts {
		message = binary.BigEndian.AppendUint64(message, uint64(len(part)))
		message = append(message, part...)
	}
	digest := sha256.Sum256(message)
	return Seed(binary.BigEndian.Uint64(digest[:8]))
}

// golden is the odd number nearest 2^64 over the golden ratio.
const golden = 0x9e3779b97f4a7c15

// Source is a SplitMix64 generator (Steele, Lea & Flood 2014). With all
// arithmetic modulo 2^64:
//
//	mix(z):    z = (z xor z>>30) * 0xbf58476d1ce4e5b9
//	           z = (z xor z>>27) * 0x94d049bb133111eb
//	           return z xor z>>31
//	start:     state = mix(mix(seed + G) xor mix(replicate xor H))
//	each draw: state = state + G; return mix(state)
//
// where G = 0x9e3779b97f4a7c15 and H = 0xd1b54a32d192ed03. A replicate's start
// goes through the hash: starts that differed by multiples of G would make each
// replicate repeat its neighbour's draws one place later, and a bootstrap's
// interval several times too narrow.
type Source struct{ state uint64 }

// NewSource returns the generator of one replicate of a seed's stream.
func NewSource(seed Seed, replicate uint64) Source {
	return Source{state: mix(mix(uint64(seed)+golden) ^ mix(replicate^0xd1b54a32d192ed03))}
}

// Uint64 returns the next 64 random bits.
func (s *Source) Uint64() uint64 {
	s.state += golden
	return mix(s.state)
}

// Index returns the next index in [0, n): the high word of the 128-bit product
// of the next 64 bits and n. Its bias is below n/2^64. It is 0 when n < 1.
func (s *Source) Index(n int) int {
	if n < 1 {
		return 0
	}
	high, _ := bits.Mul64(s.Uint64(), uint64(n))
	return int(high)
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
