package clickhouse

import (
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas/event"
)

// listingsReader fills listings.
type listingsReader struct {
	m          event.Listing
	rule       *spelled[event.MatchRule]
	identifier *spelled[event.IdentifierKind]
	*rows
	account, id, connector, product, stock, platformSKU, title, sku *word
	multiplier                                                      *ints
	how, why                                                        *word
	stocked, deleted                                                *flags
	currency                                                        *word
	price                                                           *ints
	kinds, identifiers, locations                                   *words
	waiting                                                         *uints32
	updated                                                         *ints
}

func newListingsReader() *listingsReader {
	r := newRows("listings")
	d := &listingsReader{
		rule: spell[event.MatchRule]("MATCH_RULE"), identifier: spell[event.IdentifierKind]("IDENTIFIER_KIND"),
		rows: r, account: r.word("account"), id: r.text("listing_id"), connector: r.word("connector"), product: r.text("product_id"),
		stock: r.text("stock_id"), platformSKU: r.text("platform_sku"), title: r.text("title"), sku: r.text("sku"), multiplier: r.int("multiplier"),
		how: r.word("match_rule"), why: r.word("unresolved_reason"), stocked: r.flag("stocked"), deleted: r.flag("deleted"),
		currency: r.word("currency"), price: r.int("price_minor"), kinds: r.words("identifier_kinds"), identifiers: r.texts("identifiers"),
		locations: r.texts("locations"), waiting: r.uint32("waiting_orders"), updated: r.time("updated_at"),
	}
	r.seal()
	return d
}

func (d *listingsReader) tables() []*rows { return []*rows{d.rows} }

func (d *listingsReader) add(r *stream.Record, c coordinates) error {
	m := &d.m
	m.Reset()
	if err := decode(r, m); err != nil {
		return err
	}
	if m.Account == "" || m.Id == "" {
		return malformed("a listing without account or id")
	}
	if err := times(m.UpdatedMs); err != nil {
		return err
	}
	c, err := c.fromHeader(r, m.Version)
	if err != nil {
		return err
	}
	d.account.add(m.Account)
	d.id.add(m.Id)
	d.connector.add(m.Connector)
	d.product.add(m.ProductId)
	d.stock.add(m.StockId)
	d.platformSKU.add(m.PlatformSku)
	d.title.add(m.Title)
	d.sku.add(m.Resolution.GetSku())
	d.multiplier.add(m.Resolution.GetMultiplier())
	d.how.add(d.rule.of(m.Resolution.GetRule()))
	d.why.add(m.UnresolvedReason)
	d.stocked.add(m.Stocked)
	d.deleted.add(m.Deleted)
	d.currency.add(m.Price.GetCurrency())
	d.price.add(m.Price.GetMinor())
	for _, i := range m.Identifiers {
		d.kinds.add(d.identifier.of(i.Kind))
		d.identifiers.add(i.Value)
	}
	d.kinds.end()
	d.identifiers.end()
	for _, l := range m.Locations {
		d.locations.add(l)
	}
	d.locations.end()
	d.waiting.add(uint32(len(m.Waiting)))
	d.updated.add(m.UpdatedMs)
	d.at(c)
	return nil
}

func (d *listingsReader) removed(key string) ([]removal, error) {
	where, err := key2(key, "account", "listing_id")
	return []removal{{"listings", where}}, err
}

// targetsReader fills push_targets, every version of every decision.
type targetsReader struct {
	m event.PushTarget
	*rows
	account, id, connector, sku, location *word
	quantity, believed                    *ints
	decrease, withdrawn                   *flags
	cause                                 *word
	decided                               *ints
}

func newTargetsReader() *targetsReader {
	r := newRows("push_targets")
	d := &targetsReader{
		rows: r, account: r.word("account"), id: r.text("listing_id"), connector: r.word("connector"), sku: r.text("sku"), location: r.word("location"),
		quantity: r.int("quantity"), believed: r.int("believed"), decrease: r.flag("decrease"), withdrawn: r.flag("withdrawn"),
		cause: r.text("cause"), decided: r.time("decided_at"),
	}
	r.seal()
	return d
}

func (d *targetsReader) tables() []*rows { return []*rows{d.rows} }

func (d *targetsReader) add(r *stream.Record, c coordinates) error {
	m := &d.m
	m.Reset()
	if err := decode(r, m); err != nil {
		return err
	}
	if m.Account == "" || m.ListingId == "" {
		return malformed("a target without account or listing")
	}
	if err := times(m.DecidedMs); err != nil {
		return err
	}
	c, err := c.with(r, m.Version)
	if err != nil {
		return err
	}
	d.account.add(m.Account)
	d.id.add(m.ListingId)
	d.connector.add(m.Connector)
	d.sku.add(m.Sku)
	d.location.add(m.Location)
	d.quantity.add(m.Quantity)
	d.believed.add(orMinusOne(m.Believed))
	d.decrease.add(m.Decrease)
	d.withdrawn.add(m.Withdrawn)
	d.cause.add(m.Cause)
	d.decided.add(m.DecidedMs)
	d.at(c)
	return nil
}

// Decisions that were made stay.
func (d *targetsReader) removed(string) ([]removal, error) { return nil, nil }

// outcomesReader fills push_outcomes.
type outcomesReader struct {
	m      event.PushOutcome
	became *spelled[event.Outcome]
	*rows
	account, id, connector, sku, command, outcome *word
	quantity, epoch, version                      *ints
	code, message                                 *word
	attempts, started, finished, readBack         *ints
}

func newOutcomesReader() *outcomesReader {
	r := newRows("push_outcomes")
	d := &outcomesReader{
		became: spell[event.Outcome]("OUTCOME"),
		rows:   r, account: r.word("account"), id: r.text("listing_id"), connector: r.word("connector"), sku: r.text("sku"), command: r.text("command_id"),
		outcome: r.word("outcome"), quantity: r.int("quantity"), epoch: r.int("target_epoch"), version: r.int("target_version"),
		code: r.word("code"), message: r.text("message"), attempts: r.int("attempts"), started: r.time("started_at"), finished: r.time("finished_at"), readBack: r.int("read_back"),
	}
	r.seal()
	return d
}

func (d *outcomesReader) tables() []*rows { return []*rows{d.rows} }

func (d *outcomesReader) add(r *stream.Record, c coordinates) error {
	m := &d.m
	m.Reset()
	if err := decode(r, m); err != nil {
		return err
	}
	if m.Account == "" || m.ListingId == "" {
		return malformed("an outcome without account or listing")
	}
	if err := times(m.StartedMs, m.FinishedMs); err != nil {
		return err
	}
	c, err := c.fromHeader(r, nil)
	if err != nil {
		return err
	}
	d.account.add(m.Account)
	d.id.add(m.ListingId)
	d.connector.add(m.Connector)
	d.sku.add(m.Sku)
	d.command.add(m.CommandId)
	d.outcome.add(d.became.of(m.Outcome))
	d.quantity.add(m.Quantity)
	d.epoch.add(m.TargetVersion.GetEpoch())
	d.version.add(m.TargetVersion.GetNumber())
	d.code.add(m.Code)
	d.message.add(m.Message)
	d.attempts.add(m.Attempts)
	d.started.add(m.StartedMs)
	d.finished.add(m.FinishedMs)
	d.readBack.add(orMinusOne(m.ReadBack))
	d.at(c)
	return nil
}

func (d *outcomesReader) removed(string) ([]removal, error) { return nil, nil }

// orMinusOne stands for "unknown" in columns of quantities, which are never negative.
func orMinusOne(v *int64) int64 {
	if v == nil {
		return -1
	}
	return *v
}
