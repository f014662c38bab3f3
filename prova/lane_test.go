package prova

import (
	"context"
	"errors"
	"testing"

	"github.com/cobound/prova/api"
)

// A rollout that nobody acts on or waits for takes no memory.
func TestLanesAreDropped(t *testing.T) {
	r, err := NewWebhookReceiver(func(context.Context, api.WebhookEvent) error { return nil }, "whsec_c2VjcmV0")
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	leave, err := r.enter(gone, "ro_1") // free: nothing to wait for
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.enter(gone, "ro_1"); !errors.Is(err, ErrWebhookBusy) || len(r.lanes) != 1 {
		t.Errorf("got %v with %d lanes", err, len(r.lanes))
	}
	leave()
	if len(r.lanes) != 0 {
		t.Errorf("%d lanes are left", len(r.lanes))
	}
}
