package stock

import (
	"fmt"
	"math"
	"slices"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// move replaces what its cause stood for.
func (r *Room) move(tx *stream.Tx, m *heard) {
	levelKey, claimKey := m.keys[0], m.keys[1]
	claim, _ := tx.Get(claimKey).(*event.Claim)
	if claim != nil && !stream.VersionOf(claim.CauseVersion).Before(m.cause) {
		return
	}
	tx.Put(claimKey, newClaim(m))
	onHand, reserved := m.onHand-claim.GetOnHand(), m.reserved-claim.GetReserved()
	old, _ := tx.Get(levelKey).(*event.StockLevel)
	counts := m.counts && !old.GetCounted()
	if onHand == 0 && reserved == 0 && !counts && (claim != nil || !sells(old, m.id)) {
		return
	}
	e := new(movedEntry)
	level := succeed(tx, &e.levelEntry, old, m.sku)
	level.Counted = level.Counted || counts
	level.Cause = m.id
	if onHand != 0 || reserved != 0 || counts {
		w := e.changeWarehouse(m.warehouse)
		w.Sum += onHand
		w.OnHand = max(0, w.Sum)
		w.Reserved += reserved
	}
	settle(tx, levelKey, old, level)
}

// sells: the order's own account has a listing of the SKU. An order that is new and claims
// nothing changes no figure, but what that listing shows: the platform has counted the sale down
// by itself, and need not have counted up what came back.
func sells(level *event.StockLevel, cause string) bool {
	account := orderAccount(cause)
	if account == "" || !level.GetCounted() {
		return false
	}
	return slices.ContainsFunc(level.Listings, func(l *event.LinkedListing) bool { return l.Account == account && !l.Unlinked })
}

// claimEntry is a claim with its version, allocated at once: the hot path.
type claimEntry struct {
	claim   event.Claim
	version event.Version
}

func newClaim(m *heard) *event.Claim {
	c := new(claimEntry)
	c.claim.OnHand, c.claim.Reserved = m.onHand, m.reserved
	c.version.Epoch, c.version.Number = m.cause.Epoch, m.cause.Number
	c.claim.CauseVersion = &c.version
	return &c.claim
}

// levelEntry is a level with its version, allocated at once.
type levelEntry struct {
	level   event.StockLevel
	version event.Version
}

// movedEntry is a level with its one warehouse, and the list of it: the hot path. Where there
// are several each is by itself: a level points to warehouses that older levels changed, and
// these would otherwise be kept with it, all of them.
type movedEntry struct {
	levelEntry
	warehouse event.WarehouseLevel
	list      [1]*event.WarehouseLevel
}

// succeed makes of e the level that follows old, with nothing changed yet. What it points to is
// still old's: changeWarehouse and changeListing copy what they hand out.
func succeed(tx *stream.Tx, e *levelEntry, old *event.StockLevel, sku string) *event.StockLevel {
	v := tx.Version()
	e.version.Epoch, e.version.Number = v.Epoch, v.Number
	e.level.Version = &e.version
	e.level.Sku = sku
	e.level.ChangedMs = tx.TimeMs()
	if old != nil {
		e.level.Warehouses = old.Warehouses
		e.level.Listings = old.Listings
		e.level.AlarmVersion = old.AlarmVersion
		e.level.Counted = old.Counted
	}
	return &e.level
}

// changeWarehouse returns the level's own copy of one warehouse, made if there is none.
func (e *movedEntry) changeWarehouse(name string) *event.WarehouseLevel {
	before := e.level.Warehouses
	at := slices.IndexFunc(before, func(w *event.WarehouseLevel) bool { return w.Warehouse == name })
	size := len(before)
	if at < 0 {
		size++
	}
	w, list := &e.warehouse, e.list[:]
	if size > 1 {
		w, list = new(event.WarehouseLevel), make([]*event.WarehouseLevel, size)
		copy(list, before)
	}
	if at < 0 {
		at = size - 1
		w.Warehouse = name
	} else {
		b := before[at]
		w.Warehouse, w.Sum, w.OnHand, w.Reserved = b.Warehouse, b.Sum, b.OnHand, b.Reserved
	}
	list[at] = w
	e.level.Warehouses = list
	return w
}

// settle completes a level that follows old: sums, alarms, targets; and puts it.
func settle(tx *stream.Tx, k stream.Key, old, level *event.StockLevel) {
	for _, w := range level.Warehouses {
		level.OnHand += w.OnHand
		level.Reserved += w.Reserved
		level.Short += w.OnHand - w.Sum
	}
	level.Available = max(0, level.OnHand-level.Reserved)
	level.Oversold = max(0, level.Reserved-level.OnHand)
	if alarming(old, level) {
		level.AlarmVersion = level.Version
		raise(tx, old, level, false)
	}
	decide(tx, level)
	tx.Put(k, level)
}

// alarming reports whether what is missing differs between two levels.
func alarming(old, level *event.StockLevel) bool {
	if old.GetOversold() != level.Oversold {
		return true
	}
	for _, w := range level.Warehouses {
		if shortOf(w) != shortOf(warehouse(old, w.Warehouse)) {
			return true
		}
	}
	return false
}

func shortOf(w *event.WarehouseLevel) int64 { return w.GetOnHand() - w.GetSum() }

func warehouse(level *event.StockLevel, name string) *event.WarehouseLevel {
	for _, w := range level.GetWarehouses() {
		if w.Warehouse == name {
			return w
		}
	}
	return nil
}

// raise emits an alarm for everything that is missing otherwise than in old, or for all that
// is and may have been missing. An alarm without a warehouse is about what was sold, one
// with a warehouse about what lies there.
func raise(tx *stream.Tx, old, level *event.StockLevel, all bool) {
	if all || old.GetOversold() != level.Oversold {
		raiseOne(tx, level, "", event.AlarmKind_ALARM_KIND_OVERSOLD, level.Oversold)
	}
	for _, w := range level.Warehouses {
		if short := shortOf(w); all || short != shortOf(warehouse(old, w.Warehouse)) {
			raiseOne(tx, level, w.Warehouse, event.AlarmKind_ALARM_KIND_SHORT, short)
		}
	}
}

func raiseOne(tx *stream.Tx, level *event.StockLevel, warehouse string, kind event.AlarmKind, units int64) {
	if units == 0 {
		kind = event.AlarmKind_ALARM_KIND_CLEARED
	}
	tx.Emit(stream.Output{
		Topic: schemas.StockAlarms, Key: []byte(level.Sku),
		Value: &event.StockAlarm{
			Sku: level.Sku, Warehouse: warehouse, Kind: kind, Units: units, Cause: level.Cause,
			Version: level.AlarmVersion, OccurredMs: level.ChangedMs,
		},
	})
}

// outcome notes what the platform shows now, as far as the push sink knows: accepted writes
// and what was read back. After a write of unknown outcome nobody knows. A refusal leaves
// what was shown. A target that was given back is decided anew, unless it was already.
func (r *Room) outcome(tx *stream.Tx, k stream.Key, o *event.PushOutcome) {
	old, _ := tx.Get(k).(*event.StockLevel)
	at := find(old, o.Account, o.ListingId)
	if at < 0 || old.Listings[at].Unlinked {
		return
	}
	l := old.Listings[at]
	if l.AcceptedVersion != nil && stream.VersionOf(o.TargetVersion).Before(stream.VersionOf(l.AcceptedVersion)) {
		return
	}
	var shown int64
	switch {
	case o.ReadBack != nil:
		shown = *o.ReadBack
	case o.Outcome == event.Outcome_OUTCOME_ACCEPTED:
		shown = o.Quantity
	case o.Outcome == event.Outcome_OUTCOME_UNKNOWN:
		shown = unknown
	default:
		return
	}
	anew := o.Outcome == event.Outcome_OUTCOME_GIVEN_BACK && stream.VersionOf(o.TargetVersion) == stream.VersionOf(l.TargetVersion)
	if !anew && l.AcceptedVersion != nil && shown == l.Accepted && stream.VersionOf(o.TargetVersion) == stream.VersionOf(l.AcceptedVersion) {
		return
	}
	level := succeed(tx, new(levelEntry), old, o.Sku)
	level.Cause = "outcome/" + o.Account + "/" + o.ListingId
	n := changeListing(level, at)
	n.Accepted, n.AcceptedVersion = shown, o.TargetVersion
	if anew {
		n.TargetVersion = nil
	}
	settle(tx, k, old, level)
}

// unknown as the accepted quantity: nobody knows what the listing shows. It is a figure that no
// platform shows; -1 is none such: a shop that sold more than it had shows less than nothing.
const unknown = math.MinInt64

// link adds, changes or ends a listing's link to the SKU. Older versions than the last
// change nothing: a link that has ended is remembered for that.
func (r *Room) link(tx *stream.Tx, k stream.Key, in *event.ListingLink) error {
	old, _ := tx.Get(k).(*event.StockLevel)
	at := find(old, in.Account, in.ListingId)
	if at >= 0 && !stream.VersionOf(old.Listings[at].LinkVersion).Before(stream.VersionOf(in.Version)) {
		return nil
	}
	if err := full(old, in); err != nil {
		return err
	}
	level := succeed(tx, new(levelEntry), old, in.Sku)
	level.Cause = "link/" + in.Account + "/" + in.ListingId
	l := changeListing(level, at)
	was := l.LinkVersion
	switch {
	case in.Unlinked:
		live := was != nil && !l.Unlinked
		l.Account, l.ListingId = in.Account, in.ListingId
		l.Unlinked, l.Paused = true, false
		l.Accepted, l.AcceptedVersion, l.LinkVersion = 0, nil, in.Version
		if live {
			// Under the old link's version: the listing's next SKU decides under the new
			// one, which therefore wins, whichever is heard first.
			epoch, number := targetVersion(was, level.Version)
			l.Target, l.TargetVersion = 0, &event.Version{Epoch: epoch, Number: number}
			tx.Emit(new(pushed).target(level, l, 0))
		}
	case was == nil || l.Unlinked || !sameLink(l, in):
		if was == nil || l.Unlinked {
			l.Account, l.ListingId = in.Account, in.ListingId
			l.Unlinked, l.Paused, l.Target = false, false, 0
			l.Accepted, l.AcceptedVersion = 0, nil
		}
		l.Connector, l.StockId, l.Location = in.Connector, in.StockId, in.Location
		l.Multiplier, l.Policy = in.Multiplier, in.Policy
		l.LinkVersion, l.TargetVersion = in.Version, nil // nil: decide anew
	default:
		l.LinkVersion = in.Version
	}
	settle(tx, k, old, level)
	return nil
}

// full: the SKU has as many listings as one can have, and this is another.
func full(level *event.StockLevel, in *event.ListingLink) error {
	if len(level.GetListings()) < maxListings || find(level, in.Account, in.ListingId) >= 0 {
		return nil
	}
	return fmt.Errorf("SKU %s has %d listings already: %s/%s is one too many: %w", in.Sku, maxListings, in.Account, in.ListingId, connectors.ErrPermanent)
}

func sameLink(l *event.LinkedListing, in *event.ListingLink) bool {
	return l.Connector == in.Connector && l.StockId == in.StockId && l.Location == in.Location &&
		l.Multiplier == in.Multiplier && l.Policy.EqualVT(in.Policy)
}

// find returns the index of a listing in a level, -1 if it is not there.
func find(level *event.StockLevel, account, listing string) int {
	for i, l := range level.GetListings() {
		if l.ListingId == listing && l.Account == account {
			return i
		}
	}
	return -1
}

// changeListing returns the level's own copy of one listing; a new one for -1.
func changeListing(level *event.StockLevel, at int) *event.LinkedListing {
	listings := make([]*event.LinkedListing, len(level.Listings), len(level.Listings)+1)
	copy(listings, level.Listings)
	level.Listings = listings
	if at < 0 {
		l := new(event.LinkedListing)
		level.Listings = append(level.Listings, l)
		return l
	}
	listings[at] = copyListing(listings[at])
	return listings[at]
}

func copyListing(l *event.LinkedListing) *event.LinkedListing {
	n := new(event.LinkedListing)
	copyListingTo(n, l)
	return n
}

// copyListingTo copies to a listing that is empty.
func copyListingTo(n, l *event.LinkedListing) {
	n.Connector, n.Account, n.ListingId, n.StockId = l.Connector, l.Account, l.ListingId, l.StockId
	n.Multiplier, n.Policy, n.LinkVersion, n.Paused = l.Multiplier, l.Policy, l.LinkVersion, l.Paused
	n.Target, n.TargetVersion = l.Target, l.TargetVersion
	n.Accepted, n.AcceptedVersion = l.Accepted, l.AcceptedVersion
	n.Location, n.Unlinked = l.Location, l.Unlinked
}
