package amazon

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/money"
)

// PushPrice sets the price for everybody in the marketplaces that trade in the price's
// currency. Answers are as of PushStock: ACCEPTED is received, and applied within minutes.
func (p *pusher) PushPrice(ctx context.Context, writes []connectors.PriceWrite) ([]connectors.Result, error) {
	return p.submit(ctx, len(writes), func(i int) submission {
		w := writes[i]
		s := submission{sku: w.ListingID, urgency: connectors.Normal}
		text, err := money.Format(provider, w.Price)
		if err != nil || w.Price.GetMinor() < 0 {
			s.refused = fmt.Sprintf("the price cannot be written: %d smallest units of %q", w.Price.GetMinor(), w.Price.GetCurrency())
			return s
		}
		// The selectors marketplace_id, currency and audience say which of the listing's offers is
		// meant; merge leaves the others, and the rest of this one, as they are.
		s.patch = patch{Op: "merge", Path: "/attributes/purchasable_offer"}
		for _, id := range p.cfg.Marketplaces {
			if m, _ := marketplaceByID(id); m.currency == w.Price.Currency {
				s.markets = append(s.markets, id)
				s.patch.Value = append(s.patch.Value, map[string]any{
					"marketplace_id": id, "currency": m.currency, "audience": "ALL",
					"our_price": []any{map[string]any{"schedule": []any{map[string]any{"value_with_tax": json.Number(text)}}}},
				})
			}
		}
		if len(s.markets) == 0 {
			s.refused = "no marketplace of this connection trades in " + w.Price.Currency
		}
		return s
	})
}
