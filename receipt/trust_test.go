package receipt

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
)

func TestParsePublicKeys(t *testing.T) {
	a, b := seedKey("a").Public().(ed25519.PublicKey), seedKey("b").Public().(ed25519.PublicKey)
	_, vkey, err := NoteKeys(testOrigin, seedKey("checkpoints"))
	if err != nil {
		t.Fatal(err)
	}
	ck, err := NewCheckpointPublicKey(vkey)
	if err != nil {
		t.Fatal(err)
	}
	toJSON := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	ra := NewReceiptPublicKey(a)
	hexA, b64B := hex.EncodeToString(a), base64.StdEncoding.EncodeToString(b)
	for _, c := range []struct {
		name, in              string
		receipts, checkpoints int // -1: refused
	}{
		{"hex", hexA, 1, 0},
		{"capitals", strings.ToUpper(hexA), 1, 0},
		{"base64", b64B, 1, 0},
		{"vkey", vkey, 0, 1},
		{"all, with comments", "# keys\n\n" + hexA + "  # old\r\n" + b64B + "\n" + vkey, 2, 1},
		{"one object", toJSON(ra), 1, 0},
		{"list", toJSON(map[string]any{"keys": []PublicKey{ra, ck, NewReceiptPublicKey(b)}}), 2, 1},
		{"more members", `{"created_at":"x",` + toJSON(ra)[1:], 1, 0},
		{"nothing", "", -1, 0},
		{"only comments", "# a\n", -1, 0},
		{"empty list", `{"keys":[]}`, -1, 0},
		{"short", hexA[:62], -1, 0},
		{"small order", strings.Repeat("0", 64), -1, 0},
		{"private key", "PRIVATE+KEY+x+00000000+AAAA", -1, 0},
		{"key for both purposes", vkey + "\n" + ck.PublicKey, -1, 0},
		{"wrong key id", strings.Replace(toJSON(ra), ra.KeyID[:8], "00000000", 1), -1, 0},
		{"wrong algorithm", strings.Replace(toJSON(ra), `"ed25519"`, `"rsa"`, 1), -1, 0},
		{"wrong purpose", strings.Replace(toJSON(ra), `"receipt"`, `"export"`, 1), -1, 0},
		{"vkey of another key", toJSON(PublicKey{Purpose: PurposeCheckpoint, PublicKey: ra.PublicKey, VKey: vkey}), -1, 0},
		{"duplicate member", `{"purpose":"receipt",` + toJSON(ra)[1:], -1, 0},
	} {
		trust, err := ParsePublicKeys([]byte(c.in))
		if c.receipts < 0 {
			if err == nil {
				t.Errorf("%s: %+v", c.name, trust)
			}
			continue
		}
		if err != nil || len(trust.Receipt) != c.receipts || len(trust.Checkpoint) != c.checkpoints {
			t.Errorf("%s: %+v, %v", c.name, trust, err)
		}
	}
}

// TestCheckpointKeyOfAnyOrigin: the key endpoint lists a server's checkpoint
// key once, and it verifies the logs of all its orgs.
func TestCheckpointKeyOfAnyOrigin(t *testing.T) {
	pub, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	list := `{"items":[{"key_id":"` + KeyID(pub) + `","purpose":"checkpoint","algorithm":"ed25519","public_key":"` + base64.StdEncoding.EncodeToString(pub) + `"}]}`
	trust, err := ParsePublicKeys([]byte(list))
	if err != nil || !trust.Pinned() || len(trust.CheckpointKeys) != 1 {
		t.Fatalf("%+v, %v", trust, err)
	}
	head := ExportHead{Org: "default"}
	for _, origin := range []string{"prova/one", "prova/two"} {
		signer, _, err := NoteKeys(origin, priv)
		if err != nil {
			t.Fatal(err)
		}
		text, err := SignCheckpoint(Checkpoint{Origin: origin, Root: head.Tree.Root()}, signer)
		if err != nil {
			t.Fatal(err)
		}
		for found, want := range map[string]string{text: OK, strings.Replace(text, "— "+origin, "— prova/six", 1): Failed} {
			var b strings.Builder
			if err := NewExportWriter(&b, head).Close(found); err != nil {
				t.Fatal(err)
			}
			report := verifyExport(strings.NewReader(b.String()), trust)
			for _, c := range report.Checks {
				if c.Check == CheckCheckpoint && c.Status != want {
					t.Errorf("%s: %+v, want %s", origin, c, want)
				}
			}
		}
	}
}
