package calls

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
)

// shelf is a token store for one name.
type shelf struct {
	value []byte
	err   error
}

func (s *shelf) Load(context.Context, string) ([]byte, error) { return s.value, s.err }

func (s *shelf) Save(_ context.Context, _ string, value []byte) error {
	if s.err == nil {
		s.value = value
	}
	return s.err
}

func (*shelf) Lock(context.Context, string) (func(), error) { return func() {}, nil }

// TestJournal: what was saved is loaded; what cannot be read is permanent, and not an empty one.
func TestJournal(t *testing.T) {
	ctx, s := context.Background(), &shelf{}
	j, err := LoadJournal[int](ctx, s, "x/1", "look")
	if err != nil || len(j) != 0 {
		t.Fatalf("the first time: %v, %v", j, err)
	}
	j["a"] = 1
	if err := j.Save(ctx, s, "x/1"); err != nil {
		t.Fatal(err)
	}
	again, err := LoadJournal[int](ctx, s, "x/1", "look")
	if diff := cmp.Diff(j, again); diff != "" || err != nil {
		t.Errorf("what was saved: %s %v", diff, err)
	}
	s.value = []byte("{")
	if _, err := LoadJournal[int](ctx, s, "x/1", "look"); !errors.Is(err, connectors.ErrPermanent) {
		t.Errorf("a journal that cannot be read: %v", err)
	}
	s.err = errors.New("disk full")
	if _, err := LoadJournal[int](ctx, s, "x/1", "look"); !errors.Is(err, s.err) {
		t.Errorf("a store that fails: %v", err)
	}
	if err := j.Save(ctx, s, "x/1"); !errors.Is(err, s.err) {
		t.Errorf("a store that fails: %v", err)
	}
}
