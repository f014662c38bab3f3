package receipt_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/cobound/prova/receipt"
)

func Example() {
	seed := make([]byte, ed25519.SeedSize) // a real seed is random and secret
	signer, err := receipt.NewSigner(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		panic(err)
	}
	sealed, err := signer.Seal([]byte(`{
		"schema": "prova.receipt/1", "event_id": "evt_01k2", "org": "default", "kind": "agent_run",
		"recorded_at": "2026-05-15T18:42:01Z", "actor": "system", "key_id": "` + signer.KeyID() + `",
		"metrics": {"success": true, "latency_ms": 812}
	}`))
	if err != nil {
		panic(err)
	}

	keys, err := receipt.NewKeySet(signer.Public())
	if err != nil {
		panic(err)
	}
	opened, err := receipt.Open(sealed.Raw, keys)
	fmt.Println(opened.EventID, opened.Kind, err)
	fmt.Println(opened.IntegrityHash == sealed.IntegrityHash)

	_, err = receipt.Open(sealed.Raw, receipt.KeySet{})
	fmt.Println(errors.Is(err, receipt.ErrUnknownKey))
	// Output:
	// evt_01k2 agent_run <nil>
	// true
	// true
}
