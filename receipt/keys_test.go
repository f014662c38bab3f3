package receipt

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"slices"
	"testing"

	"filippo.io/edwards25519"
)

// The eight points of small order, derived: multiples of a point of order 8.
func smallPoints(t *testing.T) map[[32]byte]bool {
	eight, err := new(edwards25519.Point).SetBytes(unhex(t, "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[[32]byte]bool{}
	p := edwards25519.NewIdentityPoint()
	for range 8 {
		all[[32]byte(p.Bytes())] = true
		p.Add(p, eight)
	}
	if len(all) != 8 || p.Equal(edwards25519.NewIdentityPoint()) != 1 {
		t.Fatal("not a point of order 8")
	}
	return all
}

func TestSmallOrder(t *testing.T) {
	points := smallPoints(t)
	for p := range points {
		if !smallOrder(p) {
			t.Errorf("%x not found to have small order", p)
		}
		if err := AdmitKey(p[:]); !errors.Is(err, ErrKeySmallOrder) {
			t.Errorf("%x: %v", p, err)
		}
		p[31] ^= 0x80
		if smallOrder(p) != points[p] {
			t.Errorf("%x with its sign flipped", p)
		}
	}
	if smallOrder([32]byte(edwards25519.NewGeneratorPoint().Bytes())) {
		t.Error("the generator has no small order")
	}
}

func TestAdmitKeyRefuses(t *testing.T) {
	mixed, err := new(edwards25519.Point).SetBytes(unhex(t, "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))
	if err != nil {
		t.Fatal(err)
	}
	mixed.Add(mixed, edwards25519.NewGeneratorPoint())
	for _, c := range []struct {
		name string
		key  []byte
		want error
	}{
		{"short", make([]byte, 31), ErrKeyLength},
		{"mixed order", mixed.Bytes(), ErrKeyMixedOrder},
		{"non-canonical y", unhex(t, "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"), ErrKeyNotCanonical},
		{"no point", unhex(t, "0200000000000000000000000000000000000000000000000000000000000000"), ErrKeyNotAPoint},
	} {
		if err := AdmitKey(c.key); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if _, err := NewKeySet(c.key); !errors.Is(err, c.want) {
			t.Errorf("%s: NewKeySet says %v", c.name, err)
		}
	}
	if err := AdmitKey(seedKey("a").Public().(ed25519.PublicKey)); err != nil {
		t.Error(err)
	}
}

func TestNewSignerRefusesOtherAlgorithms(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewSigner(key); err == nil {
		t.Error("an ECDSA key signs receipts")
	}
}

// The hashes were computed with sha256sum over the documented bytes.
func TestKeyIDAndCommit(t *testing.T) {
	if got := KeyID(make([]byte, 32)); got != "7d9665a144c9ce7b92c7054d7f80b597b82e3c04e14e480f4e9df2e0da5f681f" {
		t.Error(got)
	}
	if got := Commit([32]byte{1}, []byte(`"x"`)); got != "sha256:d6c4476942c1bba7c5efab9a9f2b4d6f79cd69aa137365828554425092023847" {
		t.Error(got)
	}
}

// The owner of a key can sign with R of small order, and crypto/ed25519 takes
// it; verifiers that multiply by the cofactor disagree about such signatures.
func TestVerifySignatureRefusesSmallOrderR(t *testing.T) {
	priv := seedKey("a")
	pub := priv.Public().(ed25519.PublicKey)
	h := sha512.Sum512(priv.Seed())
	secret, err := edwards25519.NewScalar().SetBytesWithClamping(h[:32])
	if err != nil {
		t.Fatal(err)
	}
	r := edwards25519.NewIdentityPoint().Bytes()
	msg := []byte("message")
	k := sha512.Sum512(slices.Concat(r, pub, msg))
	challenge, err := edwards25519.NewScalar().SetUniformBytes(k[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := slices.Concat(r, challenge.Multiply(challenge, secret).Bytes())
	if !ed25519.Verify(pub, msg, sig) {
		t.Fatal("not the signature that was meant")
	}
	if err := VerifySignature(pub, msg, sig); !errors.Is(err, ErrSignatureSmallOrder) {
		t.Error(err)
	}
}
