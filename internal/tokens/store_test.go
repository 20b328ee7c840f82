package tokens

import (
	"context"
	"errors"
	"testing"
)

func TestLockEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	one, two := w.store(), w.store()
	unlock, err := one.Lock(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	un, err := two.Lock(ctx, "shop")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	un() // safe although the lock was not had
	other, err := two.Lock(t.Context(), "shop-de")
	if err != nil {
		t.Error("another token must not wait:", err)
	}
	other()
	unlock()
	again, err := two.Lock(t.Context(), "shop")
	if err != nil {
		t.Error(err)
	}
	again()
}
