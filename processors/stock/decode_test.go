package stock

import (
	"runtime"
	"slices"
	"testing"
	"weak"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

func encoded(t fataler, in *event.StockInput) []byte {
	t.Helper()
	b, err := in.MarshalVTStrict()
	if err != nil {
		t.Fatalf("encoding: %v", err)
	}
	return b
}

// plain is what a record of one move means by the generated code, nil if it is refused or is
// none.
func plain(t fataler, room *Room, value []byte) *heard {
	t.Helper()
	in := new(event.StockInput)
	if in.UnmarshalVT(value) != nil {
		return nil
	}
	m := in.GetMove()
	if m == nil || checkMove(m) != nil {
		return nil
	}
	h := new(heard)
	h.of(m, room.moveKeys(nil, m))
	return h
}

var compareHeard = cmp.Options{cmp.AllowUnexported(heard{}), cmp.Comparer(func(a, b *stream.Table) bool { return a == b })}

// fullMove is a move with every field.
func fullMove() *event.StockInput {
	in := move("SKU", "order/shop/1", 7, -3, 1<<40)
	in.EventId = []byte("0123456789abcdef")
	m := in.GetMove()
	m.Warehouse, m.Kind, m.OccurredMs, m.Note, m.CauseVersion.Epoch = "north", event.MoveKind_MOVE_KIND_CORRECTION, 1, "a note", 2
	return in
}

// TestHearKnowsAllOfAMove: a field added to the schema is not forgotten by hear.
func TestHearKnowsAllOfAMove(t *testing.T) {
	full := fullMove()
	fields := full.GetMove().ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if !full.GetMove().ProtoReflect().Has(fields.Get(i)) {
			t.Errorf("teach fullMove the field %s", fields.Get(i).Name())
		}
	}
	byDefault, byName, bare := move("S", "m", 1, 0, 2), move("S", "m", 1, 0, 2), move("S", "m", 0, 0, 0)
	byName.GetMove().Warehouse = "main"
	bare.GetMove().Kind = event.MoveKind_MOVE_KIND_UNSPECIFIED
	for _, warehouse := range []string{"", "w|%"} {
		room, err := New(Config{Warehouse: warehouse})
		mustNot(t, err)
		for name, in := range map[string]*event.StockInput{
			"every field": full, "default warehouse": byDefault, "default warehouse by its name": byName, "of no kind": bare,
			"a count": count("S", "a", 1), "realistic": realistic(1, 4000), "separators in the move": move("S", "a|b%", 1, 0, 1),
		} {
			value := encoded(t, in)
			got, want := room.hear(value), plain(t, room, value)
			clear(value) // the record's buffer is used again
			if diff := cmp.Diff(want, got, compareHeard); want == nil || diff != "" {
				t.Errorf("%s, default warehouse %q (-want +got):\n%s", name, warehouse, diff)
			}
		}
	}
}

// TestHearLeavesWhatItDoesNotKnow to the generated code, and what is to be refused.
func TestHearLeavesWhatItDoesNotKnow(t *testing.T) {
	room, _ := newRoom(t)
	field := func(to []byte, number byte, value ...byte) []byte {
		return append(append(to, number<<3|2, byte(len(value))), value...)
	}
	one := encoded(t, move("S", "m", 1, 0, 1))
	version := []byte{1 << 3, 5}
	inside := func(more ...byte) []byte { return field(nil, 1, append(slices.Clone(one[2:]), more...)...) }
	noVersion := move("S", "m", 1, 0, 1)
	noVersion.GetMove().CauseVersion = nil
	for name, value := range map[string][]byte{
		"nothing":                  nil,
		"only an event id":         field(nil, 15, 1, 2, 3),
		"a link":                   encoded(t, link("S", "L", 1, 1, nil)),
		"a move and a link":        slices.Concat(one, encoded(t, link("S", "L", 1, 1, nil))),
		"two moves":                slices.Concat(one, one),
		"a field of later":         append(slices.Clone(one), 9<<3, 1),
		"a field of later in it":   inside(10<<3, 1),
		"two versions":             inside(field(nil, 4, version...)...),
		"a figure that is a text":  inside(field(nil, 6, 'x')...),
		"a SKU that is a figure":   inside(1<<3, 1),
		"a fixed number":           inside(6<<3|5, 0, 0, 0, 0),
		"a group":                  inside(3<<3|3, 3<<3|4),
		"cut off":                  one[:len(one)-1],
		"no SKU":                   encoded(t, move("", "m", 1, 0, 1)),
		"no id":                    encoded(t, move("S", "", 1, 0, 1)),
		"no version":               encoded(t, noVersion),
		"too many":                 encoded(t, move("S", "m", 1, maxFigure+1, 0)),
		"too few":                  encoded(t, move("S", "m", 1, -maxFigure-1, 0)),
		"less than none reserved":  encoded(t, move("S", "m", 1, 0, -1)),
		"too many reserved":        encoded(t, move("S", "m", 1, 0, maxFigure+1)),
		"a SKU to be escaped":      encoded(t, move("S|", "m", 1, 0, 1)),
		"another one":              encoded(t, move("%", "m", 1, 0, 1)),
		"a version of later parts": inside(field(nil, 4, 3<<3, 1)...),
	} {
		if got := room.hear(value); got != nil {
			t.Errorf("%s: heard %+v", name, got)
		}
	}
}

// TestHearAgreesWithTheGenerated code wherever it has a word, however the bytes are damaged.
func TestHearAgreesWithTheGenerated(t *testing.T) {
	room, _ := newRoom(t)
	all := encoded(t, fullMove())
	for n := range all {
		agree(t, room, all[:n])
	}
	rapid.Check(t, func(t *rapid.T) {
		value := slices.Clone(all)
		for range rapid.IntRange(0, 4).Draw(t, "damages") {
			at := rapid.IntRange(0, len(value)-1).Draw(t, "at")
			switch rapid.IntRange(0, 2).Draw(t, "damage") {
			case 0:
				value[at] = rapid.Byte().Draw(t, "byte")
			case 1:
				value = slices.Delete(value, at, at+1)
			default:
				value = slices.Insert(value, at, rapid.Byte().Draw(t, "byte"))
			}
		}
		agree(t, room, value)
	})
}

func FuzzHear(f *testing.F) {
	room, _ := newRoom(f)
	f.Add(encoded(f, fullMove()))
	f.Add(encoded(f, move("S", "m", 1, 0, 1)))
	f.Fuzz(func(t *testing.T, value []byte) { agree(t, room, value) })
}

func agree(t fataler, room *Room, value []byte) {
	t.Helper()
	got := room.hear(value)
	if got == nil {
		return
	}
	if diff := cmp.Diff(plain(t, room, value), got, compareHeard); diff != "" {
		t.Fatalf("%x (-generated +heard):\n%s", value, diff)
	}
}

// remembering is a room that watches the levels it puts.
type remembering struct {
	*Room
	levels []weak.Pointer[event.StockLevel]
}

func (r *remembering) Apply(tx *stream.Tx, rec *stream.Record, in stream.Input) error {
	err := r.Room.Apply(tx, rec, in)
	if level, _ := tx.Get(in.Keys[0]).(*event.StockLevel); level != nil {
		r.levels = append(r.levels, weak.Make(level))
	}
	return err
}

// TestOldLevelsAreForgotten: a level shares warehouses, listings and versions with those before
// it, and keeps none of them from being collected.
func TestOldLevelsAreForgotten(t *testing.T) {
	room, _ := newRoom(t)
	watched := &remembering{Room: room}
	sr, err := stream.NewRoom(watched, "test")
	mustNot(t, err)
	m := stream.NewMemory(sr, schemas.StockIn)
	feed(m, count("S", "opening", 10), link("S", "L", 1, 1, nil), link("S", "M", 1, 1, &event.ShowPolicy{MaxListed: 3}))
	const moves = 300
	for i := range moves {
		in := move("S", "m", int64(i+1), 0, int64(i%25))
		in.GetMove().Warehouse = []string{"main", "north", "south"}[i%3]
		feed(m, in)
	}
	for m.Pending() > 0 {
		_, err := m.Step(1, stream.NoCrash)
		mustNot(t, err)
		m.Emitted = nil
	}
	runtime.GC()
	alive := 0
	for _, l := range watched.levels {
		if l.Value() != nil {
			alive++
		}
	}
	// The newest, the one of its alarm, and what the loop's reused memory still names.
	if len(watched.levels) < moves || alive > 20 {
		t.Errorf("of %d levels %d are still there", len(watched.levels), alive)
	}
	if got := levelOf(room, m, "S"); len(got.Warehouses) != 3 || len(got.Listings) != 2 {
		t.Errorf("level %v: want three warehouses, two listings", got)
	}
}
