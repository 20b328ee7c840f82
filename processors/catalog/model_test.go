package catalog

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// TestModel feeds random histories with crashes, fall-backs of Redis and notes that arrive
// at any time, and compares with an oracle that decides about every listing at the end,
// from all that was said.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHouse(t, Config{SKUs: []string{"A", "B"}})
		inputs := rapid.SliceOfN(rapid.Custom(drawInput), 1, 25).Draw(t, "inputs")
		for i, in := range inputs {
			if p := in.GetProduct(); p != nil {
				p.UpdatedMs = int64(i + 1) // as they come; late ones have a test of their own
			}
			if d := in.GetProductDeleted(); d != nil {
				d.DeletedMs = int64(i + 1)
			}
			h.append(in)
		}
		h.run(t)

		want := decideAll(inputs)
		gotSKU, gotSold, wantSold := make(map[string]string), h.sold(), make(map[string]string)
		wantSKU := make(map[string]string)
		for id, w := range want {
			wantSKU[id] = w.sku
			gotSKU[id] = h.listing(id).GetResolution().GetSku()
			if w.sku != "" && w.reported && !w.gone {
				wantSold[id] = w.sku
			}
		}
		if diff := cmp.Diff(wantSKU, gotSKU); diff != "" {
			t.Fatalf("SKUs (-want +got):\n%s%v", diff, inputs)
		}
		if diff := cmp.Diff(wantSold, gotSold); diff != "" {
			t.Fatalf("sold (-want +got):\n%s", diff)
		}
		for id, w := range want {
			if w.sku == "" {
				continue
			}
			var told []string
			for k, orders := range h.told() {
				if k[:1] == id {
					told = append(told, orders...)
				}
			}
			for _, order := range w.waiting {
				if !slices.Contains(told, order) {
					t.Fatalf("listing %s has SKU %s, but order %s was never told", id, w.sku, order)
				}
			}
			if l := h.listing(id); len(l.Waiting) > 0 {
				t.Fatalf("listing %v: orders still wait", l)
			}
		}
		h.checkTables(t)
	})
}

func drawInput(t *rapid.T) *event.CatalogInput {
	ids := []string{"K", "L", "M"}
	one := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0:
		return mapping(one("listing", ids...), "", one("sku", "A", "B", "C", ""), rapid.Int64Range(1, 2).Draw(t, "pack"))
	case 1:
		return mapping("", one("platform SKU", "A", "x", "y"), one("sku", "B", "C", ""), 1)
	case 2, 3:
		return park(one("order", "1", "2", "3"), one("listing", ids...), one("platform SKU", "A", "x"))
	case 4:
		return deleted(1)
	default:
		var ls []*event.ListingSnapshot
		for _, id := range ids {
			if rapid.Bool().Draw(t, "has "+id) {
				ls = append(ls, listing(id, one("platform SKU", "A", "B", "x", "y", ""), rapid.SliceOfNDistinct(rapid.SampledFrom([]string{gtinA, gtinB}), 0, 2, rapid.ID[string]).Draw(t, "gtins")...))
			}
		}
		return product(1, ls...)
	}
}

// run handles everything with crashes and fall-backs, delivering notes as they are emitted.
func (h *house) run(t *rapid.T) {
	var kept any
	for rounds := 0; ; rounds++ {
		h.deliver()
		if h.m.Pending() == 0 {
			break
		}
		if rounds > 20_000 {
			t.Fatalf("the room goes on writing notes to itself")
		}
		crash := stream.NoCrash
		if rounds < 60 {
			crash = stream.Crash(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "crash"))
			if rapid.IntRange(0, 5).Draw(t, "keep") == 0 {
				kept = h.m.Snapshot()
			}
		}
		batch := 4
		if rounds < 60 {
			batch = rapid.IntRange(1, 6).Draw(t, "batch")
		}
		if _, err := h.m.Step(batch, crash); err != nil {
			t.Fatalf("step: %v", err)
		}
		if rounds < 60 && kept != nil && rapid.IntRange(0, 9).Draw(t, "fall back") == 0 {
			h.m.Restore(kept)
		}
	}
	h.m.Look()
	h.settle(5)
}

type wanted struct {
	sku            string
	reported, gone bool
	waiting        []string
}

// decideAll decides from everything that was said, in the order of saying, with no index.
func decideAll(inputs []*event.CatalogInput) map[string]*wanted {
	type facts struct {
		psku     string
		gtins    []string
		reported bool
		gone     bool
		waiting  []string
	}
	all := make(map[string]*facts)
	byListing, byPSKU := make(map[string]*event.Mapping), make(map[string]*event.Mapping)
	for _, in := range inputs {
		switch v := in.Input.(type) {
		case *event.CatalogInput_Mapping:
			m := v.Mapping
			switch {
			case m.ListingId != "" && m.Sku == "":
				delete(byListing, m.ListingId)
			case m.ListingId != "":
				byListing[m.ListingId] = m
			case m.Sku == "":
				delete(byPSKU, m.PlatformSku)
			default:
				byPSKU[m.PlatformSku] = m
			}
		case *event.CatalogInput_Park:
			f := all[v.Park.ListingId]
			if f == nil {
				f = &facts{psku: v.Park.PlatformSku}
				all[v.Park.ListingId] = f
			}
			f.waiting = append(f.waiting, v.Park.OrderId)
		case *event.CatalogInput_ProductDeleted:
			for _, f := range all {
				f.gone = f.reported
			}
		case *event.CatalogInput_Product:
			for _, f := range all {
				f.gone = f.reported
			}
			for _, l := range v.Product.Listings {
				f := all[l.Id]
				if f == nil {
					f = &facts{}
					all[l.Id] = f
				}
				f.psku, f.gtins, f.reported, f.gone = l.PlatformSku, nil, true, false
				for _, i := range l.Identifiers {
					f.gtins = append(f.gtins, i.Value)
				}
			}
		}
	}
	type proof struct {
		sku        string
		multiplier int64
	}
	proved := make(map[string]map[proof]bool)
	want := make(map[string]*wanted)
	for id, f := range all {
		w := &wanted{reported: f.reported, gone: f.gone, waiting: f.waiting}
		want[id] = w
		p := proof{}
		if m := byListing[id]; m != nil {
			p = proof{m.Sku, m.Multiplier}
		} else if m := byPSKU[f.psku]; m != nil && f.psku != "" {
			p = proof{m.Sku, m.Multiplier}
		} else if f.psku == "A" || f.psku == "B" {
			p = proof{f.psku, 1}
		}
		w.sku = p.sku
		for _, g := range f.gtins {
			if p.sku != "" && !f.gone {
				if proved[g] == nil {
					proved[g] = make(map[proof]bool)
				}
				proved[g][p] = true
			}
		}
	}
	for id, f := range all {
		if want[id].sku != "" {
			continue
		}
		found := make(map[proof]bool)
		for _, g := range f.gtins {
			for p := range proved[g] {
				found[p] = true
			}
		}
		if len(found) == 1 {
			for p := range found {
				want[id].sku = p.sku
			}
		}
	}
	return want
}

// checkTables: the newest versions on the tables' topics are the state.
func (h *house) checkTables(t *rapid.T) {
	newest, value := make(map[string]stream.Version), make(map[string][]byte)
	for _, o := range h.m.Emitted {
		if o.Topic.Name != schemas.Listings.Name && o.Topic.Name != schemas.CatalogIndex.Name {
			continue
		}
		var v stream.Version
		for _, header := range o.Headers {
			if header.Key == schemas.HeaderVersion {
				v, _ = stream.ParseVersion(string(header.Value))
			}
		}
		k := o.Topic.Name + " " + string(o.Key)
		if v.Before(newest[k]) {
			continue
		}
		newest[k], value[k] = v, o.Bytes
		if o.Bytes == nil {
			value[k], _ = o.Value.MarshalVTStrict()
		}
	}
	for _, table := range h.room.Tables() {
		h.m.Entries(table, func(id string, entry stream.Message) {
			want, _ := entry.MarshalVTStrict()
			if got, ok := value[table.Topic.Name+" "+id]; !ok || !bytes.Equal(got, want) {
				t.Fatalf("%s: its topic says %x, the state %x", id, got, want)
			}
		})
	}
}

// FuzzPrepare: whatever bytes come, they are refused or handled.
func FuzzPrepare(f *testing.F) {
	for _, in := range []*event.CatalogInput{product(1, listing("L", "X", gtinA)), mapping("L", "", "S", 6), mapping("", "X", "S", 1),
		park("1", "L", "X"), settings("shop", "X", &event.ShowPolicy{MaxListed: 1}), deleted(9),
		{Input: &event.CatalogInput_Relook{Relook: &event.Relook{Account: "shop", ListingId: "L", Entries: []string{"wait/shop/L/1"}, Orders: []string{"1"}}}}} {
		b, _ := in.MarshalVTStrict()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		h := newHouse(t, Config{AdoptSKUs: true})
		h.append(product(1, listing("L", "X", gtinA)))
		h.m.Append(stream.Record{Value: value})
		h.m.Append(stream.Record{Value: value})
		if _, err := h.m.Drain(1); err != nil {
			t.Fatal(err)
		}
	})
}
