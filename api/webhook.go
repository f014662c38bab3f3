package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The events that a webhook can subscribe to.
const (
	EventPromote  = "rollout.promote"
	EventRollback = "rollout.rollback"
)

// WebhookEvents lists the events.
func WebhookEvents() []string { return []string{EventPromote, EventRollback} }

// WebhookEvent is the body of a delivery.
type WebhookEvent struct {
	Event string      `json:"event"`
	Data  WebhookData `json:"data"`
}

// WebhookData says what to do. Weight is the weight to set, in percent: 0 on a rollback.
type WebhookData struct {
	RolloutID        string `json:"rollout_id"`
	AppID            string `json:"app_id"`
	Environment      string `json:"environment"`
	CandidateRelease string `json:"candidate_release"`
	BaselineRelease  string `json:"baseline_release"`
	Weight           int    `json:"weight"`
	// Terminal is true on full promotion and on rollback.
	Terminal        bool   `json:"terminal"`
	DecisionEventID string `json:"decision_event_id"`
	Sequence        int64  `json:"sequence"`
	Reason          string `json:"reason"`
	// Test is true for a delivery that somebody asked for to try the receiver.
	Test bool `json:"test,omitempty"`
}

// The headers of a delivery: ours, and those of the Standard Webhooks specification.
const (
	SignatureHeader        = "X-Prova-Signature"
	WebhookIDHeader        = "webhook-id"
	WebhookTimestampHeader = "webhook-timestamp"
	WebhookSignatureHeader = "webhook-signature"
	// CheckpointHeader holds the head of the org's log when the delivery was sent:
	// the standard base64 of the signed note that GET /api/v1/log/checkpoint
	// answers with, of which the last cosignatures are left out above 3 KiB.
	// Whoever keeps it can show later what the log was. It is missing where the
	// log could not be read; the signature does not cover it, the note has its own.
	CheckpointHeader = "X-Prova-Checkpoint"
)

// SecretPrefix begins every webhook secret; the rest is standard base64.
const SecretPrefix = "whsec_"

// SignatureTolerance is how far a delivery's time may be from the receiver's clock.
const SignatureTolerance = 5 * time.Minute

// Errors of VerifySignature.
var (
	ErrSignatureFormat = errors.New("webhook signature: malformed header, want t=<unix seconds>,v1=<hex>")
	ErrSignatureTime   = errors.New("webhook signature: time is outside the tolerance")
	ErrSignature       = errors.New("webhook signature: does not match")
)

func mac(key []byte, parts ...string) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

// Signature returns the value of SignatureHeader: HMAC-SHA256 over
// "<t>.<raw body>" keyed with each live secret as it was shown, prefix and all.
func Signature(at time.Time, body []byte, secrets ...string) string {
	t := strconv.FormatInt(at.Unix(), 10)
	value := "t=" + t
	for _, s := range secrets {
		value += ",v1=" + hex.EncodeToString(mac([]byte(s), t, ".", string(body)))
	}
	return value
}

// StandardSignature returns the value of WebhookSignatureHeader as the
// Standard Webhooks specification keys it: the decoded part behind the prefix.
func StandardSignature(id string, at time.Time, body []byte, secrets ...string) (string, error) {
	var values []string
	for _, s := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, SecretPrefix))
		if err != nil {
			return "", fmt.Errorf("webhook secret is not base64 behind %q: %w", SecretPrefix, err)
		}
		sum := mac(key, id, ".", strconv.FormatInt(at.Unix(), 10), ".", string(body))
		values = append(values, "v1,"+base64.StdEncoding.EncodeToString(sum))
	}
	return strings.Join(values, " "), nil
}

// VerifySignature checks the value of SignatureHeader in constant time against
// the raw body. The time in it may be off now by tolerance in both directions.
func VerifySignature(header string, body []byte, now time.Time, tolerance time.Duration, secrets ...string) error {
	var stamp string
	var sums [][]byte
	for part := range strings.SplitSeq(header, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return ErrSignatureFormat
		}
		switch key {
		case "t":
			stamp = value
		case "v1":
			sum, err := hex.DecodeString(value)
			if err != nil {
				return ErrSignatureFormat
			}
			sums = append(sums, sum)
		}
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || len(sums) == 0 {
		return ErrSignatureFormat
	}
	if off := now.Sub(time.Unix(seconds, 0)); off > tolerance || off < -tolerance {
		return ErrSignatureTime
	}
	matched := false
	for _, s := range secrets {
		want := mac([]byte(s), stamp, ".", string(body))
		for _, sum := range sums {
			matched = hmac.Equal(want, sum) || matched
		}
	}
	if !matched {
		return ErrSignature
	}
	return nil
}
