package clickhouse

import (
	"strings"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas/event"
)

// levelCols are what stock_levels and stock_level_history have in common.
type levelCols struct {
	*rows
	sku                                          *word
	onHand, reserved, available, oversold, short *ints
	changed                                      *ints
	cause                                        *word
}

func newLevelCols(table string) levelCols {
	r := newRows(table)
	return levelCols{
		rows: r, sku: r.text("sku"), onHand: r.int("on_hand"), reserved: r.int("reserved"), available: r.int("available"),
		oversold: r.int("oversold"), short: r.int("short"), changed: r.time("changed_at"), cause: r.text("cause"),
	}
}

func (l levelCols) add(m *event.StockLevel) {
	l.sku.add(m.Sku)
	l.onHand.add(m.OnHand)
	l.reserved.add(m.Reserved)
	l.available.add(m.Available)
	l.oversold.add(m.Oversold)
	l.short.add(m.Short)
	l.changed.add(m.ChangedMs)
	l.cause.add(m.Cause)
}

// levelsReader fills stock_levels and stock_level_history from stock.levels.v1.
type levelsReader struct {
	m            event.StockLevel
	now, history levelCols

	warehouse                *words
	whSum, whHand, whPromise *numbers
	warehouses               group
	account, listing         *words
	target, accepted         *numbers
	paused                   *marks
	listings                 group
}

func newLevelsReader() *levelsReader {
	d := &levelsReader{now: newLevelCols("stock_levels"), history: newLevelCols("stock_level_history")}
	r := d.now.rows
	d.warehouse, d.whSum, d.whHand, d.whPromise = r.texts("warehouses.warehouse"), r.ints("warehouses.sum"), r.ints("warehouses.on_hand"), r.ints("warehouses.reserved")
	d.warehouses = group{d.warehouse, d.whSum, d.whHand, d.whPromise}
	d.account, d.listing, d.target, d.accepted, d.paused = r.texts("listings.account"), r.texts("listings.listing_id"), r.ints("listings.target"), r.ints("listings.accepted"), r.flags("listings.paused")
	d.listings = group{d.account, d.listing, d.target, d.accepted, d.paused}
	r.seal()
	d.history.seal()
	return d
}

func (d *levelsReader) tables() []*rows { return []*rows{d.now.rows, d.history.rows} }

func (d *levelsReader) add(r *stream.Record, c coordinates) error {
	m := &d.m
	m.Reset()
	if err := decode(r, m); err != nil {
		return err
	}
	if m.Sku == "" {
		return malformed("a stock level without SKU")
	}
	if err := times(m.ChangedMs); err != nil {
		return err
	}
	c, err := c.with(r, m.Version)
	if err != nil {
		return err
	}
	d.now.add(m)
	for _, w := range m.Warehouses {
		d.warehouse.add(w.Warehouse)
		d.whSum.add(w.Sum)
		d.whHand.add(w.OnHand)
		d.whPromise.add(w.Reserved)
	}
	d.warehouses.end()
	for _, l := range m.Listings {
		d.account.add(l.Account)
		d.listing.add(l.ListingId)
		d.target.add(l.Target)
		d.accepted.add(l.Accepted)
		d.paused.add(l.Paused)
	}
	d.listings.end()
	d.now.at(c)
	d.history.add(m)
	d.history.at(c)
	return nil
}

func (d *levelsReader) removed(key string) ([]removal, error) {
	return []removal{{"stock_levels", "sku = " + quote(key)}}, nil
}

// claimsReader fills stock_claims from stock.claims.v1, whose key says what the claim is of.
type claimsReader struct {
	m event.Claim
	*rows
	sku, warehouse, move             *word
	epoch, version, onHand, reserved *ints
}

func newClaimsReader() *claimsReader {
	r := newRows("stock_claims")
	d := &claimsReader{
		rows: r, sku: r.text("sku"), warehouse: r.word("warehouse"), move: r.text("move_id"),
		epoch: r.int("cause_epoch"), version: r.int("cause_version"), onHand: r.int("on_hand"), reserved: r.int("reserved"),
	}
	r.seal()
	return d
}

func (d *claimsReader) tables() []*rows { return []*rows{d.rows} }

func (d *claimsReader) add(r *stream.Record, c coordinates) error {
	m := &d.m
	m.Reset()
	if err := decode(r, m); err != nil {
		return err
	}
	// sku|warehouse|move, cut from both ends inwards would be wrong for a move id with "|"; SKU
	// and warehouse contain none.
	sku, rest, ok := strings.Cut(string(r.Key), "|")
	warehouse, move, ok2 := strings.Cut(rest, "|")
	if !ok || !ok2 {
		return malformed("the key %q of a claim is not SKU|warehouse|move", r.Key)
	}
	c, err := c.fromHeader(r, m.CauseVersion)
	if err != nil {
		return err
	}
	d.sku.add(sku)
	d.warehouse.add(warehouse)
	d.move.add(move)
	d.epoch.add(m.CauseVersion.GetEpoch())
	d.version.add(m.CauseVersion.GetNumber())
	d.onHand.add(m.OnHand)
	d.reserved.add(m.Reserved)
	d.at(c)
	return nil
}

// A claim that the stock room no longer needs stays in the ledger.
func (d *claimsReader) removed(string) ([]removal, error) { return nil, nil }

// alarmsReader fills stock_alarms.
type alarmsReader struct {
	m    event.StockAlarm
	kind *spelled[event.AlarmKind]
	*rows
	sku, warehouse, what, cause *word
	units, occurred             *ints
}

func newAlarmsReader() *alarmsReader {
	r := newRows("stock_alarms")
	d := &alarmsReader{
		kind: spell[event.AlarmKind]("ALARM_KIND"), rows: r, sku: r.text("sku"), warehouse: r.word("warehouse"), what: r.word("kind"),
		units: r.int("units"), cause: r.text("cause"), occurred: r.time("occurred_at"),
	}
	r.seal()
	return d
}

func (d *alarmsReader) tables() []*rows { return []*rows{d.rows} }

func (d *alarmsReader) add(r *stream.Record, c coordinates) error {
	m := &d.m
	m.Reset()
	if err := decode(r, m); err != nil {
		return err
	}
	if err := times(m.OccurredMs); err != nil {
		return err
	}
	c, err := c.with(r, m.Version)
	if err != nil {
		return err
	}
	d.sku.add(m.Sku)
	d.warehouse.add(m.Warehouse)
	d.what.add(d.kind.of(m.Kind))
	d.units.add(m.Units)
	d.cause.add(m.Cause)
	d.occurred.add(m.OccurredMs)
	d.at(c)
	return nil
}

func (d *alarmsReader) removed(string) ([]removal, error) { return nil, nil }

// adjustmentsReader fills adjustments.
type adjustmentsReader struct {
	m    event.Adjustment
	kind *spelled[event.MoveKind]
	*rows
	account, id, what, sku, warehouse *word
	quantity                          *ints
	reference, note                   *word
	occurred                          *ints
	origin                            originCols
}

func newAdjustmentsReader() *adjustmentsReader {
	r := newRows("adjustments")
	d := &adjustmentsReader{
		kind: spell[event.MoveKind]("MOVE_KIND"), rows: r, account: r.word("account"), id: r.text("adjustment_id"), what: r.word("kind"),
		sku: r.text("sku"), warehouse: r.word("warehouse"), quantity: r.int("quantity"), reference: r.text("reference"), note: r.text("note"),
		occurred: r.time("occurred_at"), origin: originOf(r, false),
	}
	r.seal()
	return d
}

func (d *adjustmentsReader) tables() []*rows { return []*rows{d.rows} }

func (d *adjustmentsReader) add(r *stream.Record, c coordinates) error {
	m := &d.m
	m.Reset()
	if err := decode(r, m); err != nil {
		return err
	}
	if m.Id == "" {
		return malformed("an adjustment without id")
	}
	if err := times(m.OccurredMs); err != nil {
		return err
	}
	c, err := c.fromHeader(r, nil)
	if err != nil {
		return err
	}
	d.account.add(m.Account)
	d.id.add(m.Id)
	d.what.add(d.kind.of(m.Kind))
	d.sku.add(m.Sku)
	d.warehouse.add(m.Warehouse)
	d.quantity.add(m.Quantity)
	d.reference.add(m.Reference)
	d.note.add(m.Note)
	d.occurred.add(m.OccurredMs)
	d.origin.add(m.Origin, "")
	d.at(c)
	return nil
}

func (d *adjustmentsReader) removed(string) ([]removal, error) { return nil, nil }

// returnsReader fills unmatched_returns.
type returnsReader struct {
	m     event.UnmatchedReturn
	buyer *pseudonym
	*rows
	account, id, reference, sku *word
	quantity                    *ints
	currency                    *word
	amount                      *ints
	who, reason                 *word
	occurred                    *ints
	origin                      originCols
}

func newReturnsReader(buyer *pseudonym) *returnsReader {
	r := newRows("unmatched_returns")
	d := &returnsReader{
		buyer: buyer, rows: r, account: r.word("account"), id: r.text("return_id"), reference: r.text("reference"), sku: r.text("sku"),
		quantity: r.int("quantity"), currency: r.word("currency"), amount: r.int("amount_minor"), who: r.text("buyer"), reason: r.word("reason"),
		occurred: r.time("occurred_at"), origin: originOf(r, false),
	}
	r.seal()
	return d
}

func (d *returnsReader) tables() []*rows { return []*rows{d.rows} }

func (d *returnsReader) add(r *stream.Record, c coordinates) error {
	m := &d.m
	m.Reset()
	if err := decode(r, m); err != nil {
		return err
	}
	if m.Id == "" {
		return malformed("a return without id")
	}
	if err := times(m.OccurredMs); err != nil {
		return err
	}
	c, err := c.fromHeader(r, nil)
	if err != nil {
		return err
	}
	d.account.add(m.Account)
	d.id.add(m.Id)
	d.reference.add(m.Reference)
	d.sku.add(m.Sku)
	d.quantity.add(m.Quantity)
	d.currency.add(m.Amount.GetCurrency())
	d.amount.add(m.Amount.GetMinor())
	d.who.add(d.buyer.of(m.Account, m.BuyerId))
	d.reason.add(m.Reason)
	d.occurred.add(m.OccurredMs)
	d.origin.add(m.Origin, "")
	d.at(c)
	return nil
}

// A return that somebody has matched is no longer unmatched.
func (d *returnsReader) removed(key string) ([]removal, error) {
	where, err := key2(key, "account", "return_id")
	return []removal{{"unmatched_returns", where}}, err
}
