package orders

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// TestModel feeds random histories of one order, with duplicates, reordered, in batches of
// any cut, with crashes and a Redis that falls back, and compares with an oracle that
// looks at the set of what was said and knows nothing of arrival.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room, m := newRoom(t)
		inputs := rapid.SliceOfN(rapid.Custom(drawInput), 1, 12).Draw(t, "inputs")
		again := rapid.SliceOfN(rapid.IntRange(0, len(inputs)-1), 0, 10).Draw(t, "duplicates")
		history := slices.Clone(inputs)
		for _, i := range again {
			history = append(history, inputs[i])
		}
		feed(m, rapid.Permutation(history).Draw(t, "arrival")...)
		run(t, m)

		got, want := content(state(room, m)), oracle(inputs)
		if !got.EqualVT(want) {
			t.Fatalf("order:\ngot  %v\nwant %v", got, want)
		}
		if diff := cmp.Diff(oracleFigures(want), nonZero(figures(m.Emitted))); diff != "" {
			t.Fatalf("stock (-want +got):\n%s", diff)
		}
		checkTable(t, room, m)
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

// checkTable: the newest version on the table's topic is the state.
func checkTable(t *rapid.T, room *Room, m *stream.Memory) {
	var newest stream.Version
	var last []byte
	for _, o := range m.Emitted {
		if o.Topic.Name != schemas.Orders.Name {
			continue
		}
		v, err := stream.ParseVersion(string(headerOf(o, schemas.HeaderVersion)))
		if err != nil {
			t.Fatalf("version: %v", err)
		}
		if v.Before(newest) {
			continue
		}
		newest, last = v, o.Bytes
		if last == nil {
			last, _ = o.Value.MarshalVTStrict()
		}
	}
	want, _ := state(room, m).MarshalVTStrict()
	if !bytes.Equal(last, want) {
		t.Fatalf("the table's topic says %x, the state %x", last, want)
	}
}

func headerOf(o stream.Output, name string) []byte {
	for _, h := range o.Headers {
		if h.Key == name {
			return h.Value
		}
	}
	return nil
}

var listings = []string{"L", "M", "N"}

func drawInput(t *rapid.T) *event.OrderInput {
	small := func(name string) int64 { return rapid.Int64Range(0, 4).Draw(t, name) }
	drawResolution := func() *event.Resolution {
		v := small("mapping")
		if v == 0 {
			return nil
		}
		// A mapping version names one mapping.
		return resolution(fmt.Sprint("SKU", v%3), 1+v%2, v)
	}
	drawRefund := func() *event.Refund {
		r := refund(rapid.SampledFrom([]string{"r1", "r2"}).Draw(t, "refund"), rapid.SampledFrom([]string{"0", "1"}).Draw(t, "line"),
			small("refunded"), event.Restock(rapid.Int32Range(1, 3).Draw(t, "restock")))
		r.Note = rapid.SampledFrom([]string{"", "for Ann", "for Bo"}).Draw(t, "note")
		if small("shipping") == 0 {
			r.Shipping = &event.Money{Minor: 1, Currency: "GBP"}
		}
		return r
	}
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		return refunded(drawRefund())
	case 1:
		r := drawResolution()
		if r == nil {
			r = resolution("SKU1", 1, 7)
		}
		return resolved(rapid.SampledFrom(listings).Draw(t, "listing"), r.Sku, r.Multiplier, r.MappingVersion)
	case 2:
		return forget(1 + small("forgotten"))
	default:
		o := order(1000+small("updated"), func(o *event.Order) {
			o.Total.Minor = small("total")
			if small("cancelled") == 0 {
				o.CancelledMs = 9
			}
			o.Test = rapid.IntRange(0, 9).Draw(t, "test") == 0
			o.PaymentStatus = event.PaymentStatus(small("paid"))
			if who := rapid.SampledFrom([]string{"", "Ann", "Bo"}).Draw(t, "buyer"); who != "" {
				o.BuyerId, o.Personal = "b-"+who, &event.PersonalData{Name: who, Email: who + "@example.com"}
				o.Destination = &event.Destination{Country: "GB", PostcodePrefix: "M1"}
			}
			if small("refunds") == 0 {
				o.Refunds = []*event.Refund{drawRefund()}
			}
		})
		byListing := make(map[string]*event.Resolution)
		for i := range rapid.IntRange(0, 2).Draw(t, "lines") {
			listing := rapid.SampledFrom(listings).Draw(t, "listing")
			if _, ok := byListing[listing]; !ok {
				byListing[listing] = drawResolution()
			}
			l := line(fmt.Sprint(i), listing, small("quantity"), small("fulfilled"), byListing[listing])
			l.Stocked = rapid.IntRange(0, 5).Draw(t, "stocked") > 0
			o.Lines = append(o.Lines, l)
		}
		return snapshot(o)
	}
}

// oracle is the order that a set of inputs means.
func oracle(inputs []*event.OrderInput) *event.Order {
	var base *event.Order
	refunds := make(map[string]*event.Refund)
	told := make(map[string]map[string]*event.Resolution) // listing, SKU: oldest mapping
	var forgottenMs int64
	keep := func(r *event.Refund) {
		if old := refunds[r.Id]; old == nil || compareRefunds(r, old) > 0 {
			refunds[r.Id] = r
		}
	}
	tell := func(listing string, r *event.Resolution) {
		if r == nil {
			return
		}
		if told[listing] == nil {
			told[listing] = make(map[string]*event.Resolution)
		}
		if old := told[listing][r.Sku]; old == nil || r.MappingVersion < old.MappingVersion {
			told[listing][r.Sku] = r
		}
	}
	for _, in := range inputs {
		switch v := in.Input.(type) {
		case *event.OrderInput_Snapshot:
			if base == nil || newer(v.Snapshot, base) {
				base = v.Snapshot
			}
			for _, r := range v.Snapshot.Refunds {
				keep(r)
			}
			for _, l := range v.Snapshot.Lines {
				tell(l.ListingId, l.Resolution)
			}
		case *event.OrderInput_Refund:
			keep(v.Refund)
		case *event.OrderInput_LineResolved:
			tell(v.LineResolved.ListingId, v.LineResolved.Resolution)
		case *event.OrderInput_Forget:
			if at := v.Forget.AtMs; forgottenMs == 0 || at < forgottenMs {
				forgottenMs = at
			}
		}
	}
	o := &event.Order{Account: "shop", Id: "1"}
	if base != nil {
		o = base.CloneVT()
	} else if len(refunds) > 0 {
		o.Connector = "shopify"
	}
	o.Refunds = nil
	for _, id := range []string{"r1", "r2"} {
		if r := refunds[id]; r != nil {
			o.Refunds = append(o.Refunds, r.CloneVT())
		}
	}
	if o.ForgottenMs = forgottenMs; forgottenMs != 0 {
		o.BuyerId, o.Personal = "", nil
		if o.Destination != nil {
			o.Destination.PostcodePrefix = ""
		}
		for _, r := range o.Refunds {
			r.Note = ""
		}
	}
	shown := make(map[[2]string]bool)
	for _, l := range o.Lines {
		l.Resolution = nil
		for _, sku := range []string{"SKU0", "SKU1", "SKU2"} {
			if r := told[l.ListingId][sku]; r != nil && (l.Resolution == nil || r.MappingVersion < l.Resolution.MappingVersion) {
				l.Resolution = r
			}
		}
		shown[[2]string{l.ListingId, l.Resolution.GetSku()}] = true
		o.Parked = o.Parked || l.Stocked && l.Resolution == nil
	}
	for _, listing := range listings {
		for _, sku := range []string{"SKU0", "SKU1", "SKU2"} {
			if r := told[listing][sku]; r != nil && !shown[[2]string{listing, sku}] {
				o.Known = append(o.Known, &event.LineResolved{ListingId: listing, Resolution: r})
			}
		}
	}
	return o
}

// oracleFigures restates the arithmetic of stock, unit by unit.
func oracleFigures(o *event.Order) map[string][2]int64 {
	got := make(map[string][2]int64)
	if o.Test {
		return got
	}
	for _, l := range o.Lines {
		if !l.Stocked || l.Resolution == nil {
			continue
		}
		cancels, returns := int64(0), int64(0)
		for _, r := range o.Refunds {
			for _, rl := range r.Lines {
				if rl.OrderLineId == l.Id && rl.Restock == event.Restock_RESTOCK_CANCEL {
					cancels += rl.Quantity
				}
				if rl.OrderLineId == l.Id && rl.Restock == event.Restock_RESTOCK_RETURN {
					returns += rl.Quantity
				}
			}
		}
		open, gone := l.Quantity-cancels-l.Fulfilled, l.Fulfilled
		for ; returns > 0; returns-- {
			if gone > 0 {
				gone--
			} else {
				open--
			}
		}
		if open < 0 || o.CancelledMs != 0 {
			open = 0
		}
		f := got[l.Resolution.Sku]
		f[0] -= gone * l.Resolution.Multiplier
		f[1] += open * l.Resolution.Multiplier
		got[l.Resolution.Sku] = f
	}
	return nonZero(got)
}
