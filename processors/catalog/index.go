package catalog

import (
	"hash/fnv"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas/event"
)

// Kinds of index entries, the first part of their ids.
//
//	product/<account>/<id>           listings of a product; leaving, updated_ms
//	map/<account>/<listing>          mapping of one listing
//	mapsku/<account>/<platform SKU>  mapping of a platform SKU (account empty: anywhere); listings
//	id/<canonical identifier>        members that carry it
//	sku/<SKU>                        listings that sell it
//	policy/<account>/<SKU>           what the merchant wants to show; empty parts are wildcards
//	wait/<account>/<listing>/<n>     orders that wait for a listing's SKU
//	all/<n>                          every listing there is, spread
const (
	kindProduct = "product/"
	kindMap     = "map/"
	kindMapSKU  = "mapsku/"
	kindID      = "id/"
	kindSKU     = "sku/"
	kindPolicy  = "policy/"
	kindWait    = "wait/"
	kindAll     = "all/"
)

// spread is how many entries share the list of all listings; spills how many share the
// orders that wait for one (a bit each in Listing.waiting_spilled).
const (
	spread = 1024
	spills = 64
)

// maxNamed bounds the listings that one entry names, maxMembers those that carry one
// identifier: a number that more things carry identifies none of them.
const (
	maxNamed   = 1000
	maxMembers = 256
)

func listingID(account, id string) string      { return account + "/" + id }
func productID(account, id string) string      { return kindProduct + account + "/" + id }
func mapID(account, listing string) string     { return kindMap + account + "/" + listing }
func mapSKUID(account, platform string) string { return kindMapSKU + account + "/" + platform }
func skuID(sku string) string                  { return kindSKU + sku }
func policyID(account, sku string) string      { return kindPolicy + account + "/" + sku }

func waitID(account, listing string, n uint32) string {
	return kindWait + account + "/" + listing + "/" + strconv.Itoa(int(n))
}

func allID(n uint32) string { return kindAll + strconv.Itoa(int(n)) }

func mappingID(m *event.Mapping) string {
	if m.ListingId != "" {
		return mapID(m.Account, m.ListingId)
	}
	return mapSKUID(m.Account, m.PlatformSku)
}

func hash(s string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s)) // a hash takes everything
	return h.Sum32()
}

func spillOf(order string) uint32 { return hash(order) % spills }

// decisive are the entries from which a listing's SKU follows.
func (r *Room) decisive(l *event.Listing) []string {
	ids := make([]string, 0, 6+len(l.Identifiers))
	ids = append(ids, mapID(l.Account, l.Id), allID(hash(listingID(l.Account, l.Id))%spread))
	if l.ProductId != "" {
		ids = append(ids, productID(l.Account, l.ProductId))
	}
	return append(ids, r.carried(l)...)
}

// carried are the entries that name a listing for what it carries: its platform SKU and
// its identifiers.
func (r *Room) carried(l *event.Listing) []string {
	var ids []string
	if l.PlatformSku != "" {
		ids = append(ids, mapSKUID(l.Account, l.PlatformSku), mapSKUID("", l.PlatformSku))
	}
	return append(ids, r.identities(l)...)
}

// identities are the entries of the identifiers that can match: those that mean the same
// thing everywhere. Others, and broken ones, match nothing.
func (r *Room) identities(l *event.Listing) []string {
	var ids []string
	for _, i := range l.Identifiers {
		if i.Kind != event.IdentifierKind_IDENTIFIER_KIND_GTIN && i.Kind != event.IdentifierKind_IDENTIFIER_KIND_ISBN {
			continue
		}
		canonical, global, err := r.normalise(i.Kind, i.Value)
		if err != nil || !global {
			continue
		}
		if id := kindID + canonical; !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// settled are the entries that matter once the SKU is known.
func settled(account, sku string) []string {
	ids := []string{policyID(account, ""), policyID("", "")}
	if sku != "" {
		ids = append(ids, skuID(sku), policyID(account, sku), policyID("", sku))
	}
	return ids
}

// keys collects what Prepare names.
type keys struct {
	room *Room
	keys []stream.Key
}

func (k *keys) listing(account, id string) {
	k.keys = append(k.keys, stream.Key{Table: k.room.listings, ID: listingID(account, id)})
}

func (k *keys) add(ids ...string) {
	for _, id := range ids {
		k.keys = append(k.keys, stream.Key{Table: k.room.index, ID: id})
	}
}

// sight is what one record lets the room see.
type sight struct {
	room  *Room
	tx    *stream.Tx
	named map[stream.Key]bool
}

func newSight(r *Room, tx *stream.Tx, in stream.Input) *sight {
	s := &sight{room: r, tx: tx, named: make(map[stream.Key]bool, len(in.Keys))}
	for _, k := range in.Keys {
		s.named[k] = true
	}
	return s
}

// distinct goes through keys in order, each once.
func (s *sight) distinct(keys []stream.Key) iter.Seq[stream.Key] {
	return func(yield func(stream.Key) bool) {
		seen := make(map[stream.Key]bool, len(s.named))
		for _, k := range keys {
			if seen[k] {
				continue
			}
			seen[k] = true
			if !yield(k) {
				return
			}
		}
	}
}

// sees reports whether the record named an index entry.
func (s *sight) sees(id string) bool { return s.named[stream.Key{Table: s.room.index, ID: id}] }

// unseen are those of the ids that the record did not name.
func (s *sight) unseen(ids []string) bool {
	return slices.ContainsFunc(ids, func(id string) bool { return !s.sees(id) })
}

// entry returns an index entry, nil if there is none.
func (s *sight) entry(id string) *event.CatalogEntry {
	e, _ := s.tx.Get(stream.Key{Table: s.room.index, ID: id}).(*event.CatalogEntry)
	return e
}

// listing returns a listing, nil if there is none.
func (s *sight) listing(account, id string) *event.Listing {
	l, _ := s.tx.Get(stream.Key{Table: s.room.listings, ID: listingID(account, id)}).(*event.Listing)
	return l
}

func (s *sight) put(l *event.Listing) {
	s.tx.Put(stream.Key{Table: s.room.listings, ID: listingID(l.Account, l.Id)}, l)
}

// change puts a changed copy of an index entry, if f says that it changed something. Lists
// in it are f's to replace, not to modify.
func (s *sight) change(id string, f func(e *event.CatalogEntry) bool) {
	old := s.entry(id)
	e := new(event.CatalogEntry)
	if old != nil {
		e = &event.CatalogEntry{
			Skus: old.Skus, Mapping: old.Mapping, Policy: old.Policy, Waiting: old.Waiting,
			Listings: old.Listings, Members: old.Members, UpdatedMs: old.UpdatedMs, Leaving: old.Leaving,
		}
	}
	if f(e) {
		s.tx.Put(stream.Key{Table: s.room.index, ID: id}, e)
	}
}

// with returns a sorted list with or without one item, and whether that changed it. A list
// that is full stays as it is.
func with(list []string, item string, in bool, limit int) ([]string, bool) {
	at, found := slices.BinarySearch(list, item)
	switch {
	case in == found, in && len(list) >= limit:
		return list, false
	case in:
		return slices.Insert(slices.Clone(list), at, item), true
	default:
		return slices.Delete(slices.Clone(list), at, at+1), true
	}
}

// reconcile makes one index entry say of a listing what is so now.
func (s *sight) reconcile(id string, l *event.Listing) {
	name := listingID(l.Account, l.Id)
	named := func(in bool, limit int) {
		s.change(id, func(e *event.CatalogEntry) (changed bool) {
			e.Listings, changed = with(e.Listings, name, in, limit)
			return changed
		})
	}
	switch {
	case strings.HasPrefix(id, kindAll):
		named(true, 1<<30)
	case strings.HasPrefix(id, kindMapSKU):
		named(l.PlatformSku != "" && (id == mapSKUID(l.Account, l.PlatformSku) || id == mapSKUID("", l.PlatformSku)), maxNamed)
	case strings.HasPrefix(id, kindSKU):
		named(!l.Deleted && id == skuID(l.Resolution.GetSku()), maxNamed)
	case strings.HasPrefix(id, kindProduct):
		s.change(id, func(e *event.CatalogEntry) (changed bool) {
			e.Leaving, changed = with(e.Leaving, l.Id, false, 0)
			return changed
		})
	case strings.HasPrefix(id, kindID):
		s.reconcileMember(id, l, name)
	}
}

// reconcileMember: when that changes which SKUs an identifier stands for, those who have
// theirs through it are looked at again.
func (s *sight) reconcileMember(id string, l *event.Listing, name string) {
	var want *event.CatalogMember
	if slices.Contains(s.room.identities(l), id) {
		// One that is gone proves nothing, but its orders may still wait for its SKU.
		want = &event.CatalogMember{Listing: name}
		if rule := l.Resolution.GetRule(); !l.Deleted && (rule == event.MatchRule_MATCH_RULE_EXPLICIT || rule == event.MatchRule_MATCH_RULE_SKU) {
			want.Sku, want.Multiplier = l.Resolution.Sku, l.Resolution.Multiplier
		}
	}
	var after *event.CatalogEntry
	s.change(id, func(e *event.CatalogEntry) bool {
		at, found := slices.BinarySearchFunc(e.Members, name, func(m *event.CatalogMember, n string) int {
			return strings.Compare(m.Listing, n)
		})
		members := slices.Clone(e.Members)
		switch {
		case want == nil && !found, want != nil && found && want.EqualVT(members[at]):
			return false
		case want == nil:
			members = slices.Delete(members, at, at+1)
		case found:
			members[at] = want
		case len(members) >= maxMembers:
			return false
		default:
			members = slices.Insert(members, at, want)
		}
		proved := !slices.EqualFunc(proofs(e.Members), proofs(members), (*event.CatalogMember).EqualVT)
		full := (len(e.Members) >= maxMembers) != (len(members) >= maxMembers)
		e.Members, e.Skus = members, nil
		for _, p := range proofs(members) {
			if !slices.Contains(e.Skus, p.Sku) {
				e.Skus = append(e.Skus, p.Sku)
			}
		}
		if proved || full {
			after = e
		}
		return true
	})
	s.noteMembers(after, name)
}

// proofs are the different things that an identifier stands for, in a fixed order.
func proofs(members []*event.CatalogMember) []*event.CatalogMember {
	var ps []*event.CatalogMember
	for _, m := range members {
		if m.Sku != "" && !slices.ContainsFunc(ps, func(p *event.CatalogMember) bool {
			return p.Sku == m.Sku && p.Multiplier == m.Multiplier
		}) {
			ps = append(ps, &event.CatalogMember{Sku: m.Sku, Multiplier: m.Multiplier})
		}
	}
	slices.SortFunc(ps, func(a, b *event.CatalogMember) int {
		if a.Sku != b.Sku {
			return strings.Compare(a.Sku, b.Sku)
		}
		return int(a.Multiplier - b.Multiplier)
	})
	return ps
}
