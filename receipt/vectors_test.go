package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// strict is the whole profile: the key at admission, then the signature.
func strict(pub, msg, sig []byte) bool {
	return AdmitKey(pub) == nil && VerifySignature(pub, msg, sig) == nil
}

func TestEd25519Vectors(t *testing.T) {
	type vector struct {
		Seed, PK, Msg, Sig, Name, Comment, Desc string
		MsgUTF8                                 string `json:"msg_utf8"`
		Valid, Strict                           bool
	}
	for _, file := range []string{"rfc8032", "wycheproof", "speccheck", "cctv-edge"} {
		t.Run(file, func(t *testing.T) {
			var f struct{ Cases []vector }
			vectors(t, "ed25519-"+file+".json", &f)
			if len(f.Cases) == 0 {
				t.Fatal("no cases")
			}
			for i, c := range f.Cases {
				msg := unhex(t, c.Msg)
				if c.MsgUTF8 != "" {
					msg = []byte(c.MsgUTF8)
				}
				want := c.Valid || c.Strict
				if got := strict(unhex(t, c.PK), msg, unhex(t, c.Sig)); got != want {
					t.Errorf("case %d %s%s: accepted %v, want %v", i, c.Comment, c.Desc, got, want)
				}
				if c.Seed == "" {
					continue
				}
				priv := ed25519.NewKeyFromSeed(unhex(t, c.Seed))
				if !bytes.Equal(priv[32:], unhex(t, c.PK)) || !bytes.Equal(ed25519.Sign(priv, msg), unhex(t, c.Sig)) {
					t.Errorf("%s: derives or signs differently", c.Name)
				}
			}
		})
	}
}

func TestJCSVectors(t *testing.T) {
	var f struct {
		Documents []struct {
			Name  string
			Input string `json:"input_b64"`
			Hex   string `json:"canonical_hex"`
		}
		Numbers []struct {
			IEEE754   string
			Canonical *string
		}
	}
	vectors(t, "jcs-rfc8785.json", &f)
	for _, d := range f.Documents {
		in, err := base64.StdEncoding.DecodeString(d.Input)
		if err != nil {
			t.Fatal(err)
		}
		want := unhex(t, d.Hex)
		plain := jsontext.Value(clone(in))
		if err := plain.Canonicalize(); err != nil || !bytes.Equal(plain, want) {
			t.Errorf("%s: RFC 8785 gives %s, want %s (%v)", d.Name, plain, want, err)
		}
		got, err := Canonical(in)
		if d.Name == "values" { // RFC 8785 rounds its first number; we refuse to
			if e, ok := err.(*CanonicalError); !ok || e.Pointer != "/numbers/0" {
				t.Errorf("values: %v, want /numbers/0 refused", err)
			}
			got, err = Canonical(bytes.Replace(in, []byte("333333333.33333329"), []byte("333333333.3333333"), 1))
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %s, want %s (%v)", d.Name, got, want, err)
		}
	}
	for _, n := range f.Numbers {
		v := math.Float64frombits(binary.BigEndian.Uint64(unhex(t, n.IEEE754)))
		if n.Canonical == nil {
			continue // NaN and infinities have no JSON text at all
		}
		got, err := Canonical([]byte(strconv.FormatFloat(v, 'e', -1, 64)))
		if unsafe := !strings.ContainsAny(*n.Canonical, ".e") && math.Abs(v) > maxSafe; unsafe {
			if err == nil {
				t.Errorf("%s: accepted as %s, want it refused as an unsafe integer", n.IEEE754, got)
			}
			continue
		}
		if err != nil || string(got) != *n.Canonical {
			t.Errorf("%s: %s, want %s (%v)", n.IEEE754, got, *n.Canonical, err)
		}
	}
}

func TestBadJSONVectors(t *testing.T) {
	var f struct {
		Cases []struct {
			Name, Expect string
			Input        string `json:"input_b64"`
		}
	}
	vectors(t, "json-bad-inputs.json", &f)
	for _, c := range f.Cases {
		in, err := base64.StdEncoding.DecodeString(c.Input)
		if err != nil {
			t.Fatal(err)
		}
		out, err := Canonical(in)
		if (err == nil) != (c.Expect == "accept") && c.Name != "y_string_null_escape" {
			t.Errorf("%s %q: %s, %v; want %s", c.Name, in, out, err, c.Expect)
		}
		if c.Name == "y_string_null_escape" && err == nil {
			t.Error("U+0000 accepted")
		}
		if c.Expect != "accept" && IsCanonical(in) == nil {
			t.Errorf("%s %q passes for canonical", c.Name, in)
		}
	}
}

func TestMerkleVectors(t *testing.T) {
	var f struct {
		Inputs []string `json:"leaf_inputs_hex"`
		Leaves []string `json:"leaf_hashes_hex"`
		Roots  []string `json:"root_by_size_hex"`
	}
	vectors(t, "merkle-rfc6962.json", &f)
	var tree Tree
	for i := range f.Roots {
		if got := tree.Root(); got != tlog.Hash(unhex(t, f.Roots[i])) {
			t.Errorf("root of size %d is %s", i, got)
		}
		if i < len(f.Leaves) {
			leaf := tlog.RecordHash(unhex(t, f.Inputs[i]))
			if leaf != tlog.Hash(unhex(t, f.Leaves[i])) {
				t.Errorf("leaf %d is %s", i, leaf)
			}
			tree = tree.Append(leaf)
		}
	}
}

func TestSignedNoteVectors(t *testing.T) {
	var f struct {
		Cases []struct {
			Name, VKey, Note string
			Valid            bool
		}
	}
	vectors(t, "signed-note.json", &f)
	for _, c := range f.Cases {
		v, err := NewNoteVerifier(c.VKey)
		if err == nil {
			_, err = note.Open([]byte(c.Note), note.VerifierList(v))
		}
		if (err == nil) != c.Valid {
			t.Errorf("%s: %v, want valid %v", c.Name, err, c.Valid)
		}
	}
}
