package authority

import (
	"context"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// SigningKeyState is a public key with what the log of an org says of it.
type SigningKeyState struct {
	api.SigningKey
	// From is the log index of its addition; nil if this log does not know it.
	From *int64
	// Until is the log index from which it signs no more, and End retire or
	// revoke; nil and empty while it signs.
	Until *int64
	End   string
	// Current is whether this server signs with it.
	Current bool
}

// SigningKeyStates lists the public keys of all servers with their states in
// the log of the org, in the order of [Authority.SigningKeys]. Anybody of the org may read them.
func (a *Authority) SigningKeyStates(ctx context.Context, p Principal) ([]SigningKeyState, error) {
	keys, err := a.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]SigningKeyState, len(keys))
	err = a.Store.View(ctx, p.Org, func(s Snapshot) error {
		states, err := keyStates(s)
		for i, k := range keys {
			out[i] = a.keyStateOf(k, states)
		}
		return err
	})
	return out, storeError("log", err)
}

func (a *Authority) keyStateOf(k api.SigningKey, states map[string]keyState) SigningKeyState {
	out := SigningKeyState{SigningKey: k, Current: k.KeyID == a.signer().KeyID() || k.Purpose == receipt.PurposeCheckpoint && k.KeyID == a.checkpointKeyID()}
	if state, known := states[k.KeyID]; known {
		out.From = &state.at
		if state.end != "" {
			out.Until, out.End = &state.until, state.end
		}
	}
	return out
}

// LogOrigin names the org's log as its checkpoints do. Anybody of the org may read it.
func (a *Authority) LogOrigin(ctx context.Context, p Principal) (string, error) {
	id, err := a.logID(ctx, p.Org)
	if err != nil {
		return "", err
	}
	return a.originOf(id), nil
}
