package catalog

import (
	"math/bits"
	"slices"
	"strings"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// maxWaiting orders stand in the listing itself; more of them in entries of their own.
const maxWaiting = 16

// maxReleased orders are released by one note.
const maxReleased = 100

// park answers an order's question at once, or remembers it.
func (s *sight) park(p *event.ParkRequest) {
	if s.answer(p) {
		return
	}
	old := s.listing(p.Account, p.ListingId)
	var l *event.Listing
	if old == nil {
		// Nobody has reported the listing yet. The order tells what it can be known by.
		l = &event.Listing{Account: p.Account, Id: p.ListingId, PlatformSku: p.PlatformSku}
	} else {
		l = copyListing(old)
	}
	s.wait(l, p.OrderId)
	if old == nil {
		s.look(nil, l)
	} else if !l.EqualVT(old) {
		l.Version = s.tx.Version()
		s.put(l)
	}
}

// wait remembers that an order waits for l.
func (s *sight) wait(l *event.Listing, order string) {
	if slices.Contains(l.Waiting, order) {
		return
	}
	if len(l.Waiting) < maxWaiting {
		l.Waiting, _ = with(l.Waiting, order, true, maxWaiting)
		return
	}
	n := spillOf(order)
	s.change(waitID(l.Account, l.Id, n), func(e *event.CatalogEntry) (changed bool) {
		e.Waiting, changed = with(e.Waiting, order, true, 1<<30)
		return changed
	})
	l.WaitingSpilled |= 1 << n
}

// answer tells an order the SKU of a listing, if it has one.
func (s *sight) answer(p *event.ParkRequest) bool {
	r := s.listing(p.Account, p.ListingId).GetResolution()
	if r.GetSku() == "" {
		return false
	}
	s.resolved(p.Account, p.OrderId, p.ListingId, r)
	return true
}

// ask puts an order's question again, as a new record.
func (s *sight) ask(p *event.ParkRequest) {
	s.tx.Emit(stream.Output{
		Topic: schemas.CatalogIn, Key: []byte(listingID(p.Account, p.ListingId)),
		Value: &event.CatalogInput{Input: &event.CatalogInput_Park{Park: p}},
	})
}

func (s *sight) resolved(account, order, listing string, r *event.Resolution) {
	s.tx.Emit(stream.Output{
		Topic: schemas.OrdersIn, Key: []byte(account + "/" + order),
		Value: &event.OrderInput{Input: &event.OrderInput_LineResolved{LineResolved: &event.LineResolved{
			Account: account, OrderId: order, ListingId: listing, Resolution: r,
		}}},
	})
}

// tellWaiting leaves notes to release the orders that wait for a listing with a SKU. The
// notes name the orders: forgetting them and telling them is one and the same record, so
// that its repetition can tell them again.
func (s *sight) tellWaiting(l *event.Listing) {
	if l.Resolution.GetSku() == "" {
		return
	}
	s.noteRelease(l, l.Waiting, nil)
	if l.WaitingSpilled == 0 {
		return
	}
	var entries []string
	for rest := l.WaitingSpilled; rest != 0; rest &= rest - 1 {
		entries = append(entries, waitID(l.Account, l.Id, uint32(bits.TrailingZeros64(rest))))
	}
	if s.unseen(entries) {
		s.note(l.Account, l.Id, slices.Concat(entries, s.room.decisive(l), settled(l.Account, l.Resolution.Sku)))
	}
}

// releaseSpilled leaves notes to release the orders of the named entries that hold some.
func (s *sight) releaseSpilled(l *event.Listing, ids []string) {
	if l.Resolution.GetSku() == "" {
		return
	}
	for _, id := range ids {
		if strings.HasPrefix(id, kindWait) {
			s.noteRelease(l, s.entry(id).GetWaiting(), []string{id})
		}
	}
}

func (s *sight) noteRelease(l *event.Listing, orders, entries []string) {
	for chunk := range slices.Chunk(orders, maxReleased) {
		s.emitNote(&event.Relook{Account: l.Account, ListingId: l.Id, Entries: entries, Orders: chunk})
	}
}

// release tells the orders that a note names the listing's SKU, and forgets them.
func (s *sight) release(n *event.Relook, forget bool) {
	old := s.listing(n.Account, n.ListingId)
	r := old.GetResolution()
	if r.GetSku() == "" {
		if !forget {
			// Forgotten, perhaps never told, and the listing has lost its SKU since.
			for _, order := range n.Orders {
				s.ask(&event.ParkRequest{Account: n.Account, OrderId: order, ListingId: n.ListingId, PlatformSku: old.GetPlatformSku()})
			}
		}
		return // otherwise they wait on
	}
	for _, order := range n.Orders {
		s.resolved(n.Account, order, n.ListingId, r)
	}
	if !forget {
		return
	}
	l := copyListing(old)
	for _, order := range n.Orders {
		l.Waiting, _ = with(l.Waiting, order, false, 0)
		for _, id := range n.Entries {
			s.change(id, func(e *event.CatalogEntry) (changed bool) {
				e.Waiting, changed = with(e.Waiting, order, false, 0)
				return changed
			})
			if spill := spillOf(order); id == waitID(l.Account, l.Id, spill) && len(s.entry(id).GetWaiting()) == 0 {
				l.WaitingSpilled &^= 1 << spill
			}
		}
	}
	if !l.EqualVT(old) {
		l.Version = s.tx.Version()
		s.put(l)
	}
}
