package stock

import (
	"errors"
	"fmt"
	"testing"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

func TestPrepareRefuses(t *testing.T) {
	room, _ := newRoom(t)
	encode := func(in *event.StockInput) []byte {
		b, err := in.MarshalVTStrict()
		mustNot(t, err)
		return b
	}
	noVersion := move("S", "m", 1, 0, 0)
	noVersion.GetMove().CauseVersion = nil
	for _, c := range []struct {
		name  string
		value []byte
		want  error
	}{
		{"nothing", nil, connectors.ErrUnsupported},
		{"an input of a later version", []byte{9<<3 | 2, 0}, connectors.ErrUnsupported},
		{"no moves", encode(&event.StockInput{Input: &event.StockInput_Moves{Moves: &event.StockMoves{}}}), connectors.ErrUnsupported},
		{"broken bytes", []byte{0xff}, connectors.ErrMalformed},
		{"no SKU", encode(move("", "m", 1, 0, 0)), connectors.ErrMalformed},
		{"no move id", encode(move("S", "", 1, 0, 0)), connectors.ErrMalformed},
		{"no version", encode(noVersion), connectors.ErrMalformed},
		{"negative reservation", encode(move("S", "m", 1, 0, -1)), connectors.ErrMalformed},
		{"absurd figure", encode(move("S", "m", 1, 1<<50, 0)), connectors.ErrMalformed},
		{"absurd loss", encode(move("S", "m", 1, -1<<50, 0)), connectors.ErrMalformed},
		{"a pack of none", encode(link("S", "L", 0, 1, nil)), connectors.ErrMalformed},
		{"no listing", encode(link("S", "", 1, 1, nil)), connectors.ErrMalformed},
		{"outcome of no target", encode(outcome("S", "L", 1, nil, 1)), connectors.ErrMalformed},
		{"one bad move of two", encode(&event.StockInput{Input: &event.StockInput_Moves{Moves: &event.StockMoves{
			Moves: []*event.StockMove{move("S", "m", 1, 1, 0).GetMove(), move("", "m", 1, 1, 0).GetMove()}}}}), connectors.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := room.Prepare(&stream.Record{Topic: schemas.StockIn, Value: c.value}); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// TestTooManyListings: one SKU's level does not grow without bound, and says so.
func TestTooManyListings(t *testing.T) {
	room, m := newRoom(t)
	for i := range maxListings {
		feed(m, link("S", fmt.Sprint(i), 1, int64(i+1), nil))
	}
	_, err := m.Drain(maxListings / 2)
	mustNot(t, err)
	feed(m, link("S", "one too many", 1, 9999, nil))
	_, err = m.Step(1, stream.AfterApply)
	mustNot(t, err)
	out, err := m.Drain(500)
	mustNot(t, err)
	last := out[len(out)-1]
	if n := len(levelOf(room, m, "S").Listings); n != maxListings || last.Topic.Name != schemas.DeadLetters("stock").Name {
		t.Errorf("%d listings, last output on %s; want %d and a dead letter", n, last.Topic.Name, maxListings)
	}
}

// FuzzPrepare: whatever bytes come, they are refused or handled.
func FuzzPrepare(f *testing.F) {
	for _, in := range []*event.StockInput{move("S", "m", 1, 2, 3), link("S", "L", 6, 1, &event.ShowPolicy{Buffer: 1}), outcome("S", "L", 1, &event.Version{Number: 1}, 1)} {
		b, _ := in.MarshalVTStrict()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		_, m := newRoom(t)
		feed(m, count("S", "a", 5), link("S", "L", 1, 1, nil))
		m.Append(stream.Record{Value: value})
		m.Append(stream.Record{Value: value})
		if _, err := m.Drain(1); err != nil {
			t.Fatal(err)
		}
	})
}
