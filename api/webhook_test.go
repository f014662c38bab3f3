package api_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
)

const (
	oldSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	newSecret = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
)

var (
	signedAt   = time.Unix(1_760_000_000, 0)
	signedBody = []byte(`{"event":"rollout.promote","data":{"weight":25}}`)
)

func verify(header string, body []byte, secrets ...string) error {
	return api.VerifySignature(header, body, signedAt, api.SignatureTolerance, secrets...)
}

func ExampleVerifySignature() {
	body := []byte(`{"event":"rollout.promote","data":{"weight":25}}`)
	at := time.Unix(1_760_000_000, 0)
	header := api.Signature(at, body, "whsec_c2VjcmV0")
	fmt.Println(header)
	fmt.Println(api.VerifySignature(header, body, at, api.SignatureTolerance, "whsec_c2VjcmV0"))
	fmt.Println(api.VerifySignature(header, body, at, api.SignatureTolerance, "whsec_b3RoZXI="))
	// Output:
	// t=1760000000,v1=fe6d486a069483249382599b3bf68be3b83298f31a9589f9478c1e7f419a3ca2
	// <nil>
	// webhook signature: does not match
}

func TestSignatureRotation(t *testing.T) {
	both := api.Signature(signedAt, signedBody, oldSecret, newSecret)
	if strings.Count(both, ",v1=") != 2 {
		t.Fatalf("got %s", both)
	}
	one := api.Signature(signedAt, signedBody, newSecret)
	for _, c := range []struct {
		header  string
		secrets []string
		want    error
	}{
		{both, []string{oldSecret}, nil},
		{both, []string{newSecret}, nil},
		{both, []string{oldSecret, newSecret}, nil},
		{both, []string{"whsec_b3RoZXI=", newSecret}, nil},
		{one, []string{oldSecret, newSecret}, nil},
		{one, []string{newSecret, oldSecret}, nil},
		{one, []string{oldSecret}, api.ErrSignature},
		{one, nil, api.ErrSignature},
		{one, []string{strings.TrimPrefix(newSecret, api.SecretPrefix)}, api.ErrSignature},
	} {
		if err := verify(c.header, signedBody, c.secrets...); !errors.Is(err, c.want) {
			t.Errorf("%s with %q: got %v, want %v", c.header, c.secrets, err, c.want)
		}
	}
}

func TestSignatureTolerance(t *testing.T) {
	header := api.Signature(signedAt, signedBody, newSecret)
	const tolerance = 5 * time.Minute
	for _, c := range []struct {
		off  time.Duration
		want error
	}{
		{0, nil},
		{tolerance, nil},
		{-tolerance, nil},
		{tolerance + time.Nanosecond, api.ErrSignatureTime},
		{-tolerance - time.Nanosecond, api.ErrSignatureTime},
		{100 * 365 * 24 * time.Hour, api.ErrSignatureTime},
		{-100 * 365 * 24 * time.Hour, api.ErrSignatureTime},
	} {
		if err := api.VerifySignature(header, signedBody, signedAt.Add(c.off), tolerance, newSecret); !errors.Is(err, c.want) {
			t.Errorf("off by %s: got %v, want %v", c.off, err, c.want)
		}
	}
	// Times that overflow a difference are still outside.
	for _, stamp := range []string{"9223372036854775807", "-9223372036854775808", "0", "-1"} {
		forged := strings.Replace(header, "t=1760000000", "t="+stamp, 1)
		if err := verify(forged, signedBody, newSecret); !errors.Is(err, api.ErrSignatureTime) {
			t.Errorf("%s: got %v", stamp, err)
		}
	}
}

func TestSignatureMalformed(t *testing.T) {
	good := api.Signature(signedAt, signedBody, newSecret)
	sum := good[strings.Index(good, "v1=")+3:]
	for _, header := range []string{
		"", ",", "=", "t", "t=", "v1=" + sum, "t=1760000000", "t=1760000000,", "t=1760000000,v1",
		"t=,v1=" + sum, "t=now,v1=" + sum, "t=1760000000.5,v1=" + sum, "t=0x68e77a00,v1=" + sum,
		"t=99999999999999999999,v1=" + sum, "t=1760000000,v0=" + sum, "t=1760000000,v2=" + sum,
		"t=1760000000,v1=" + sum[1:], "t=1760000000,v1=zz" + sum[2:], "T=1760000000,v1=" + sum, "t=1760000000;v1=" + sum, good + ",",
	} {
		if err := verify(header, signedBody, newSecret); !errors.Is(err, api.ErrSignatureFormat) {
			t.Errorf("%q: got %v", header, err)
		}
	}
	for _, header := range []string{
		"t=1760000000,v1=", "t=1760000000,v1=00", "t=1760000000,v1=" + sum[2:], "t=1760000000,v1=" + sum + "00",
		"t=1760000001,v1=" + sum, "t=+1760000000,v1=" + sum, "t=01760000000,v1=" + sum, good + ",t=1760000001",
	} {
		if err := verify(header, signedBody, newSecret); !errors.Is(err, api.ErrSignature) {
			t.Errorf("%q: got %v", header, err)
		}
	}
	// What a later version may add does not stop this one.
	for _, header := range []string{good + ",v2=abc", "v1=" + strings.Repeat("0", 64) + "," + good, strings.ReplaceAll(good, ",", ", ")} {
		if err := verify(header, signedBody, newSecret); err != nil {
			t.Errorf("%q: got %v", header, err)
		}
	}
}

func TestSignatureCoversEveryBit(t *testing.T) {
	good := api.Signature(signedAt, signedBody, newSecret)
	if err := verify(good, signedBody, newSecret); err != nil {
		t.Fatal(err)
	}
	sums := strings.Index(good, "v1=") + len("v1=")
	for i := range good {
		for bit := range 8 {
			b := []byte(good)
			b[i] ^= 1 << bit
			if i >= sums && strings.EqualFold(string(b), good) {
				continue // a hex digit in the other case is the same digit
			}
			if verify(string(b), signedBody, newSecret) == nil {
				t.Errorf("bit %d of byte %d of the header does not count: %q", bit, i, b)
			}
		}
	}
	for i := range signedBody {
		for bit := range 8 {
			b := append([]byte{}, signedBody...)
			b[i] ^= 1 << bit
			if err := verify(good, b, newSecret); !errors.Is(err, api.ErrSignature) {
				t.Errorf("bit %d of byte %d of the body: got %v", bit, i, err)
			}
		}
	}
	for _, b := range [][]byte{nil, signedBody[1:], signedBody[:len(signedBody)-1], append([]byte(" "), signedBody...)} {
		if err := verify(good, b, newSecret); !errors.Is(err, api.ErrSignature) {
			t.Errorf("%q: got %v", b, err)
		}
	}
}

// TestStandardSignatureVector is the example of the Standard Webhooks documentation.
func TestStandardSignatureVector(t *testing.T) {
	got, err := api.StandardSignature("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil || got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("got %s, %v", got, err)
	}
	both, err := api.StandardSignature("m", signedAt, signedBody, oldSecret, newSecret)
	if err != nil || len(strings.Fields(both)) != 2 {
		t.Errorf("got %q, %v", both, err)
	}
	secret := api.SecretPrefix + "s3cret*"
	if _, err := api.StandardSignature("m", signedAt, signedBody, secret); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
	if _, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(newSecret, api.SecretPrefix)); err != nil {
		t.Fatal(err)
	}
}
