package catalog

import (
	"fmt"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// Prices pass through here because only the catalog knows which listings a SKU has. Nothing is
// kept of them: what becomes of a price is the commands room's matter, which drops what it has
// heard before.

// Codes of prices that no platform is asked for.
const (
	codeNoListing = "no-listing"
	codePack      = "pack"
)

func checkPrice(c *event.Command) error {
	p := c.GetPrice()
	if p == nil {
		return fmt.Errorf("command %q is no price: the catalog has nothing to do with it: %w", c.GetId(), connectors.ErrUnsupported)
	}
	if c.Id == "" || c.Account == "" || p.Sku == "" && p.ListingId == "" {
		return incomplete("price", "id, account, or SKU and listing")
	}
	return nil
}

// price hands a price on. For a SKU it becomes a note for each of the account's listings, since
// what a listing is can only be seen by a record that names it.
func (s *sight) price(c *event.Command) {
	if p := c.GetPrice(); p.ListingId != "" {
		s.priceOf(c, p)
		return
	}
	sku, found := c.GetPrice().Sku, false
	for _, name := range s.entry(skuID(sku)).GetListings() {
		account, listing, _ := strings.Cut(name, "/")
		if account != c.Account {
			continue
		}
		found = true
		s.tx.Emit(stream.Output{
			Topic: schemas.CatalogIn, Key: []byte(name),
			Value: &event.CatalogInput{Input: &event.CatalogInput_Command{Command: pricing(c, listing, "")}},
		})
	}
	if !found {
		n := pricing(c, "sku:"+sku, "")
		n.RefusalCode, n.Refusal = codeNoListing, fmt.Sprintf("no listing of account %s is known to sell SKU %s: poll its products, or map the listing", c.Account, sku)
		s.send(n)
	}
}

// priceOf is the price of one listing. A SKU's price is that of one unit: what a pack of several
// costs does not follow from it.
func (s *sight) priceOf(c *event.Command, p *event.PriceChange) {
	l := s.listing(c.Account, p.ListingId)
	product := p.ProductId
	if product == "" {
		product = l.GetProductId()
	}
	n := pricing(c, p.ListingId, product)
	if p.Sku != "" {
		switch r := l.GetResolution(); {
		case l.GetDeleted() || r.GetSku() != p.Sku:
			n.RefusalCode, n.Refusal = codeNoListing, fmt.Sprintf("listing %s/%s no longer sells SKU %s", c.Account, p.ListingId, p.Sku)
		case r.Multiplier > 1:
			n.RefusalCode, n.Refusal = codePack, fmt.Sprintf("listing %s/%s sells %d of SKU %s at once: say its price by listing", c.Account, p.ListingId, r.Multiplier, p.Sku)
		}
	}
	s.send(n)
}

func (s *sight) send(c *event.Command) {
	s.tx.Emit(stream.Output{
		Topic: schemas.CommandsIn, Key: []byte(schemas.CommandKey(c.Account, "", c.GetPrice().ListingId)),
		Value: &event.CommandInput{Input: &event.CommandInput_Command{Command: c}},
	})
}

// pricing is the command for one listing.
func pricing(c *event.Command, listing, product string) *event.Command {
	p := c.GetPrice()
	return &event.Command{
		Id: c.Id, Account: c.Account, RequestedMs: c.RequestedMs, Origin: c.Origin,
		Action: &event.Command_Price{Price: &event.PriceChange{Sku: p.Sku, ListingId: listing, ProductId: product, Amount: p.Amount}},
	}
}
