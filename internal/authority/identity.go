package authority

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"time"
)

// sortable is base32 in lower case whose digits sort as their values do.
const sortable = "0123456789abcdefghjkmnpqrstvwxyz"

// newID makes an id that sorts by time: a prefix, 48 bits of milliseconds and
// 80 random bits. Within a millisecond the ids of a server go up one by one,
// so that what came later sorts later.
func (a *Authority) newID(prefix string, at time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(at.UnixMilli())<<16)
	a.Random(b[6:])
	b[6] &= 0x7f // room to count up
	b = a.ids.after(b)
	return prefix + base32.NewEncoding(sortable).WithPadding(base32.NoPadding).EncodeToString(b[:])
}

// sequence makes ids of one millisecond rise.
type sequence struct {
	mu   sync.Mutex
	last [16]byte
}

func (s *sequence) after(id [16]byte) [16]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if bytes.Equal(id[:6], s.last[:6]) {
		id = s.last
		for i := len(id) - 1; i >= 6; i-- {
			if id[i]++; id[i] != 0 {
				break
			}
		}
	}
	s.last = id
	return id
}

// secret returns n random bytes as text that stands in a URL, a header and a shell alike.
func (a *Authority) secret(n int) string {
	b := make([]byte, n)
	a.Random(b)
	return base32.NewEncoding(sortable).WithPadding(base32.NoPadding).EncodeToString(b)
}

// webhookSecret returns 32 random bytes as the Standard Webhooks specification writes them.
func (a *Authority) webhookSecret() string {
	b := make([]byte, 32)
	a.Random(b)
	return base64.StdEncoding.EncodeToString(b)
}

func secretHash(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

// broadcast wakes everybody who waits for a change of a rollout in this
// process. A change made by another server is found by looking again.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{} // closed at the next change
}

func newBroadcast() *broadcast { return &broadcast{ch: make(chan struct{})} }

func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

func (b *broadcast) notify() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
}
