package jsonread

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
)

func TestReaderNamesThePlace(t *testing.T) {
	for _, tc := range []struct{ name, doc, want string }{
		{"cut in a string", `{"line_items":[{"price":"1`, "$.line_items[0].price"},
		{"wrong type", `{"line_items":[{"price":"1"},{"price":{}}]}`, "$.line_items[1].price"},
		{"bad literal", `{"test":tru}`, "$.test"},
		{"leading zero", `{"id":01}`, "$.id"},
		{"comma missing", `{"id":1 "x":2}`, "$.id"},
		{"control character", "{\"name\":\"a\nb\"}", "control character"},
		{"bad escape", `{"name":"\x"}`, "escape"},
		{"half a pair", `{"name":"\ud83d"}`, "surrogate"},
		{"not utf-8", "{\"name\":\"\xff\"}", "UTF-8"},
		{"something behind", `{"id":1} 2`, "the end"},
		{"too deep", strings.Repeat("[", 100), "nested more"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := New([]byte(tc.doc))
			probe(r)
			if !errors.Is(r.Err(), connectors.ErrMalformed) || !strings.Contains(r.Err().Error(), tc.want) {
				t.Errorf("got %v, want it to name %q", r.Err(), tc.want)
			}
		})
	}
}

// probe reads a document the way the translators do.
func probe(r *Reader) {
	if r.Peek() != '{' {
		r.Skip()
		r.End()
		return
	}
	r.Object()
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "name":
			r.Text()
		case "test":
			r.Boolean()
		case "id":
			r.Integer()
		case "line_items":
			for ok := r.Array(); ok && r.More(); {
				r.Object()
				for key, ok := r.Next(); ok; key, ok = r.Next() {
					if key == "price" {
						r.Number()
					} else {
						r.Skip()
					}
				}
			}
		default:
			r.Skip()
		}
	}
	r.End()
}

func TestReaderIDs(t *testing.T) {
	for doc, want := range map[string]string{
		`9223372036854775807`:             "9223372036854775807",
		`"450789469"`:                     "450789469",
		`"gid://shopify/Order/450789469"`: "450789469",
		`"gid://shopify/InventoryLevel/7?inventory_item_id=3"`: "7",
		`null`:                   "",
		`1.0`:                    "error",
		`1e3`:                    "error",
		`-1`:                     "error",
		`"abc"`:                  "error",
		`"gid://shopify/Order/"`: "error",
		`92233720368547758070`:   "error",
	} {
		r := NewString(doc)
		got := r.ID()
		if r.Err() != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("id of %s = %q, want %q", doc, got, want)
		}
	}
}

func TestInstant(t *testing.T) {
	for _, s := range []string{
		"2008-01-10T11:00:00-05:00", "2026-02-28T23:59:59Z", "2024-02-29T00:00:00+14:00",
		"1969-12-31T23:59:59Z", "2000-03-01T00:00:00.123456Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-00:30",
	} {
		want, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := Instant(s); !ok || got != want.UnixMilli() {
			t.Errorf("Instant(%s) = %d, %v; want %d", s, got, ok, want.UnixMilli())
		}
	}
	for _, s := range []string{
		"", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01 00:00:00Z", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
		"2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+0100", "2026-01-01T00:00:00+01:0",
		"2026-01-01T00:00:00Zjunk", "2026-01-01T00:00:00+25:00", "a026-01-01T00:00:00Z",
	} {
		if ms, ok := Instant(s); ok {
			t.Errorf("Instant(%q) = %d, want a refusal", s, ms)
		}
	}
}

func TestUTC(t *testing.T) {
	want := time.Date(2026, 2, 28, 23, 59, 58, 0, time.UTC).UnixMilli()
	for text, fraction := range map[string]int64{
		"2026-02-28T23:59:58": 0, "2026-02-28 23:59:58": 0, "2026-02-28T23:59:58.25": 250,
		"": -1, "2026-02-28": -1, "2026-02-28T23:59:58Z": -1, "2026-02-28T23:59:58+01:00": -1, "2026-02-30 00:00:00": -1, "0000-00-00 00:00:00": -1,
	} {
		got, ok := UTC(text)
		if ok != (fraction >= 0) || ok && got != want+fraction {
			t.Errorf("UTC(%q) = %d, %v", text, got, ok)
		}
	}
}

// The reader and encoding/json agree on what JSON is, apart from the depth and from text
// that is not UTF-8, which encoding/json lets pass.
func FuzzReader(f *testing.F) {
	for _, s := range []string{`{"id":1,"name":"a\u00e9\n","line_items":[{"price":"1.00"}]}`, `[1,2.5e-3,"x",null,true,{}]`, `"\ud83d\ude00"`, `{"a":`, `-0.0`, `[[[]]]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		r := New(doc)
		r.Skip()
		r.End()
		if got, want := r.Err() == nil, json.Valid(doc); got && !want {
			t.Errorf("%q was taken and is not JSON", doc)
		} else if want && !got && !strings.Contains(r.Err().Error(), "nested more") && !strings.Contains(r.Err().Error(), "UTF-8") {
			t.Errorf("%q is JSON and was refused: %v", doc, r.Err())
		}
		var want string
		s := New(doc)
		if s.Peek() == '"' && json.Unmarshal(doc, &want) == nil {
			if got := s.Text(); s.Err() == nil && got != want {
				t.Errorf("string %q, want %q", got, want)
			}
		}
	})
}

func FuzzInstant(f *testing.F) {
	f.Add("2008-01-10T11:00:00-05:00")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := Instant(s)
		want, err := time.Parse(time.RFC3339, s)
		if ok && err == nil && got != want.UnixMilli() {
			t.Errorf("Instant(%q) = %d, want %d", s, got, want.UnixMilli())
		}
	})
}
