package judge

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cobound/prova/api"
)

// TestHeldBack: what calls under way may cost is not there for others.
func TestHeldBack(t *testing.T) {
	most := 1.0
	b := &budget{bounds: api.StartJudging{MaxCostUSD: &most}}
	one, two := &turn{budget: b}, &turn{budget: b}
	if err := one.reserve(2, 0.4); err != nil {
		t.Fatal(err)
	}
	if err := one.spend(0.4); err != nil {
		t.Fatal(err)
	}
	if err := two.reserve(1, 0.3); KindOf(err) != OverBudget {
		t.Errorf("0.8 of 1 are held back: %v", err)
	}
	one.settle(0.4, 0.1)
	if err := two.reserve(1, 0.5); err != nil {
		t.Errorf("0.1 was spent and 0.4 is held back: %v", err)
	}
	two.end()
	one.end()
	if b.held > 1e-12 || b.held < -1e-12 || b.calls != 1 || b.cost != 0.1 {
		t.Errorf("%+v", b)
	}
}

// TestPause: nobody waits for an endpoint after the run has ended.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quit, end := context.WithCancel(t.Context())
		began := time.Now()
		go func() {
			time.Sleep(time.Second)
			end()
		}()
		if err := (&turn{quit: quit}).pause(t.Context(), time.Hour); !errors.Is(err, errQuit) || time.Since(began) != time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// TestAlone: one asks at a time, and the next may when it is done.
func TestAlone(t *testing.T) {
	c, err := NewCache("")
	if err != nil {
		t.Fatal(err)
	}
	release, ok := c.alone("key", nil)
	if !ok {
		t.Fatal("nobody else asks")
	}
	gone := make(chan struct{})
	close(gone)
	if _, ok := c.alone("key", gone); ok {
		t.Error("two ask at a time")
	}
	if other, ok := c.alone("other", gone); !ok {
		t.Error("another key is taken")
	} else {
		other()
	}
	release()
	if again, ok := c.alone("key", gone); !ok {
		t.Error("the key is never given back")
	} else {
		again()
	}
}
