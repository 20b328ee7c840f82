package mailroom

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type note struct {
	Slot
	name     string
	attempts int
}

// TestRoom: what is due is delivered in its time, what fails is tried again, and the room knows
// when nothing is on its way.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var made []string
		r := New(1, 2, func(_ context.Context, n *note) bool {
			mu.Lock()
			defer mu.Unlock()
			made = append(made, n.name)
			if n.attempts--; n.attempts < 0 {
				return false
			}
			n.Due = time.Now().Add(time.Hour)
			return true
		})
		defer r.Close()
		at := func(d time.Duration) Slot { return Slot{time.Now().Add(d)} }
		r.Deliver([]*note{{Slot: at(3 * time.Minute), name: "late"}, {name: "now", attempts: 1}, {Slot: at(time.Minute), name: "soon"}, {name: "then"}})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
		defer cancel()
		if err := r.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) || r.Pending() != 1 {
			t.Errorf("before the second attempt: %v, %d on their way", err, r.Pending())
		}
		if err := r.Drain(t.Context()); err != nil || r.Pending() != 0 {
			t.Errorf("drained: %v, %d on their way", err, r.Pending())
		}
		mu.Lock()
		defer mu.Unlock()
		if want := []string{"now", "then", "soon", "late", "now"}; !slices.Equal(made, want) {
			t.Errorf("made %v, want %v", made, want)
		}
	})
}

// TestClose ends what is under way; nothing is taken afterwards, and nobody waits for ever.
func TestClose(t *testing.T) {
	begun := make(chan struct{})
	r := New(1, 1, func(ctx context.Context, _ *note) bool {
		close(begun)
		<-ctx.Done()
		return true
	})
	r.Deliver([]*note{{name: "endless"}})
	<-begun
	r.Close()
	r.Deliver([]*note{{name: "too late"}})
	if err := r.Drain(t.Context()); err != nil || r.Pending() != 1 {
		t.Errorf("%v, %d on their way, want the one that was cut off", err, r.Pending())
	}
}
