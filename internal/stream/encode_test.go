package stream

import (
	"bytes"
	"strings"
	"testing"

	"github.com/helloword/crossdock/schemas/event"
)

// TestEncode: messages of every size come out as the generated code would write them, whatever
// is left of a chunk, and none touches another's bytes.
func TestEncode(t *testing.T) {
	a := new(arena)
	type made struct{ got, want []byte }
	var all []made
	for i := range 400 {
		m := &event.StockMove{Sku: strings.Repeat("s", i*i%40_000), MoveId: "m", OnHand: int64(i), CauseVersion: &event.Version{Number: int64(i)}}
		if i%57 == 0 {
			m.Note = strings.Repeat("long", 80_000) // larger than a chunk
		}
		head := []byte(strings.Repeat("h", i%7))
		want, err := m.MarshalVTStrict()
		if err != nil {
			t.Fatal(err)
		}
		got, message, err := a.encode(head, m)
		if err != nil || !bytes.Equal(message, want) || !bytes.Equal(got, append(head, want...)) {
			t.Fatalf("message %d of %d bytes: got %d, %v", i, len(want), len(message), err)
		}
		if cap(got) != len(got) || cap(message) != len(message) {
			t.Fatalf("message %d: an append would write over its neighbour", i)
		}
		all = append(all, made{got, append(head, want...)})
	}
	for i, m := range all {
		if !bytes.Equal(m.got, m.want) {
			t.Errorf("message %d was written over", i)
		}
	}
	a.release()
}
