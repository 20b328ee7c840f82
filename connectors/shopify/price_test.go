package shopify

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/schemas/event"
)

func TestPrices(t *testing.T) {
	for _, currency := range []string{"GBP", ""} { // configured, or asked for
		s := open(t, simulator.Config{}, func(c *Config) { c.Currency = currency })
		p := stocked(s)
		heart, mug := p[0], p[1]
		write := func(variant int64, product int64, minor int64) connectors.PriceWrite {
			w := connectors.PriceWrite{ListingID: stringID(variant), Price: pounds(minor), CommandID: stringID(variant)}
			if product != 0 {
				w.ProductID = stringID(product)
			}
			return w
		}
		dollars := write(mug.Variants[1], mug.ID, 100)
		dollars.Price = &event.Money{Minor: 100, Currency: "USD"}
		word, name := write(mug.Variants[1], mug.ID, 100), write(mug.Variants[1], 0, 100)
		word.ProductID, name.ListingID = "mug", "green"
		nothing := write(mug.Variants[1], mug.ID, 100)
		nothing.Price = nil
		for _, tc := range []struct {
			name   string
			writes []connectors.PriceWrite
			want   []event.Outcome
			shown  map[int64]string
		}{
			{"two products, one of them unnamed", []connectors.PriceWrite{write(heart.Variants[0], 0, 299), write(mug.Variants[0], mug.ID, 1), write(mug.Variants[1], mug.ID, 0)},
				[]event.Outcome{outcomeAccepted, outcomeAccepted, outcomeAccepted}, map[int64]string{heart.Variants[0]: "2.99", mug.Variants[0]: "0.01", mug.Variants[1]: "0.00"}},
			{"the same once more", []connectors.PriceWrite{write(heart.Variants[0], heart.ID, 299)}, []event.Outcome{outcomeAccepted}, map[int64]string{heart.Variants[0]: "2.99"}},
			{"a variant of another product keeps its neighbours from being done", []connectors.PriceWrite{write(mug.Variants[0], mug.ID, 500), write(heart.Variants[0], mug.ID, 500)},
				[]event.Outcome{outcomeNotSent, outcomeRefused}, map[int64]string{mug.Variants[0]: "0.01", heart.Variants[0]: "2.99"}},
			{"a variant that is not there, and a product that is", []connectors.PriceWrite{write(12, 0, 500), write(mug.Variants[0], mug.ID, 600)},
				[]event.Outcome{outcomeRefused, outcomeAccepted}, map[int64]string{mug.Variants[0]: "6.00"}},
			{"a product that is not there", []connectors.PriceWrite{write(mug.Variants[0], 12, 500)}, []event.Outcome{outcomeRefused}, map[int64]string{mug.Variants[0]: "6.00"}},
			{"another currency", []connectors.PriceWrite{dollars}, []event.Outcome{outcomeRefused}, map[int64]string{mug.Variants[1]: "0.00"}},
			{"ids that are none", []connectors.PriceWrite{word, name, write(mug.Variants[0], mug.ID, 600)}, []event.Outcome{outcomeRefused, outcomeRefused, outcomeAccepted}, nil},
			{"no price", []connectors.PriceWrite{nothing}, []event.Outcome{outcomeRefused}, nil},
			{"below nothing", []connectors.PriceWrite{write(mug.Variants[1], mug.ID, -1)}, []event.Outcome{outcomeRefused}, map[int64]string{mug.Variants[1]: "0.00"}},
			{"the same variant twice", []connectors.PriceWrite{write(mug.Variants[1], mug.ID, 7), write(mug.Variants[1], mug.ID, 8)}, []event.Outcome{outcomeAccepted, outcomeNotSent}, map[int64]string{mug.Variants[1]: "0.07"}},
			{"nothing", nil, nil, nil},
		} {
			t.Run(tc.name+" "+currency, func(t *testing.T) {
				results, err := s.conn.Price.PushPrice(t.Context(), tc.writes)
				if len(results) != len(tc.want) {
					t.Fatalf("%d results", len(results))
				}
				for i, r := range results {
					is(t, stringID(int64(i)), r, err, tc.want[i])
				}
				for variant, want := range tc.shown {
					if got := s.Price(variant); got != want {
						t.Errorf("variant %d costs %q, want %q", variant, got, want)
					}
				}
			})
		}
	}
}

// What comes behind an error of the whole connection is not tried, and is not said to be done.
func TestPricesStopWithTheConnection(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	p := stocked(s)
	conn := s.behind(t, docSetPrices.name, 1, func(w http.ResponseWriter, forward func() *httptest.ResponseRecorder) {
		forward()
		w.WriteHeader(http.StatusForbidden)
	})
	results, err := conn.Price.PushPrice(t.Context(), []connectors.PriceWrite{
		{ListingID: stringID(p[0].Variants[0]), ProductID: stringID(p[0].ID), Price: pounds(1)},
		{ListingID: stringID(p[1].Variants[0]), ProductID: stringID(p[1].ID), Price: pounds(1)},
	})
	if err == nil || results[1].Outcome != outcomeNotSent || s.Price(p[1].Variants[0]) != "3.39" {
		t.Errorf("got %+v, %v", results, err)
	}
	if results, err := s.conn.Price.PushPrice(t.Context(), make([]connectors.PriceWrite, maxPage+1)); err == nil || results[0].Outcome != outcomeNotSent {
		t.Errorf("251 prices: %v", err)
	}
}

// Shopify says which price it wrote: another one is not what was wanted.
func TestAPriceThatShopifyChanged(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	p := stocked(s)[1]
	conn := s.behind(t, docSetPrices.name, 1, func(w http.ResponseWriter, _ func() *httptest.ResponseRecorder) {
		_, _ = io.WriteString(w, `{"data":{"productVariantsBulkUpdate":{"productVariants":[{"id":"gid://shopify/ProductVariant/`+stringID(p.Variants[0])+`","price":"4.00"}],"userErrors":[]}}}`)
	})
	results, err := conn.Price.PushPrice(context.Background(), []connectors.PriceWrite{{ListingID: stringID(p.Variants[0]), ProductID: stringID(p.ID), Price: pounds(399)}})
	is(t, "another price", results[0], err, outcomeUnknown)
}
