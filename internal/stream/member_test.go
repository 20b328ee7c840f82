package stream

import (
	"context"
	"errors"
	"testing"

	"github.com/helloword/crossdock/schemas"
)

// TestWhatFailedIsTold and not the cancelled call that it led to.
func TestWhatFailedIsTold(t *testing.T) {
	wrong := errors.New("the state is somebody else's")
	m := member{name: "orders"}
	err := m.run(t.Context(), "room", func(ctx context.Context) error {
		m.fail(wrong)
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, wrong) {
		t.Errorf("the loop ended with %v, want %v", err, wrong)
	}
}

// TestStopWhileStarting is no failure, however early it comes.
func TestStopWhileStarting(t *testing.T) {
	e := newEngines(t, 1)
	topics := []schemas.Topic{sumsIn}
	room, err := NewLoop(newSumRoom(), e.deps)
	if err != nil {
		t.Fatal(err)
	}
	writer, err := NewWriterLoop("orders", topics, newReceiver(t), quick, e.deps)
	if err != nil {
		t.Fatal(err)
	}
	executor, err := NewExecutorLoop("orders", topics, &hands{}, e.deps)
	if err != nil {
		t.Fatal(err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	for name, run := range map[string]func(context.Context) error{"room": room.Run, "writer": writer.Run, "executor": executor.Run} {
		if err := run(stopped); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
