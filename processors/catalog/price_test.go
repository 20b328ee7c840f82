package catalog

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

func priced(account, sku, listing string) *event.CatalogInput {
	return &event.CatalogInput{Input: &event.CatalogInput_Command{Command: &event.Command{
		Id: "depot/p", Account: account, RequestedMs: 5,
		Action: &event.Command_Price{Price: &event.PriceChange{Sku: sku, ListingId: listing, Amount: &event.Amount{Value: &event.Decimal{Unscaled: 125, Scale: 1}, Currency: "GBP"}}},
	}}}
}

// prices are what the commands room was told, once each: key, listing, product and refusal.
func prices(outputs []stream.Output) (all []string) {
	for _, o := range outputs {
		if o.Topic.Name != schemas.CommandsIn.Name {
			continue
		}
		c := o.Value.(*event.CommandInput).GetCommand()
		all = append(all, string(o.Key)+" "+c.GetPrice().ListingId+" "+c.GetPrice().ProductId+" "+c.RefusalCode)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestPriceReachesEveryListing: a SKU's price goes to each listing of it on the account, and to
// no other account's; one that sells several at once is refused by name, and so is a SKU that
// nobody sells there. A listing's price goes to it, known or not.
func TestPriceReachesEveryListing(t *testing.T) {
	for name, tt := range map[string]struct {
		ask  *event.CatalogInput
		want []string
	}{
		"a SKU":                   {priced("uk", "S", ""), []string{"price:uk/1 1 P ", "price:uk/2 2 P ", "price:uk/6 6 Q pack"}},
		"on another account":      {priced("de", "S", ""), []string{"price:de/9 9 R "}},
		"that nobody sells there": {priced("de", "T", ""), []string{"price:de/sku:T sku:T  no-listing"}},
		"a listing":               {priced("uk", "", "6"), []string{"price:uk/6 6 Q "}},
		"one that nobody told of": {priced("uk", "", "77"), []string{"price:uk/77 77  "}},
		"one of another SKU":      {priced("uk", "T", "1"), []string{"price:uk/1 1 P no-listing"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, Config{SKUs: []string{"S", "T"}})
			h.tell(
				selling("uk", "P", "1", "2"),
				selling("uk", "Q", "6"),
				selling("de", "R", "9"),
				&event.CatalogInput{Input: &event.CatalogInput_Mapping{Mapping: &event.Mapping{Account: "uk", ListingId: "6", Sku: "S", Multiplier: 6, Author: "x"}}},
			)
			before := len(h.m.Emitted)
			h.tell(tt.ask)
			if d := cmp.Diff(tt.want, prices(h.m.Emitted[before:])); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestPriceAfterACrash: whatever was emitted before it, it is told again, and the same.
func TestPriceAfterACrash(t *testing.T) {
	for _, crash := range []stream.Crash{stream.AfterApply, stream.AfterEmit} {
		h := newHouse(t, Config{SKUs: []string{"S"}})
		h.tell(selling("uk", "P", "1", "2"))
		h.append(priced("uk", "S", ""))
		if _, err := h.m.Step(1, crash); err != nil {
			t.Fatal(err)
		}
		h.settle(1)
		if d := cmp.Diff([]string{"price:uk/1 1 P ", "price:uk/2 2 P "}, prices(h.m.Emitted)); d != "" {
			t.Errorf("crash %d (-want +got):\n%s", crash, d)
		}
	}
}

func TestPriceRefused(t *testing.T) {
	noPrice, noID := priced("uk", "S", ""), priced("uk", "S", "")
	noPrice.GetCommand().Action = &event.Command_Cancellation{Cancellation: &event.Cancellation{}}
	noID.GetCommand().Id = ""
	for _, in := range []*event.CatalogInput{noPrice, noID, priced("", "S", ""), priced("uk", "", "")} {
		h := newHouse(t, Config{})
		h.append(in)
		out, err := h.m.Step(1, stream.NoCrash)
		if err != nil || len(out) != 1 || out[0].Topic.Name != schemas.DeadLetters("catalog").Name {
			t.Errorf("%v: %v, %v", in, out, err)
		}
	}
}

// selling is a product whose listings all carry SKU S.
func selling(account, id string, listings ...string) *event.CatalogInput {
	p := &event.Product{Connector: "shop", Account: account, Id: id, UpdatedMs: 1}
	for _, l := range listings {
		p.Listings = append(p.Listings, &event.ListingSnapshot{Id: l, PlatformSku: "S", Stocked: true})
	}
	return &event.CatalogInput{Input: &event.CatalogInput_Product{Product: p}}
}
