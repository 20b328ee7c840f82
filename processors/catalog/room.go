package catalog

import (
	"errors"
	"fmt"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// Config of the room. It is part of the fold: after a change, look at everything again
// (a ListingSettings record without account and SKU does that).
type Config struct {
	// AdoptSKUs takes every platform SKU for one of ours. Without it only those in SKUs are.
	AdoptSKUs bool
	SKUs      []string
	// Locations to push to, by account; else the listing's first.
	Locations map[string]string
	// Policy of listings that no settings concern; nil shows all that is available.
	Policy *event.ShowPolicy
}

// Normalise brings an identifier to the form in which equal things are equal. global is
// false for numbers that mean something else at every shop. An error: it is none.
type Normalise func(kind event.IdentifierKind, text string) (canonical string, global bool, err error)

// Room is the catalog room.
type Room struct {
	cfg             Config
	own             map[string]bool
	normalise       Normalise
	listings, index *stream.Table
}

// New makes the room.
func New(cfg Config, normalise Normalise) (*Room, error) {
	if normalise == nil {
		return nil, errors.New("catalog: no normal form for identifiers")
	}
	if err := checkPolicy(cfg.Policy); err != nil {
		return nil, fmt.Errorf("catalog: default policy: %w", err)
	}
	r := &Room{
		cfg: cfg, normalise: normalise, own: make(map[string]bool, len(cfg.SKUs)),
		listings: &stream.Table{
			Name: "listings", Topic: schemas.Listings,
			New: func() stream.Message { return new(event.Listing) },
		},
		index: &stream.Table{
			Name: "index", Topic: schemas.CatalogIndex,
			New: func() stream.Message { return new(event.CatalogEntry) },
		},
	}
	for _, s := range cfg.SKUs {
		r.own[s] = true
	}
	return r, nil
}

// Name is the stage's name.
func (*Room) Name() string { return "catalog" }

// Inputs is catalog.in.
func (*Room) Inputs() []schemas.Topic { return []schemas.Topic{schemas.CatalogIn} }

// Tables is listings and index.
func (r *Room) Tables() []*stream.Table { return []*stream.Table{r.listings, r.index} }

// Listings is the table of listings; its entries' ids are account/listing.
func (r *Room) Listings() *stream.Table { return r.listings }

// Index is the table of the index; its entries' ids are kind/value.
func (r *Room) Index() *stream.Table { return r.index }

// Prepare decodes, and names every entry that the record alone shows to be needed.
func (r *Room) Prepare(rec *stream.Record) (stream.Input, error) {
	in := new(event.CatalogInput)
	if err := in.UnmarshalVT(rec.Value); err != nil {
		return stream.Input{}, fmt.Errorf("decoding a catalog input: %w: %w", connectors.ErrMalformed, err)
	}
	k := keys{room: r}
	switch v := in.Input.(type) {
	case *event.CatalogInput_Product:
		p := v.Product
		if p.GetAccount() == "" || p.Id == "" || p.UpdatedMs <= 0 {
			return stream.Input{}, incomplete("product", "account, id or time of change")
		}
		k.add(productID(p.Account, p.Id))
		for _, s := range p.Listings {
			if s.Id == "" {
				return stream.Input{}, incomplete("a listing of product "+p.Account+"/"+p.Id, "id")
			}
			k.listing(p.Account, s.Id)
			k.add(r.decisive(snapshotListing(p, s))...)
			k.add(settled(p.Account, s.PlatformSku)...)
		}
	case *event.CatalogInput_ProductDeleted:
		d := v.ProductDeleted
		if d.GetAccount() == "" || d.Id == "" {
			return stream.Input{}, incomplete("deleted product", "account or id")
		}
		k.add(productID(d.Account, d.Id))
	case *event.CatalogInput_Mapping:
		m := v.Mapping
		if m.GetListingId() == "" && m.GetPlatformSku() == "" || m.ListingId != "" && m.Account == "" {
			return stream.Input{}, incomplete("mapping", "account and listing, or platform SKU")
		}
		if m.Sku != "" && (m.Multiplier < 0 || m.Multiplier > maxMultiplier) {
			return stream.Input{}, fmt.Errorf("mapping of %s to SKU %s: multiplier %d: %w", mappingID(m), m.Sku, m.Multiplier, connectors.ErrMalformed)
		}
		k.add(mappingID(m))
	case *event.CatalogInput_Park:
		p := v.Park
		if p.GetAccount() == "" || p.OrderId == "" || p.ListingId == "" {
			return stream.Input{}, incomplete("question for a SKU", "account, order or listing")
		}
		k.listing(p.Account, p.ListingId)
		k.add(r.decisive(&event.Listing{Account: p.Account, Id: p.ListingId, PlatformSku: p.PlatformSku})...)
		k.add(settled(p.Account, p.PlatformSku)...)
		k.add(waitID(p.Account, p.ListingId, spillOf(p.OrderId)))
	case *event.CatalogInput_Settings:
		s := v.Settings
		if err := checkPolicy(s.GetPolicy()); err != nil {
			return stream.Input{}, fmt.Errorf("settings of account %q, SKU %q: %w", s.GetAccount(), s.GetSku(), err)
		}
		if s == nil {
			return stream.Input{}, incomplete("settings", "content")
		}
		k.add(policyID(s.Account, s.Sku))
		k.add(concerned(s)...)
	case *event.CatalogInput_Relook:
		l := v.Relook
		if l.GetAccount() == "" || l.ListingId == "" {
			return stream.Input{}, incomplete("note to look again", "account or listing")
		}
		k.listing(l.Account, l.ListingId)
		k.add(l.Entries...)
	case *event.CatalogInput_Command:
		if err := checkPrice(v.Command); err != nil {
			return stream.Input{}, err
		}
		if p := v.Command.GetPrice(); p.ListingId == "" {
			k.add(skuID(p.Sku))
		} else {
			k.listing(v.Command.Account, p.ListingId)
		}
	default:
		return stream.Input{}, fmt.Errorf("catalog input of a kind that this version does not know: upgrade and redrive: %w", connectors.ErrUnsupported)
	}
	return stream.Input{Keys: k.keys, Value: in}, nil
}

func incomplete(what, part string) error {
	return fmt.Errorf("%s without %s: %w", what, part, connectors.ErrMalformed)
}

// maxMultiplier bounds a pack: more is a mistake.
const maxMultiplier = 1_000_000

func checkPolicy(p *event.ShowPolicy) error {
	if p.GetBuffer() < 0 || p.GetBufferBp() < 0 || p.GetBufferBp() > 10_000 || p.GetMaxListed() < 0 {
		return fmt.Errorf("buffer %d, buffer_bp %d (at most 10000), max_listed %d: none may be negative: %w",
			p.GetBuffer(), p.GetBufferBp(), p.GetMaxListed(), connectors.ErrMalformed)
	}
	return nil
}

// Apply handles one input.
func (r *Room) Apply(tx *stream.Tx, _ *stream.Record, in stream.Input) error {
	s := newSight(r, tx, in)
	switch v := in.Value.(*event.CatalogInput).Input.(type) {
	case *event.CatalogInput_Product:
		s.product(v.Product)
	case *event.CatalogInput_ProductDeleted:
		s.productDeleted(v.ProductDeleted)
	case *event.CatalogInput_Mapping:
		s.mapping(v.Mapping)
	case *event.CatalogInput_Park:
		s.park(v.Park)
	case *event.CatalogInput_Settings:
		s.settings(v.Settings)
	case *event.CatalogInput_Relook:
		if len(v.Relook.Orders) > 0 {
			s.release(v.Relook, true)
		} else {
			s.relook(v.Relook)
		}
	case *event.CatalogInput_Command:
		s.price(v.Command)
	}
	return nil
}

// Repeat emits the entries as they stand, answers again, and notes every listing concerned
// to be looked at again: whatever the first time led to comes out of that.
func (r *Room) Repeat(tx *stream.Tx, _ *stream.Record, in stream.Input) error {
	s := newSight(r, tx, in)
	for k := range s.distinct(in.Keys) {
		tx.Again(k)
		if k.Table == r.index {
			s.noteMembers(s.entry(k.ID), "")
		}
	}
	switch v := in.Value.(*event.CatalogInput).Input.(type) {
	case *event.CatalogInput_Product:
		for _, l := range v.Product.Listings {
			s.again(v.Product.Account, l.Id)
		}
		id := productID(v.Product.Account, v.Product.Id)
		s.noteLeaving(v.Product.Account, id, s.entry(id))
	case *event.CatalogInput_ProductDeleted:
		id := productID(v.ProductDeleted.Account, v.ProductDeleted.Id)
		s.noteLeaving(v.ProductDeleted.Account, id, s.entry(id))
	case *event.CatalogInput_Mapping:
		s.noteMapped(v.Mapping)
	case *event.CatalogInput_Park:
		if !s.answer(v.Park) {
			// It may have been answered, and the listing have lost its SKU since.
			s.ask(v.Park)
		}
		s.again(v.Park.Account, v.Park.ListingId)
	case *event.CatalogInput_Settings:
		s.noteConcerned(v.Settings)
	case *event.CatalogInput_Command:
		s.price(v.Command)
	case *event.CatalogInput_Relook:
		if len(v.Relook.Orders) > 0 {
			s.release(v.Relook, false)
			return nil
		}
		if l := s.listing(v.Relook.Account, v.Relook.ListingId); l != nil {
			if _, missing := s.decide(l); len(missing) > 0 {
				s.note(l.Account, l.Id, missing)
			}
			s.tell(l)
			s.tellWaiting(l)
			s.releaseSpilled(l, v.Relook.Entries)
		}
	}
	return nil
}
