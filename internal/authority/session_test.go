package authority_test

import (
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

func (h *house) key(r api.CreateAPIKey) api.APIKey {
	h.t.Helper()
	k, err := h.CreateAPIKey(h.ctx, h.owner, r)
	if err != nil {
		h.t.Fatal(err)
	}
	return k
}

func (h *house) signIn(key string) (string, time.Time) {
	h.t.Helper()
	token, until, err := h.SignIn(h.ctx, key)
	if err != nil {
		h.t.Fatal(err)
	}
	return token, until
}

func TestSession(t *testing.T) {
	h := newHouse(t)
	size := h.verifies().Size
	k := h.key(api.CreateAPIKey{Name: "reader", Permissions: []api.Permission{api.ReleaseRead}, Environment: "staging"})
	token, until := h.signIn(k.Secret)
	other, _ := h.signIn(k.Secret)
	if want := h.clock.now().Add(authority.SessionTime); !until.Equal(want) || token == other {
		t.Errorf("until %s, want %s; %q and %q", until, want, token, other)
	}
	p, key, err := h.Session(h.ctx, token)
	if err != nil || p.KeyID != k.ID || p.Org != "default" || p.Environment != "staging" || !p.May(api.ReleaseRead) || p.May(api.RolloutManage) {
		t.Errorf("%+v, %v", p, err)
	}
	if key.Name != "reader" || key.Secret != "" {
		t.Errorf("%+v", key)
	}
	if got := h.verifies().Size; got != size+1 {
		t.Errorf("the log grew from %d to %d: one receipt for the key, none for signing in", size, got)
	}
	for range 2 {
		if err := h.SignOut(h.ctx, token); err != nil {
			t.Fatal(err)
		}
	}
	for _, ended := range []string{token, "", k.Secret, token + "x"} {
		_, _, err = h.Session(h.ctx, ended)
		code(t, err, authority.CodeUnauthenticated)
	}
	h.clock.pass(authority.SessionTime - time.Millisecond)
	if _, _, err := h.Session(h.ctx, other); err != nil {
		t.Errorf("before its end: %v", err)
	}
	h.clock.pass(time.Millisecond)
	_, _, err = h.Session(h.ctx, other)
	code(t, err, authority.CodeUnauthenticated)
}

// A session ends with its key.
func TestSessionOfAKeyThatEnds(t *testing.T) {
	h := newHouse(t)
	soon := h.clock.now().Add(time.Minute)
	for name, end := range map[string]func(api.APIKey){
		"revoked": func(k api.APIKey) {
			if _, err := h.RevokeAPIKey(h.ctx, h.owner, k.ID); err != nil {
				t.Fatal(err)
			}
		},
		"expired": func(api.APIKey) { h.clock.pass(soon.Sub(h.clock.now())) },
	} {
		r := api.CreateAPIKey{Name: name, Permissions: []api.Permission{api.ReleaseRead}}
		if name == "expired" {
			soon = h.clock.now().Add(time.Minute)
			r.ExpiresAt = &soon
		}
		k := h.key(r)
		token, until := h.signIn(k.Secret)
		if name == "expired" && !until.Equal(soon) {
			t.Errorf("until %s, the key until %s", until, soon)
		}
		if _, _, err := h.Session(h.ctx, token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		end(k)
		_, _, err := h.Session(h.ctx, token)
		code(t, err, authority.CodeUnauthenticated)
		_, _, err = h.SignIn(h.ctx, k.Secret)
		code(t, err, authority.CodeUnauthenticated)
	}
}

// Every way in which a key can be wrong reads the same.
func TestSignInRefuses(t *testing.T) {
	h := newHouse(t)
	k := h.key(api.CreateAPIKey{Name: "k", Permissions: []api.Permission{api.ReleaseRead}})
	if _, err := h.RevokeAPIKey(h.ctx, h.owner, k.ID); err != nil {
		t.Fatal(err)
	}
	said := ""
	for _, key := range []string{"", "prv_nobody_0123456789abcdef0123456789abcdef", k.Secret, k.Secret + "x", k.ID} {
		_, _, err := h.SignIn(h.ctx, key)
		code(t, err, authority.CodeUnauthenticated)
		if err == nil || said != "" && err.Error() != said {
			t.Errorf("%q: %v, before: %s", key, err, said)
			continue
		}
		said = err.Error()
	}
}
