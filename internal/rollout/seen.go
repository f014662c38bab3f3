package rollout

// seenBits is how many bits tell units apart: 16 KiB.
const seenBits = 1 << 17

// seen remembers of which units a value was counted, so that each counts once.
// A unit may be taken for another that was seen: it is then left out, by its
// hash and never by its outcome, so a test stays exact. A unit sets a bit for the
// run and one for each gate; with n of them set about n/131072 of the new units
// are taken for old ones. It is nil where runs are counted, not units.
type seen []byte

// newSeen remembers nothing yet.
func newSeen() seen { return make(seen, seenBits/8) }

// first reports whether a unit is new to one of several uses, and remembers it.
func (s seen) first(unit uint64, use int) bool {
	if s == nil {
		return true
	}
	z := unit + uint64(use)*0x9e3779b97f4a7c15 // the finish of SplitMix64: every use has bits of its own
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	bit := z % seenBits
	known := s[bit/8]&(1<<(bit%8)) != 0
	s[bit/8] |= 1 << (bit % 8)
	return !known
}
