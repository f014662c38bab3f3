package authority

import (
	"context"
	"errors"
	"time"

	"github.com/cobound/prova/api"
)

// Session is somebody signed in to the dashboard: only the SHA-256 of the
// token is kept, and the key that it was had for.
type Session struct {
	Hash      [32]byte
	Org       string
	KeyID     string
	CreatedAt time.Time
	ExpiresAt time.Time
}

// SessionTime is how long a sign-in lasts at most; it ends before with its key.
const SessionTime = 12 * time.Hour

// SignIn begins a session for the holder of an API key and returns the token
// that Session takes, which is not kept, and when it ends. What is wrong with
// the key reads as Authenticate has it. A sign-in is not written to the log, so
// that one can look at a log that is not written to.
func (a *Authority) SignIn(ctx context.Context, key string) (token string, until time.Time, err error) {
	p, err := a.Authenticate(ctx, key)
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok && e.Code == CodeUnauthenticated {
			err = fail(CodeUnauthenticated, "the API key is missing, unknown, revoked or expired; paste the whole key, prv_…")
		}
		return "", time.Time{}, err
	}
	now := a.now()
	until = now.Add(SessionTime)
	if p.ExpiresAt != nil && p.ExpiresAt.Before(until) {
		until = *p.ExpiresAt
	}
	token = a.secret(32)
	err = a.Store.SaveSession(ctx, Session{Hash: secretHash(token), Org: p.Org, KeyID: p.KeyID, CreatedAt: now, ExpiresAt: until})
	if err != nil {
		return "", time.Time{}, storeError("key", err)
	}
	return token, until, nil
}

// Session finds who is signed in, and the key that it was done with, without
// its secret. The key is read each time: what it may no longer do, or that it
// is revoked, counts at once.
func (a *Authority) Session(ctx context.Context, token string) (Principal, api.APIKey, error) {
	over := fail(CodeUnauthenticated, "you are signed out, or the API key was revoked or has expired; sign in again")
	if token == "" {
		return Principal{}, api.APIKey{}, over
	}
	s, err := a.Store.Session(ctx, secretHash(token))
	var k APIKey
	if err == nil {
		k, err = a.Store.APIKey(ctx, s.KeyID)
	}
	switch now := a.now(); {
	case errors.Is(err, ErrNotFound):
		return Principal{}, api.APIKey{}, over
	case err != nil:
		return Principal{}, api.APIKey{}, storeError("key", err)
	case !now.Before(s.ExpiresAt) || !k.holds(now) || k.Org != s.Org:
		return Principal{}, api.APIKey{}, over
	}
	return k.principal(), k.APIKey, nil
}

// SignOut ends a session. One that is over already is no error.
func (a *Authority) SignOut(ctx context.Context, token string) error {
	return storeError("key", a.Store.EndSession(ctx, secretHash(token)))
}
