package dashboard

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// keysPage is the API keys, for those who manage them, and the keys that sign, for everybody.
type keysPage struct {
	Sentence string
	// May is whether the reader manages API keys; the members below are empty otherwise.
	May bool
	// Live are the keys that may be used, Ended those that were revoked or have expired; the newest first.
	Live, Ended []apiKeyRow
	Form        keyForm
	// Made is the key that was just created, with its secret; nil otherwise.
	Made    *api.APIKey
	Signing []signingKeyRow
}

// apiKeyRow is an API key as it is listed.
type apiKeyRow struct {
	api.APIKey
	Made moment
	// Own is whether the reader is signed in with it.
	Own bool
	// Over says how it ended, and OverAt when; empty and zero while it may be used.
	Over   string
	OverAt time.Time
}

// signingKeyRow is a public key with its state.
type signingKeyRow struct {
	authority.SigningKeyState
	// State says whether it signs, Span where in the log.
	State, Span string
	// Fingerprint is the SHA-256 of the raw public key, in hex.
	Fingerprint string
}

func (h *Handler) keys(r *request) error { return h.showKeys(r, http.StatusOK, keyForm{}, nil) }

func (h *Handler) showKeys(r *request, status int, form keyForm, made *api.APIKey) error {
	page := keysPage{May: r.who.May(api.KeyManage), Made: made}
	states, err := h.Cases.SigningKeyStates(r.Context(), r.who)
	if err != nil {
		return err
	}
	for _, s := range states {
		page.Signing = append(page.Signing, signingKeyRowOf(s))
	}
	page.Sentence = "Every receipt is signed with a key of this server. Whoever has the public keys can verify receipts without it."
	if !page.May {
		return r.page(status, "keys", "Keys", "copy.js", page)
	}
	keys, err := h.Cases.APIKeys(r.Context(), r.who)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if row := h.apiKeyRow(r, k); row.Over == "" {
			page.Live = append(page.Live, row)
		} else {
			page.Ended = append(page.Ended, row)
		}
	}
	newest := func(a, b apiKeyRow) int { return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID)) }
	slices.SortFunc(page.Live, newest)
	slices.SortFunc(page.Ended, newest)
	page.Sentence = plural(int64(len(page.Live)), "API key") + " can be used. Give each program its own, with the permissions that it needs and no more."
	page.Form = form.offered(r.who)
	return r.page(status, "keys", "Keys", "copy.js", page)
}

func (h *Handler) apiKeyRow(r *request, k api.APIKey) apiKeyRow {
	row := apiKeyRow{APIKey: k, Made: h.moment(k.CreatedAt), Own: k.ID == r.key.ID}
	switch {
	case k.RevokedAt != nil:
		row.Over, row.OverAt = "revoked", *k.RevokedAt
	case k.ExpiresAt != nil && !h.Now().Before(*k.ExpiresAt):
		row.Over, row.OverAt = "expired", *k.ExpiresAt
	}
	return row
}

func signingKeyRowOf(s authority.SigningKeyState) signingKeyRow {
	row := signingKeyRow{SigningKeyState: s, State: "signs", Span: "not in this log"}
	index := func(at int64) string { return strconv.FormatInt(at, 10) }
	if s.From != nil {
		row.Span = "from log index " + index(*s.From) + " on"
	}
	switch {
	case s.End != "":
		row.State = map[string]string{"retire": "retired", "revoke": "revoked"}[s.End]
		row.Span = "log index " + index(*s.From) + " to before " + index(*s.Until)
	case s.From == nil:
		row.State = "unknown"
	case !s.Current:
		row.State = "another server's"
		if s.Purpose == receipt.PurposeCheckpoint {
			row.State = "another server's, or an earlier one"
		}
	}
	if raw, err := base64.StdEncoding.DecodeString(s.PublicKey); err == nil {
		sum := sha256.Sum256(raw)
		row.Fingerprint = hex.EncodeToString(sum[:])
	}
	return row
}

func (h *Handler) confirmRevokeKey(r *request) error {
	k, err := h.apiKey(r)
	if err != nil {
		return err
	}
	says := "Whoever uses it is refused from then on, and signed out here. It cannot be undone; a new key can be created. That it was revoked, and by which key, is signed into the log."
	if k.ID == r.key.ID {
		says = "It is the key that you are signed in with: you are signed out at once, and need another key to come back. " + says
	}
	return r.page(http.StatusOK, "forms", "Revoke a key", "", confirmation{
		Title: "Revoke this key?", What: k.Name, Says: says, Button: "Revoke the key", Action: "/keys/" + url.PathEscape(k.ID) + "/revoke", Back: "/keys",
	})
}

// apiKey is the key of the address, of those that the reader sees.
func (h *Handler) apiKey(r *request) (api.APIKey, error) {
	keys, err := h.Cases.APIKeys(r.Context(), r.who)
	if err != nil {
		return api.APIKey{}, err
	}
	i := slices.IndexFunc(keys, func(k api.APIKey) bool { return k.ID == r.PathValue("id") })
	if i < 0 {
		return api.APIKey{}, &authority.Error{Code: authority.CodeNotFound, Detail: "there is no such key"}
	}
	return keys[i], nil
}

func (h *Handler) revokeKey(r *request) error {
	if _, err := h.Cases.RevokeAPIKey(r.Context(), r.who, r.PathValue("id")); err != nil {
		return err
	}
	return r.see("/keys", "key-revoked")
}
