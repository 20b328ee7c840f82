package privacy

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// oracle is the entry that a set of inputs about one request means, whatever their order.
func oracle(inputs []*event.PrivacyInput) *event.PrivacyState {
	s := &event.PrivacyState{Account: "shop", Id: "q"}
	h, _ := newHasher(key)
	people, orders := map[string]bool{}, map[string]bool{}
	for _, in := range inputs {
		if q := in.GetRequest(); q != nil {
			s.Connector, s.Kind = q.Connector, q.Kind
			for _, b := range q.BuyerIds {
				people[h.person("shop", b)] = true
				s.KeyId = h.id
			}
			for _, o := range q.OrderIds {
				orders[o] = true
			}
			asked, due := q.RequestedMs, q.DueMs
			if asked == 0 {
				asked = arrived
			}
			if due == 0 {
				due = asked + defaultTerm.Milliseconds()
			}
			if s.RequestedMs == 0 || asked < s.RequestedMs {
				s.RequestedMs = asked
			}
			if s.DueMs == 0 || due < s.DueMs {
				s.DueMs = due
			}
		}
		if w := in.GetSweep(); w != nil {
			if w.Found > 0 {
				s.Orders, s.ForgottenMs = max(s.Orders, w.Found), max(s.ForgottenMs, w.AtMs)
			} else {
				s.DoneMs = max(s.DoneMs, w.AtMs)
			}
		}
	}
	for b := range people {
		s.Buyers = append(s.Buyers, b)
	}
	for o := range orders {
		s.OrderIds = append(s.OrderIds, o)
	}
	slices.Sort(s.Buyers)
	slices.Sort(s.OrderIds)
	return s
}

func drawInput(t *rapid.T) *event.PrivacyInput {
	small := func(name string) int64 { return rapid.Int64Range(0, 4).Draw(t, name) }
	if small("kind") > 2 {
		return swept("shop", "q", max(0, small("found")-2), 1+small("at"))
	}
	return request(&event.PrivacyRequest{
		Connector: "shopify", Account: "shop", Id: "q", Kind: event.PrivacyKind_PRIVACY_KIND_BUYER,
		BuyerIds:    rapid.SliceOfN(rapid.SampledFrom([]string{"ann", "bo"}), 0, 2).Draw(t, "buyers"),
		OrderIds:    rapid.SliceOfN(rapid.SampledFrom([]string{"1", "2", "3"}), 0, 3).Draw(t, "orders"),
		RequestedMs: small("requested"), DueMs: small("due"),
	})
}

// TestModel feeds random histories of one request, with duplicates, reordered, in batches of any
// cut, with crashes and a Redis that falls back, and compares the entry, the table's topic and
// what the orders room was told with an oracle that knows nothing of arrival.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room, m := newRoom(t)
		inputs := rapid.SliceOfN(rapid.Custom(drawInput), 1, 12).Draw(t, "inputs")
		history := append(slices.Clone(inputs), rapid.SliceOfN(rapid.SampledFrom(inputs), 0, 8).Draw(t, "duplicates")...)
		feed(m, rapid.Permutation(history).Draw(t, "arrival")...)
		run(t, m)

		want, got := oracle(inputs), state(room, m, "shop/q").CloneVT()
		got.Version = nil
		if !got.EqualVT(want) {
			t.Fatalf("request:\ngot  %v\nwant %v", got, want)
		}
		told := map[string]bool{}
		var newest stream.Version
		var last []byte
		for _, o := range m.Emitted {
			switch o.Topic.Name {
			case schemas.OrdersIn.Name:
				told[o.Value.(*event.OrderInput).GetForget().OrderId] = true
			case schemas.PrivacyRequests.Name:
				v, err := stream.ParseVersion(headerOf(o, schemas.HeaderVersion))
				if err != nil {
					t.Fatalf("version: %v", err)
				}
				if !v.Before(newest) {
					newest = v
					if last = o.Bytes; last == nil {
						last, _ = o.Value.MarshalVTStrict()
					}
				}
			default:
				t.Fatalf("a record for %s: %s", o.Topic.Name, o.Headers)
			}
		}
		for _, id := range want.OrderIds {
			if !told[id] {
				t.Fatalf("nobody was told to forget order %s", id)
			}
		}
		if len(told) != len(want.OrderIds) {
			t.Fatalf("told to forget %v, want %v", told, want.OrderIds)
		}
		if now, _ := state(room, m, "shop/q").MarshalVTStrict(); !bytes.Equal(last, now) {
			t.Fatalf("the table's topic says %x, the state %x", last, now)
		}
	})
}

// run drains with crashes and fall-backs of Redis, then once more in peace.
func run(t *rapid.T, m *stream.Memory) {
	var kept any
	for m.Pending() > 0 {
		if rapid.IntRange(0, 3).Draw(t, "keep") == 0 {
			kept = m.Snapshot()
		}
		if _, err := m.Step(rapid.IntRange(1, 5).Draw(t, "batch"), stream.Crash(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "crash"))); err != nil {
			t.Fatalf("step: %v", err)
		}
		if kept != nil && rapid.IntRange(0, 7).Draw(t, "fall back") == 0 {
			m.Restore(kept)
		}
	}
	m.Look()
	if _, err := m.Drain(3); err != nil {
		t.Fatalf("drain: %v", err)
	}
}

func headerOf(o stream.Output, name string) string {
	for _, h := range o.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}
