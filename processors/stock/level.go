package stock

import (
	"fmt"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// move replaces what its cause stood for.
func (r *Room) move(tx *stream.Tx, levelKey, claimKey stream.Key, m *event.StockMove) {
	claim, _ := tx.Get(claimKey).(*event.Claim)
	if claim != nil && !stream.VersionOf(claim.CauseVersion).Before(stream.VersionOf(m.CauseVersion)) {
		return
	}
	tx.Put(claimKey, newClaim(m))
	onHand, reserved := m.OnHand-claim.GetOnHand(), m.Reserved-claim.GetReserved()
	old, _ := tx.Get(levelKey).(*event.StockLevel)
	counts := m.Kind != event.MoveKind_MOVE_KIND_ORDER && !old.GetCounted()
	if onHand == 0 && reserved == 0 && !counts {
		return
	}
	level := succeed(tx, old, m.Sku)
	level.Counted = level.Counted || counts
	level.Cause = m.MoveId
	w := changeWarehouse(level, m.Warehouse)
	w.Sum += onHand
	w.OnHand = max(0, w.Sum)
	w.Reserved += reserved
	settle(tx, levelKey, old, level)
}

// claimEntry is a claim with its version, allocated at once: the hot path.
type claimEntry struct {
	claim   event.Claim
	version event.Version
}

func newClaim(m *event.StockMove) *event.Claim {
	c := &claimEntry{
		claim:   event.Claim{OnHand: m.OnHand, Reserved: m.Reserved},
		version: event.Version{Epoch: m.CauseVersion.Epoch, Number: m.CauseVersion.Number},
	}
	c.claim.CauseVersion = &c.version
	return &c.claim
}

// levelEntry is a level with its version, allocated at once: the hot path.
type levelEntry struct {
	level   event.StockLevel
	version event.Version
}

// succeed makes the level that follows old, with nothing changed yet. What it points to is
// still old's: changeWarehouse and changeListing copy what they hand out.
func succeed(tx *stream.Tx, old *event.StockLevel, sku string) *event.StockLevel {
	v := tx.Version()
	e := &levelEntry{version: event.Version{Epoch: v.Epoch, Number: v.Number}}
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
func changeWarehouse(level *event.StockLevel, name string) *event.WarehouseLevel {
	warehouses := make([]*event.WarehouseLevel, len(level.Warehouses), len(level.Warehouses)+1)
	copy(warehouses, level.Warehouses)
	level.Warehouses = warehouses
	for i, w := range warehouses {
		if w.Warehouse == name {
			warehouses[i] = &event.WarehouseLevel{Warehouse: w.Warehouse, Sum: w.Sum, OnHand: w.OnHand, Reserved: w.Reserved}
			return warehouses[i]
		}
	}
	w := &event.WarehouseLevel{Warehouse: name}
	level.Warehouses = append(level.Warehouses, w)
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
// what was shown.
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
	if l.AcceptedVersion != nil && shown == l.Accepted && stream.VersionOf(o.TargetVersion) == stream.VersionOf(l.AcceptedVersion) {
		return
	}
	level := succeed(tx, old, o.Sku)
	level.Cause = "outcome/" + o.Account + "/" + o.ListingId
	n := changeListing(level, at)
	n.Accepted, n.AcceptedVersion = shown, o.TargetVersion
	settle(tx, k, old, level)
}

// unknown as the accepted quantity: nobody knows what the listing shows.
const unknown = -1

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
	level := succeed(tx, old, in.Sku)
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
			l.Target, l.TargetVersion = 0, targetVersion(was, level.Version)
			tx.Emit(target(level, l, 0))
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
	return &event.LinkedListing{
		Connector: l.Connector, Account: l.Account, ListingId: l.ListingId, StockId: l.StockId,
		Multiplier: l.Multiplier, Policy: l.Policy, LinkVersion: l.LinkVersion, Paused: l.Paused,
		Target: l.Target, TargetVersion: l.TargetVersion,
		Accepted: l.Accepted, AcceptedVersion: l.AcceptedVersion, Location: l.Location, Unlinked: l.Unlinked,
	}
}
