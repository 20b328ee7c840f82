package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// decision is what follows for a listing from the entries.
type decision struct {
	deleted    bool
	resolution *event.Resolution // without mapping version; nil = none
	reason     string
	policy     *event.ShowPolicy
}

// decide decides about a listing, or says which entries that takes: all of them, when the
// record did not name them all.
func (s *sight) decide(l *event.Listing) (d decision, needs []string) {
	needs = append(s.room.decisive(l), l.Stale...)
	if s.unseen(needs) {
		return d, append(needs, settled(l.Account, l.Resolution.GetSku())...)
	}
	if l.ProductId != "" {
		_, listed := slices.BinarySearch(s.entry(productID(l.Account, l.ProductId)).GetListings(), l.Id)
		d.deleted = !listed
	}
	d.resolution, d.reason = s.match(l)
	sku := d.resolution.GetSku()
	needs = append(needs, settled(l.Account, sku)...)
	if was := l.Resolution.GetSku(); was != "" && was != sku {
		needs = append(needs, skuID(was))
	}
	if s.unseen(needs) {
		return d, needs
	}
	d.policy = s.policy(l.Account, sku)
	return d, nil
}

// match is the decision itself: the first rule that applies. It never guesses.
func (s *sight) match(l *event.Listing) (*event.Resolution, string) {
	ids := []string{mapID(l.Account, l.Id)}
	if l.PlatformSku != "" {
		ids = append(ids, mapSKUID(l.Account, l.PlatformSku), mapSKUID("", l.PlatformSku))
	}
	for _, id := range ids {
		if m := s.entry(id).GetMapping(); m != nil {
			return &event.Resolution{Sku: m.Sku, Multiplier: max(1, m.Multiplier), Rule: event.MatchRule_MATCH_RULE_EXPLICIT}, ""
		}
	}
	if l.PlatformSku != "" && (s.room.cfg.AdoptSKUs || s.room.own[l.PlatformSku]) {
		return &event.Resolution{Sku: l.PlatformSku, Multiplier: 1, Rule: event.MatchRule_MATCH_RULE_SKU}, ""
	}
	var found []*event.CatalogMember
	for _, id := range s.room.identities(l) {
		e := s.entry(id)
		if len(e.GetMembers()) >= maxMembers {
			return nil, fmt.Sprintf("%s is carried by %d listings or more: it identifies none; map this one", strings.TrimPrefix(id, kindID), maxMembers)
		}
		for _, m := range e.GetMembers() {
			if m.Listing != listingID(l.Account, l.Id) { // what it was proves nothing about itself
				found = append(found, m)
			}
		}
	}
	switch found = proofs(found); len(found) {
	case 0:
		return nil, "no mapping, no SKU of ours, no identifier of a known SKU: map it"
	case 1:
		return &event.Resolution{Sku: found[0].Sku, Multiplier: found[0].Multiplier, Rule: event.MatchRule_MATCH_RULE_IDENTIFIER}, ""
	default:
		return nil, fmt.Sprintf("its identifiers are carried by SKU %s (%d in one) and SKU %s (%d in one): map it",
			found[0].Sku, found[0].Multiplier, found[1].Sku, found[1].Multiplier)
	}
}

// policy is what the merchant wants of a listing: the settings that name it most closely.
func (s *sight) policy(account, sku string) *event.ShowPolicy {
	var ids []string
	if sku != "" {
		ids = append(ids, policyID(account, sku), policyID("", sku))
	}
	for _, id := range append(ids, policyID(account, ""), policyID("", "")) {
		if p := s.entry(id).GetPolicy(); p != nil {
			return p
		}
	}
	return s.room.cfg.Policy
}

// look decides about a listing whose facts may have changed from old, puts what changed,
// and tells the other rooms. When the record does not show enough, it leaves a note.
func (s *sight) look(old, l *event.Listing) {
	d, needs := s.decide(l)
	if len(needs) > 0 {
		// Its SKU is as it was, but what else the stock room knows of it may have changed.
		relinked := s.relink(old, l)
		if !l.EqualVT(old) {
			l.Version = s.tx.Version()
			s.put(l)
		}
		if relinked {
			s.tell(l)
		}
		s.note(l.Account, l.Id, needs)
		return
	}
	stale, was := l.Stale, l.Resolution.GetSku()
	l.Deleted, l.Policy, l.UnresolvedReason, l.Stale = d.deleted, d.policy, d.reason, nil
	if d.resolution == nil {
		l.Resolution = nil
	} else if r := d.resolution; r.Sku != was || r.Multiplier != l.Resolution.GetMultiplier() || r.Rule != l.Resolution.GetRule() {
		// The same SKU on other evidence is no new mapping.
		r.MappingVersion = flat(s.tx.Version())
		if r.Sku == was && r.Multiplier == l.Resolution.GetMultiplier() {
			r.MappingVersion = l.Resolution.MappingVersion
		}
		l.Resolution = r
	}
	relinked := s.relink(old, l)
	if !l.EqualVT(old) {
		l.Version = s.tx.Version()
		s.put(l)
	}
	for _, id := range slices.Concat(s.room.decisive(l), stale, settled(l.Account, l.Resolution.GetSku())) {
		s.reconcile(id, l)
	}
	if was != "" && was != l.Resolution.GetSku() {
		s.reconcile(skuID(was), l)
	}
	if relinked {
		s.tell(l)
	}
	s.tellWaiting(l)
}

// flat makes one number of a version. 2^40 records of one partition are more than ever are.
func flat(v *event.Version) int64 { return v.GetEpoch()<<40 + v.GetNumber() }

// linkOf is what the stock room is to know of a listing; nil while it is none of its
// business: not reported by its platform, without stock there, without SKU, or gone.
func (r *Room) linkOf(l *event.Listing) *event.ListingLink {
	if l == nil || l.UpdatedMs == 0 || l.Deleted || !l.Stocked || l.Resolution.GetSku() == "" {
		return nil
	}
	link := &event.ListingLink{
		Sku: l.Resolution.Sku, Connector: l.Connector, Account: l.Account, ListingId: l.Id,
		StockId: l.StockId, Multiplier: l.Resolution.Multiplier, Policy: l.Policy,
		Location: r.cfg.Locations[l.Account],
	}
	if link.Location == "" && len(l.Locations) > 0 {
		link.Location = l.Locations[0]
	}
	return link
}

// maxFormer bounds the SKUs remembered as left: a repetition tells no more than these.
const maxFormer = 16

// relink notes in l that its link differs from old's, if it does.
func (s *sight) relink(old, l *event.Listing) bool {
	before, now := s.room.linkOf(old), s.room.linkOf(l)
	if before.EqualVT(now) {
		return false
	}
	if before != nil && before.Sku != now.GetSku() && !slices.Contains(l.FormerSkus, before.Sku) {
		l.FormerSkus = append(slices.Clone(l.FormerSkus), before.Sku)
		l.FormerSkus = l.FormerSkus[max(0, len(l.FormerSkus)-maxFormer):]
	}
	if now != nil {
		l.FormerSkus = slices.DeleteFunc(slices.Clone(l.FormerSkus), func(sku string) bool { return sku == now.Sku })
	}
	l.LinkVersion = s.tx.Version()
	return true
}

// tell tells the stock room which SKU a listing sells, and which it sells no longer.
func (s *sight) tell(l *event.Listing) {
	if l.LinkVersion == nil {
		return
	}
	for _, sku := range l.FormerSkus {
		s.link(&event.ListingLink{
			Sku: sku, Connector: l.Connector, Account: l.Account, ListingId: l.Id,
			Unlinked: true, Version: l.LinkVersion,
		})
	}
	if link := s.room.linkOf(l); link != nil {
		link.Version = l.LinkVersion
		s.link(link)
	}
}

func (s *sight) link(link *event.ListingLink) {
	s.tx.Emit(stream.Output{
		Topic: schemas.StockIn, Key: []byte(link.Sku),
		Value: &event.StockInput{Input: &event.StockInput_Link{Link: link}},
	})
}
