package clickhouse

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Event is one step of an order's way, as one row of one table tells it.
type Event struct {
	// Time is the event's own time, UTC.
	Time time.Time `json:"time"`
	// Kind is order, line, valuation, refund, claim, level, alarm, target, outcome,
	// command, command outcome or dead letter.
	Kind string `json:"kind"`
	// Subject is what it is about: the order, a SKU, a listing.
	Subject string `json:"subject"`
	// Topic, Partition and Offset are the record's coordinates in Kafka.
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	// Version is "epoch.number" of the fact.
	Version string `json:"version"`
	// Text says what was decided, or what came of it.
	Text string `json:"text"`

	stage int
}

// maxTrace bounds what one table contributes to a trace.
const maxTrace = 5000

// traceQuery finds rows of one table. Its columns are those of Event.
type traceQuery struct {
	kind string
	sql  string
}

// coordinatesOf are the columns that every query of a trace ends with.
const coordinatesOf = `_topic, _partition, _offset, concat(toString(_version_epoch), '.', toString(_version))`

// Trace reads the whole way of one order: its versions and the raw records they come from,
// lines, refunds and valuations, what it claims of each SKU, the level after that, what the
// listings were to show at that level, and what became of the writes; and what was asked of the
// platform about the order, with what became of it. Ordered by time; empty
// when there is no such order.
func (r *Reader) Trace(ctx context.Context, account, order string) ([]Event, error) {
	ctx, cancel := r.bound(ctx)
	defer cancel()
	acc, id, move := quote(account), quote(order), quote("order/"+account+"/"+order)
	key := "account = " + acc + " AND order_id = " + id
	// The levels that this order caused; decisions and outcomes carry the level's version.
	levels := "SELECT sku, _version FROM stock_level_history FINAL WHERE cause = " + move
	targets := "SELECT account, listing_id, _version_epoch AS want_epoch, _version AS want FROM push_targets FINAL WHERE (sku, _version) IN (" + levels + ")"
	queries := []traceQuery{
		{"order", `SELECT received_at, concat(account, '/', order_id), concat(status, ', ', payment_status, ', ', fulfilment_status, if(parked, ', parked: a line has no SKU', ''), '; ', toString(line_count), ' lines, ', toString(units), ' units, ', toString(total_minor), ' ', currency, ' minor, ', toString(refund_count), ' refunds; by ', origin_path, ' from ', origin_topic, '/', toString(origin_partition), '@', toString(origin_offset)), ` + coordinatesOf + ` FROM order_history FINAL WHERE ` + key},
		{"line", `SELECT received_at, concat(account, '/', order_id, ' line ', line), concat(if(sku = '', if(stocked, 'SKU unknown', 'no stock kept'), concat('SKU ', sku, ' by ', rule)), ', quantity ', toString(quantity), if(removed > 0, concat(', removed ', toString(removed)), ''), if(multiplier > 1, concat(' × ', toString(multiplier)), ''), ', ', toString(total), ' ', currency, ' minor'), ` + coordinatesOf + ` FROM orders FINAL ARRAY JOIN ` + "`lines.line_id` AS line, `lines.sku` AS sku, `lines.stocked` AS stocked, `lines.match_rule` AS rule, `lines.quantity` AS quantity, `lines.removed` AS removed, `lines.multiplier` AS multiplier, `lines.total_minor` AS total" + ` WHERE ` + key},
		{"refund", `SELECT created_at, concat(account, '/', order_id, ' refund ', refund_id), concat(toString(total_minor), ' ', currency, ' minor, ', toString(length(lines.quantity)), ' lines', if(note = '', '', concat(', note ', note))), ` + coordinatesOf + ` FROM refunds FINAL WHERE ` + key},
		{"valuation", `SELECT occurred_at, subject, if(waiting, concat('waits: ', waiting_reason), concat(toString(amount_minor), ' ', currency, ' = ', toString(reporting_minor), ' ', reporting_currency, ' by ', source, ' of ', rate_date)), ` + coordinatesOf + ` FROM valuations FINAL WHERE kind IN ('order', 'refund') AND account = ` + acc + ` AND (object_id = ` + id + ` OR startsWith(object_id, ` + quote(order+"/") + `))`},
		{"claim", `SELECT t.at, concat(sku, ' in ', warehouse), concat('reserves ', toString(reserved), ', on hand ', if(on_hand > 0, '+', ''), toString(on_hand), ' by version ', toString(cause_epoch), '.', toString(cause_version)), ` + coordinatesOf + ` FROM stock_claims AS c FINAL LEFT JOIN (SELECT sku, _version AS v, max(changed_at) AS at FROM stock_level_history WHERE cause = ` + move + ` GROUP BY sku, v) AS t ON t.sku = c.sku AND t.v = c._version WHERE move_id = ` + move},
		{"level", `SELECT changed_at, sku, concat('on hand ', toString(on_hand), ', reserved ', toString(reserved), ', available ', toString(available), if(oversold > 0, concat(', OVERSOLD ', toString(oversold)), ''), if(short > 0, concat(', SHORT ', toString(short)), '')), ` + coordinatesOf + ` FROM stock_level_history FINAL WHERE cause = ` + move},
		{"alarm", `SELECT occurred_at, sku, concat(kind, ' ', toString(units)), ` + coordinatesOf + ` FROM stock_alarms FINAL WHERE cause = ` + move},
		{"target", `SELECT decided_at, concat(account, '/', listing_id), concat(if(withdrawn, 'withdrawn', concat('show ', toString(quantity))), if(believed < 0, '', concat(' instead of ', toString(believed))), ' of SKU ', sku, '; ', cause), ` + coordinatesOf + ` FROM push_targets FINAL WHERE (sku, _version) IN (` + levels + `)`},
		// A target that a newer one overtook has no outcome: then the first that came after it.
		{"outcome", `SELECT finished_at, concat(account, '/', listing_id), concat(outcome, ': ', toString(quantity), ' for target ', toString(target_epoch), '.', toString(target_version), ', command ', command_id, ', attempts ', toString(attempts), if(code = '' AND message = '', '', concat(', ', code, ' ', message)), if(read_back < 0, '', concat(', read back ', toString(read_back)))), ` + coordinatesOf + ` FROM (SELECT t.account AS account, t.listing_id AS listing_id, t.want_epoch AS want_epoch, t.want AS want, o.* EXCEPT (account, listing_id) FROM (` + targets + `) AS t INNER JOIN (SELECT * FROM push_outcomes FINAL) AS o ON o.account = t.account AND o.listing_id = t.listing_id WHERE (o.target_epoch, o.target_version) >= (t.want_epoch, t.want) ORDER BY o.target_epoch, o.target_version, o.finished_at LIMIT 2 BY account, listing_id, want_epoch, want)`},
		{"command", `SELECT requested_at, concat(account, '/', order_id), concat(kind, ' ', command_id, if(amount_text = '', '', concat(' of ', amount_text, ' ', currency)), if(units = 0, '', concat(', ', toString(units), ' units')), if(tracking = '', '', concat(', ', carrier, ' ', tracking)), ': ', state, if(code = '' AND message = '', '', concat(', ', code, ' ', message))), ` + coordinatesOf + ` FROM commands FINAL WHERE ` + key},
		{"command outcome", `SELECT finished_at, concat(account, '/', order_id), concat(kind, ' ', command_id, ' ', outcome, if(gave_up, ', not tried any more', ''), ', at the platform ', write_id, ', attempts ', toString(attempts), if(code = '' AND message = '', '', concat(', ', code, ' ', message))), ` + coordinatesOf + ` FROM command_outcomes FINAL WHERE ` + key},
		{"dead letter", `SELECT failed_at, object, concat(stage, ' gave up ', topic, '/', toString(partition), '@', toString(offset), ': ', code, ', ', reason), ` + coordinatesOf + ` FROM dead_letters FINAL WHERE object = ` + quote(account+"/"+order)},
	}
	var all []Event
	for i, q := range queries {
		found, err := r.trace(ctx, q, i)
		if err != nil {
			return nil, fmt.Errorf("clickhouse: tracing %s/%s, %s: %w", account, order, q.kind, err)
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(a, b Event) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.stage, b.stage), cmp.Compare(a.Offset, b.Offset), strings.Compare(a.Subject, b.Subject))
	})
	return slices.CompactFunc(all, func(a, b Event) bool { return a == b }), nil
}

func (r *Reader) trace(ctx context.Context, q traceQuery, stage int) ([]Event, error) {
	found, err := r.conn.Query(ctx, q.sql+fmt.Sprintf(" LIMIT %d", maxTrace))
	if err != nil {
		return nil, err
	}
	defer found.Close()
	return scanEvents(found, q.kind, stage)
}

func scanEvents(found driver.Rows, kind string, stage int) ([]Event, error) {
	var all []Event
	for found.Next() {
		e := Event{Kind: kind, stage: stage}
		if err := found.Scan(&e.Time, &e.Subject, &e.Text, &e.Topic, &e.Partition, &e.Offset, &e.Version); err != nil {
			return nil, err
		}
		e.Time = e.Time.UTC()
		all = append(all, e)
	}
	return all, found.Err()
}
