package stream

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

func TestEntryComesBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.Int64()
		e := entry{&event.Claim{OnHand: n.Draw(rt, "a"), Reserved: n.Draw(rt, "b")}, lineage{
			Version{n.Draw(rt, "e"), n.Draw(rt, "v")}, Version{n.Draw(rt, "pe"), n.Draw(rt, "pv")}, n.Draw(rt, "since")}}
		stored, message, err := encodeEntry(&e, new(arena))
		if err != nil {
			rt.Fatal(err)
		}
		got, err := decodeEntry(tableA, stored)
		if err != nil || got.lineage != e.lineage || !sameClaim(got.value.(*event.Claim), e.value.(*event.Claim)) {
			rt.Fatalf("%v came back as %v, %v", e, got, err)
		}
		c := new(event.Claim)
		if err := c.UnmarshalVT(message); err != nil || !sameClaim(c, e.value.(*event.Claim)) {
			rt.Fatalf("the message is %v, %v", c, err)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	stored, _, _ := encodeEntry(&entry{&event.Claim{OnHand: 7}, lineage{Version{0, 5}, Version{0, 3}, 4}}, nil)
	f.Add(stored)
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(tableA, b)
		if (e.value == nil) != (err != nil) {
			t.Errorf("%x: %v, %v", b, e, err)
		}
	})
}

func FuzzParseVersion(f *testing.F) {
	f.Add("0.-1")
	f.Add("3.17")
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := ParseVersion(s); err == nil {
			if again, err := ParseVersion(v.String()); err != nil || again != v {
				t.Errorf("%q = %v, again %v, %v", s, v, again, err)
			}
		}
	})
}

func FuzzParseOrigin(f *testing.F) {
	f.Add("sums.in.v1/3/77")
	f.Fuzz(func(t *testing.T, s string) {
		if o, err := parseOrigin(s); err == nil {
			if again, err := parseOrigin(Origin("t", 1, o)); err != nil || again != o {
				t.Errorf("%q = %d, again %d, %v", s, o, again, err)
			}
		}
	})
}

func TestVersionOrder(t *testing.T) {
	ordered := []Version{noEntry.version, {0, 0}, {0, 9}, {0, 10}, {1, -1}, {1, 0}}
	for i, a := range ordered {
		for j, b := range ordered {
			if a.Before(b) != (i < j) {
				t.Errorf("%v before %v = %v", a, b, a.Before(b))
			}
		}
	}
}

// TestCacheModel: it forgets between batches, never within one; what it says is what was put last;
// and it is bounded.
func TestCacheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const each = slotCost + 1 + decoded*50
		limit := rapid.IntRange(0, 5).Draw(rt, "limit") * each
		c, last, named := newCache(limit), make(map[Key]int64), make(map[Key]*slot)
		for i := range rapid.IntRange(1, 80).Draw(rt, "actions") {
			k := Key{tableA, string(rune('a' + rapid.IntRange(0, 12).Draw(rt, "key")))}
			switch rapid.IntRange(0, 9).Draw(rt, "action") {
			case 0:
				c.clear()
				clear(last)
				clear(named)
			case 1, 2:
				c.turn()
				clear(named)
			case 3, 4, 5:
				s := c.slot(k)
				s.entry, s.loaded = entry{lineage: lineage{since: int64(i)}}, true
				c.weigh(s, 50)
				last[k], named[k] = int64(i), s
			default:
				s := c.slot(k)
				if before := named[k]; before != nil && s != before {
					rt.Fatalf("%s has two slots in one batch", k.ID)
				}
				named[k] = s
				if s.loaded && s.since != last[k] {
					rt.Fatalf("%s = %d, put last: %d", k.ID, s.since, last[k])
				}
				if c.find(k) != s {
					rt.Fatalf("%s is not found", k.ID)
				}
			}
			size := 0
			for _, s := range c.young {
				size += s.cost
			}
			if size != c.size {
				rt.Fatalf("counted %d bytes, it has %d", c.size, size)
			}
			// What was there when the batch began, below the limit, and what the batch brought.
			if most := max(limit, 1) + (len(named)+1)*each; c.size > most {
				rt.Fatalf("%d bytes with a limit of %d and %d slots in the batch", c.size, limit, len(named))
			}
		}
	})
}

func TestNewRoomRefuses(t *testing.T) {
	other := sumsIn
	other.Name = "other.v1"
	loose := sumsIn
	loose.Stateful = false
	for says, f := range map[string]Fold{
		"no input topic":               shaped{newSumRoom(), nil},
		"rewind repeats the same":      shaped{newSumRoom(), []schemas.Topic{sumsIn, other}},
		"its partition count is not p": shaped{newSumRoom(), []schemas.Topic{loose}},
	} {
		if _, err := NewRoom(f, "test"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("room with inputs %v: %v, want an error that says %q", f.Inputs(), err, says)
		}
	}
}

type shaped struct {
	*sumRoom
	inputs []schemas.Topic
}

func (s shaped) Inputs() []schemas.Topic { return s.inputs }

type coded struct{}

func (coded) Error() string          { return "too dear" }
func (coded) DeadLetterCode() string { return "price" }

func TestDeadLetterCodes(t *testing.T) {
	for want, err := range map[string]error{
		"price": fmt.Errorf("order 7: %w", coded{}), "unknown-version": fmt.Errorf("v9: %w", ErrUnknownVersion), "malformed": errors.New("no"),
	} {
		if got := deadLetterCode(err); got != want {
			t.Errorf("code of %v = %q, want %q", err, got, want)
		}
	}
}

// TestDeadLetterIsBounded: the reason can hold outside bytes of any length and kind.
func TestDeadLetterIsBounded(t *testing.T) {
	r := &Record{Topic: sumsIn, Headers: []Header{{Key: schemas.HeaderAccount, Value: []byte("a\xff" + strings.Repeat("é", 5000))}}}
	d := newDeadLetter("orders", "v1", r, errors.New("\xff"+strings.Repeat("é", 5000)))
	for _, s := range []string{d.Reason, d.Account} {
		if !utf8.ValidString(s) || len(s) > 1010 || s == "" {
			t.Errorf("%d bytes, valid = %v", len(s), utf8.ValidString(s))
		}
	}
	o := deadLetterOf("orders", r, d)
	if header(o.Headers, schemas.HeaderAccount) != string(r.Headers[0].Value) {
		t.Error("the record's own headers are not what they were")
	}
}

func TestLatestReplacesWithinABatch(t *testing.T) {
	b := batch{}
	add := func(key string, n int, latest bool, mark int) {
		b.outs = append(b.outs, pending{Output: Output{Topic: sumsOut, Key: []byte(key), Bytes: []byte{byte('0' + n)}, Latest: latest}, mark: mark})
	}
	add("a", 1, true, -1)
	add("a", 2, false, -1)
	add("b", 3, true, -1)
	add("a", 4, true, -1)
	add("a", 5, true, 0)  // a duplicate's
	add("b", 6, true, -1) // a table's
	b.drop(len(b.outs)-1, []bool{false})
	if b.duplicates != 1 {
		t.Errorf("%d duplicates, want 1", b.duplicates)
	}
	var got []string
	for _, o := range b.outputs() {
		got = append(got, string(o.Key)+string(o.Bytes))
	}
	if s := strings.Join(got, " "); s != "a2 b3 a4 b6" {
		t.Errorf("emitted %s, want a2 b3 a4 b6", s)
	}
}
