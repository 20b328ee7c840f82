package catalog

import (
	"slices"
	"strings"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// product takes a snapshot, unless a newer one was taken.
func (s *sight) product(p *event.Product) {
	id := productID(p.Account, p.Id)
	if p.UpdatedMs < s.entry(id).GetUpdatedMs() {
		return
	}
	names := make([]string, 0, len(p.Listings))
	for _, l := range p.Listings {
		names = append(names, l.Id)
	}
	slices.Sort(names)
	s.replaceListings(p.Account, id, slices.Compact(names), p.UpdatedMs)
	for _, snapshot := range p.Listings {
		old := s.listing(p.Account, snapshot.Id)
		l := snapshotListing(p, snapshot)
		s.inherit(old, l)
		s.look(old, l)
	}
}

// productDeleted: all its listings are gone.
func (s *sight) productDeleted(d *event.ProductDeleted) {
	id := productID(d.Account, d.Id)
	e := s.entry(id)
	if e == nil || d.DeletedMs < e.UpdatedMs {
		return
	}
	s.replaceListings(d.Account, id, nil, d.DeletedMs)
}

// replaceListings makes a product's listings those named, and has those looked at again
// that are gone from it.
func (s *sight) replaceListings(account, id string, names []string, updatedMs int64) {
	var after *event.CatalogEntry
	s.change(id, func(e *event.CatalogEntry) bool {
		var leaving []string
		for _, name := range slices.Concat(e.Leaving, e.Listings) {
			if _, stays := slices.BinarySearch(names, name); !stays {
				leaving = append(leaving, name)
			}
		}
		slices.Sort(leaving)
		leaving = slices.Compact(leaving)
		if e.UpdatedMs == updatedMs && slices.Equal(e.Listings, names) && slices.Equal(e.Leaving, leaving) {
			return false
		}
		e.Listings, e.Leaving, e.UpdatedMs = names, leaving, updatedMs
		after = e
		return true
	})
	s.noteLeaving(account, id, after)
}

// snapshotListing is what a snapshot says of one listing.
func snapshotListing(p *event.Product, l *event.ListingSnapshot) *event.Listing {
	return &event.Listing{
		Connector: p.Connector, Account: p.Account, Id: l.Id, ProductId: p.Id,
		StockId: l.StockId, PlatformSku: l.PlatformSku, Identifiers: l.Identifiers,
		Price: l.Price, Stocked: l.Stocked, Title: l.Title, Locations: l.Locations,
		UpdatedMs: p.UpdatedMs,
	}
}

// inherit gives a listing's new snapshot what the room knows of it, and notes the entries
// that name it for what it was.
func (s *sight) inherit(old, l *event.Listing) {
	if old == nil {
		return
	}
	l.Resolution, l.Version, l.LinkVersion = old.Resolution, old.Version, old.LinkVersion
	l.Deleted, l.UnresolvedReason, l.Policy = old.Deleted, old.UnresolvedReason, old.Policy
	l.Waiting, l.WaitingSpilled = old.Waiting, old.WaitingSpilled
	l.FormerSkus, l.Stale = old.FormerSkus, old.Stale
	now := s.room.carried(l)
	for _, id := range s.room.carried(old) {
		if !slices.Contains(now, id) {
			l.Stale, _ = with(l.Stale, id, true, 1<<30)
		}
	}
}

// mapping takes somebody's word. What the configuration says does not override what an
// operator said; an empty SKU takes the word back.
func (s *sight) mapping(m *event.Mapping) {
	s.change(mappingID(m), func(e *event.CatalogEntry) bool {
		if e.Mapping != nil && e.Mapping.Author != configured && m.Author == configured {
			return false
		}
		said := m
		if m.Sku == "" {
			said = nil
		}
		if e.Mapping.EqualVT(said) {
			return false
		}
		e.Mapping = said
		return true
	})
	s.noteMapped(m)
}

// configured is the author of mappings that stand in the configuration.
const configured = "config"

// noteMapped has the listings looked at again that a mapping concerns.
func (s *sight) noteMapped(m *event.Mapping) {
	if m.ListingId != "" {
		s.note(m.Account, m.ListingId, nil)
		return
	}
	s.noteListed(s.entry(mappingID(m)), "")
}

// settings takes the merchant's rules.
func (s *sight) settings(in *event.ListingSettings) {
	s.change(policyID(in.Account, in.Sku), func(e *event.CatalogEntry) bool {
		if e.Policy.EqualVT(in.Policy) {
			return false
		}
		e.Policy = in.Policy
		return true
	})
	s.noteConcerned(in)
}

// concerned are the entries that list the listings which settings are for.
func concerned(in *event.ListingSettings) []string {
	if in.Sku != "" {
		return []string{skuID(in.Sku)}
	}
	ids := make([]string, spread)
	for n := range ids {
		ids[n] = allID(uint32(n))
	}
	return ids
}

func (s *sight) noteConcerned(in *event.ListingSettings) {
	for _, id := range concerned(in) {
		s.noteListed(s.entry(id), in.Account)
	}
}

// relook looks at a listing again, with the entries that the note names.
func (s *sight) relook(n *event.Relook) {
	old := s.listing(n.Account, n.ListingId)
	if old == nil {
		return // never heard of: its first snapshot will find what was said about it
	}
	l := copyListing(old)
	s.look(old, l)
	for _, id := range n.Entries {
		if strings.HasPrefix(id, kindProduct) {
			s.reconcile(id, l) // one that the listing has left, perhaps for another
		}
	}
	s.releaseSpilled(l, n.Entries)
}

// note leaves a note to look at a listing again.
func (s *sight) note(account, listing string, entries []string) {
	s.emitNote(&event.Relook{Account: account, ListingId: listing, Entries: entries})
}

func (s *sight) emitNote(n *event.Relook) {
	s.tx.Emit(stream.Output{
		Topic: schemas.CatalogIn, Key: []byte(listingID(n.Account, n.ListingId)),
		Value: &event.CatalogInput{Input: &event.CatalogInput_Relook{Relook: n}},
	})
}

// again tells what a listing's entry says, and leaves a note with the entries that it needs
// as it is now.
func (s *sight) again(account, listing string) {
	if l := s.listing(account, listing); l != nil {
		s.tell(l)
		s.note(account, listing, slices.Concat(s.room.decisive(l), l.Stale, settled(account, l.Resolution.GetSku())))
	}
}

// noteListed leaves a note for every listing (of the account, unless that is empty) that an
// entry names.
func (s *sight) noteListed(e *event.CatalogEntry, account string) {
	for _, name := range e.GetListings() {
		of, id, _ := strings.Cut(name, "/")
		if account == "" || of == account {
			s.note(of, id, nil)
		}
	}
}

// noteMembers leaves a note for everyone, but one, who has no SKU except through this
// identifier.
func (s *sight) noteMembers(e *event.CatalogEntry, but string) {
	for _, m := range e.GetMembers() {
		if m.Sku == "" && m.Listing != but {
			account, id, _ := strings.Cut(m.Listing, "/")
			s.note(account, id, nil)
		}
	}
}

// noteLeaving leaves a note for every listing that is gone from a product.
func (s *sight) noteLeaving(account, product string, e *event.CatalogEntry) {
	for _, id := range e.GetLeaving() {
		s.note(account, id, []string{product})
	}
}

// copyListing copies a listing's own fields; what they point to is shared.
func copyListing(l *event.Listing) *event.Listing {
	return &event.Listing{
		Connector: l.Connector, Account: l.Account, Id: l.Id, ProductId: l.ProductId, StockId: l.StockId,
		PlatformSku: l.PlatformSku, Identifiers: l.Identifiers, Price: l.Price, Stocked: l.Stocked,
		Resolution: l.Resolution, Version: l.Version, Deleted: l.Deleted, Title: l.Title,
		Locations: l.Locations, Waiting: l.Waiting, UnresolvedReason: l.UnresolvedReason,
		Policy: l.Policy, UpdatedMs: l.UpdatedMs, LinkVersion: l.LinkVersion,
		FormerSkus: l.FormerSkus, WaitingSpilled: l.WaitingSpilled, Stale: l.Stale,
	}
}
