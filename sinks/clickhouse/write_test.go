package clickhouse

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

func TestBatchWrittenTwiceCountsOnce(t *testing.T) {
	cfg := migrated(t)
	w, conn := writer(t, cfg, Deps{}), connect(t, cfg)
	l := &log{t: t, topic: schemas.Orders}
	b := l.batch(l.put("uk/1", order("uk", "1", 0, line{"A", 2, 150}, line{"B", 1, 999})), l.put("uk/2", order("uk", "2", 1, line{"A", 1, 150})))
	for range 3 {
		write(t, w, b)
	}
	// Another process knows nothing but the token.
	write(t, writer(t, cfg, Deps{}), b)
	for table, want := range map[string]uint64{"orders": 2, "order_history": 2, "refunds": 0} {
		if got := one[uint64](t, conn, "SELECT count() FROM "+table); got != want {
			t.Errorf("%s holds %d rows before any merge, want %d", table, got, want)
		}
	}
	if got := one[int64](t, conn, "SELECT sum(total_minor) FROM order_lines"); got != 1449 {
		t.Errorf("lines sum to %d, want 1449", got)
	}
}

// A crash between two tables of a batch: some have their rows, the one it died before has not.
func TestCrashBetweenTables(t *testing.T) {
	// A database for each death: an insert that was under way when its writer died may land
	// late, and must not be taken for one of the next.
	for _, dies := range []string{"orders", "order_history", "refunds"} {
		t.Run(dies, func(t *testing.T) {
			cfg := migrated(t)
			conn := connect(t, cfg)
			l := &log{t: t, topic: schemas.Orders}
			o := order("uk", "1", 0, line{"A", 2, 150})
			o.Refunds = []*event.Refund{{Account: "uk", OrderId: "1", Id: "r1", CreatedMs: o.CreatedMs, Total: gbp(150), Lines: []*event.RefundLine{{OrderLineId: "1", Quantity: 1, Amount: gbp(150)}}}}
			b := l.batch(l.put("uk/1", o))
			ctx, cancel := context.WithCancel(t.Context())
			w := writer(t, cfg, Deps{Inserting: func(table string) {
				if table == dies {
					cancel()
				}
			}})
			if err := w.Write(ctx, b); err == nil {
				t.Fatalf("the write that died before %s succeeded", dies)
			}
			if got := one[uint64](t, conn, "SELECT count() FROM "+dies); got != 0 {
				t.Fatalf("%s holds %d rows although the write died before it", dies, got)
			}
			write(t, writer(t, cfg, Deps{}), b)
			for _, table := range []string{"orders", "order_history", "refunds"} {
				if got := one[uint64](t, conn, "SELECT count() FROM "+table); got != 1 {
					t.Errorf("%s holds %d rows, want 1", table, got)
				}
			}
		})
	}
}

// The same rows under other tokens: the window was exceeded, or a replay cuts batches elsewhere.
func TestSecondLineOfDefence(t *testing.T) {
	cfg := migrated(t)
	w, conn := writer(t, cfg, Deps{}), connect(t, cfg)
	l := &log{t: t, topic: schemas.Orders}
	var all []*stream.Record
	for i := range int64(20) {
		all = append(all, l.put("uk/x", order("uk", string(rune('a'+i%5)), i, line{"A", i + 1, 100})))
	}
	write(t, w, l.batch(all...))
	write(t, w, l.batch(all[:7]...))
	write(t, w, l.batch(all[5:]...))
	if got := one[uint64](t, conn, "SELECT count() FROM orders FINAL"); got != 5 {
		t.Errorf("orders: %d, want 5", got)
	}
	if got := one[uint64](t, conn, "SELECT count() FROM order_history FINAL"); got != 20 {
		t.Errorf("order_history: %d, want 20", got)
	}
	if got := one[int64](t, conn, "SELECT sum(units) FROM sales"); got != 16+17+18+19+20 {
		t.Errorf("units sold: %d, want 90", got)
	}
}

// Whatever the order in which versions arrive, the newest stands.
func TestVersionsOutOfOrder(t *testing.T) {
	cfg := migrated(t)
	w, conn := writer(t, cfg, Deps{}), connect(t, cfg)
	l := &log{t: t, topic: schemas.Orders}
	var versions []*event.Order
	for v := range int64(8) {
		o := order("uk", "7", v, line{"A", v + 1, 100})
		o.Version.Epoch = v / 4 // a topic made anew: numbers start over
		o.Version.Number = v % 4
		versions = append(versions, o)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	rnd.Shuffle(len(versions), func(i, j int) { versions[i], versions[j] = versions[j], versions[i] })
	for _, o := range versions {
		write(t, w, l.batch(l.put("uk/7", o)))
	}
	if got := one[int64](t, conn, "SELECT total_minor FROM orders FINAL"); got != 800 {
		t.Errorf("total of the newest version: %d, want 800", got)
	}
	if got := one[uint64](t, conn, "SELECT count() FROM order_history FINAL"); got != 8 {
		t.Errorf("versions kept: %d, want 8", got)
	}
}

func TestVanishedLineDoesNotSurvive(t *testing.T) {
	cfg := migrated(t)
	w, conn := writer(t, cfg, Deps{}), connect(t, cfg)
	l := &log{t: t, topic: schemas.Orders}
	write(t, w, l.batch(l.put("uk/1", order("uk", "1", 1, line{"A", 1, 100}, line{"B", 2, 100}, line{"C", 3, 100}))))
	write(t, w, l.batch(l.put("uk/1", order("uk", "1", 2, line{"A", 1, 100}, line{"C", 3, 100}))))
	write(t, w, l.batch(l.put("uk/1", order("uk", "1", 0, line{"B", 9, 100})))) // late
	if got, want := strings.Split(one[string](t, conn, "SELECT arrayStringConcat(groupArray(sku || ':' || toString(units)), ' ') FROM (SELECT * FROM order_lines ORDER BY sku)"), " "), []string{"A:1", "C:3"}; !slices.Equal(got, want) {
		t.Errorf("lines are %v, want %v", got, want)
	}
	if err := conn.Exec(t.Context(), "SYSTEM REFRESH VIEW sales_daily"); err != nil {
		t.Fatal(err)
	}
	if err := conn.Exec(t.Context(), "SYSTEM WAIT VIEW sales_daily"); err != nil {
		t.Fatal(err)
	}
	if got := one[int64](t, conn, "SELECT sum(units) FROM sales_by_sku"); got != 4 {
		t.Errorf("materialised units: %d, want 4", got)
	}
	if got := one[int64](t, conn, "SELECT sum(gross_minor) FROM sales_by_country WHERE country = 'GB'"); got != 400 {
		t.Errorf("materialised gross: %d, want 400", got)
	}
}

func TestNoPersonalData(t *testing.T) {
	cfg := migrated(t)
	w, conn := writer(t, cfg, Deps{}), connect(t, cfg)
	l := &log{t: t, topic: schemas.Orders}
	write(t, w, l.batch(l.put("uk/1", order("uk", "1", 1, line{"A", 1, 100}))))
	row := one[string](t, conn, "SELECT formatRow('JSONEachRow', *) FROM orders")
	for _, secret := range []string{"Ada", "Lovelace", "ada@", "17850"} {
		if strings.Contains(row, secret) {
			t.Errorf("the row contains %q: %s", secret, row)
		}
	}
	hash := one[string](t, conn, "SELECT buyer FROM orders")
	if got := newPseudonym(BuyerHash, []byte("a key for tests")).of("uk", "17850"); got != hash || len(hash) != 16 {
		t.Errorf("buyer is %q, want %q", hash, got)
	}
	p := newPseudonym(BuyerHash, []byte("another key"))
	if p.of("uk", "17850") == hash {
		t.Error("another key gives the same hash")
	}
	if p.of("ab", "c") == p.of("a", "bc") {
		t.Error("account and buyer run into each other")
	}
	if got := newPseudonym(BuyerNone, nil).of("uk", "1"); got != "" {
		t.Errorf("buyer none gives %q", got)
	}
	if got := newPseudonym(BuyerID, nil).of("uk", "1"); got != "1" {
		t.Errorf("buyer id gives %q", got)
	}
}

func TestBadRecordsAreRejectedAndTheRestWritten(t *testing.T) {
	cfg := migrated(t)
	w, conn := writer(t, cfg, Deps{}), connect(t, cfg)
	l := &log{t: t, topic: schemas.Orders}
	cut := l.put("uk/1", order("uk", "1", 1, line{"A", 1, 100}))
	cut.Value = cut.Value[:len(cut.Value)-3]
	far := order("uk", "2", 1)
	far.CreatedMs = 1 << 60
	good := l.put("uk/3", order("uk", "3", 1, line{"A", 1, 100}))
	noKey := l.put("no slash", nil)
	header := l.put("uk/4", order("uk", "4", 1), stream.Header{Key: schemas.HeaderVersion, Value: []byte("x")})
	o := order("uk", "5", 1)
	o.Version = nil
	header.Value, _ = o.MarshalVTStrict()
	b := l.batch(cut, l.put("uk/2", far), good, noKey, header)
	for range 2 {
		err := w.Write(t.Context(), b)
		var rejected *stream.RejectedError
		if !errors.As(err, &rejected) {
			t.Fatalf("got %v, want a RejectedError", err)
		}
		var got []int
		for _, r := range rejected.Records {
			got = append(got, r.Index)
			if connectors.Class(r.Err) != "malformed" {
				t.Errorf("record %d has class %s: %v", r.Index, connectors.Class(r.Err), r.Err)
			}
		}
		if diff := cmp.Diff([]int{0, 1, 3, 4}, got); diff != "" {
			t.Errorf("rejected (-want +got):\n%s", diff)
		}
	}
	if got := one[string](t, conn, "SELECT groupConcat(order_id) FROM orders"); got != "3" {
		t.Errorf("written orders: %q, want 3", got)
	}
}

func TestMissingTableAndColumn(t *testing.T) {
	cfg := migrated(t)
	conn := connect(t, cfg)
	l := &log{t: t, topic: schemas.StockAlarms}
	b := l.batch(l.put("A", &event.StockAlarm{Sku: "A", Kind: event.AlarmKind_ALARM_KIND_SHORT, Units: 2, OccurredMs: 1_291_190_400_000, Version: &event.Version{Number: 1}}))
	known := writer(t, cfg, Deps{})
	write(t, known, b) // has verified the table
	tests := []struct {
		breaks, mends string
		want          []string
	}{
		{"ALTER TABLE stock_alarms DROP COLUMN units", "ALTER TABLE stock_alarms ADD COLUMN units Int64", []string{"stock_alarms", "units", "crossdock migrate"}},
		{"ALTER TABLE stock_alarms MODIFY COLUMN units String", "ALTER TABLE stock_alarms MODIFY COLUMN units Int64", []string{"stock_alarms", "units", "String", "Int64"}},
		{"RENAME TABLE stock_alarms TO elsewhere", "RENAME TABLE elsewhere TO stock_alarms", []string{"stock_alarms", "does not exist", "crossdock migrate"}},
	}
	for i, tt := range tests {
		if err := conn.Exec(t.Context(), tt.breaks); err != nil {
			t.Fatal(err)
		}
		for which, w := range map[string]*Writer{"fresh": writer(t, cfg, Deps{}), "one that knew the table": known} {
			b.Token = which + tt.breaks
			err := w.Write(t.Context(), b)
			if which != "fresh" && i == 1 && err == nil {
				continue // the server converts what it is sent
			}
			if err == nil {
				t.Fatalf("%s: a %s writer wrote", tt.breaks, which)
			}
			if connectors.Class(err) != "transient" {
				t.Errorf("%s: class %s: the batch would be lost", tt.breaks, connectors.Class(err))
			}
			for _, want := range tt.want {
				if which == "fresh" && !strings.Contains(err.Error(), want) {
					t.Errorf("%s: the error does not name %q: %v", tt.breaks, want, err)
				}
			}
		}
		if err := conn.Exec(t.Context(), tt.mends); err != nil {
			t.Fatal(err)
		}
	}
	write(t, known, b) // goes on by itself
}

func TestTombstones(t *testing.T) {
	cfg := migrated(t)
	w, conn := writer(t, cfg, Deps{}), connect(t, cfg)
	l := &log{t: t, topic: schemas.Orders}
	first := l.batch(l.put("uk/1", order("uk", "1", 1, line{"A", 1, 100})), l.put("uk/2", order("uk", "2", 2, line{"A", 1, 100})))
	write(t, w, first)
	// Gone, and come back in the same batch; the other one is gone for good.
	second := l.batch(l.put("uk/1", nil), l.put("uk/1", order("uk", "1", 5, line{"B", 1, 100})), l.put("uk/2", nil))
	write(t, w, second)
	write(t, w, second)
	if got := one[string](t, conn, "SELECT groupConcat(order_id || sku) FROM order_lines"); got != "1B" {
		t.Errorf("lines left: %q, want 1B", got)
	}
	// A replay from the beginning ends in the same state.
	again := writer(t, cfg, Deps{})
	first.Token, second.Token = "replay-1", "replay-2"
	write(t, again, first)
	write(t, again, second)
	if got := one[string](t, conn, "SELECT groupConcat(order_id || sku) FROM order_lines"); got != "1B" {
		t.Errorf("lines left after a replay: %q, want 1B", got)
	}
}

// Every topic's record arrives in its table, under every column.
func TestEveryTopicIsWritten(t *testing.T) {
	cfg := migrated(t)
	w, conn := writer(t, cfg, Deps{}), connect(t, cfg)
	const when = 1_291_190_400_000
	shown := int64(4)
	dead, err := (&event.DeadLetter{Stage: "translate", Code: "malformed", Reason: "no order", Topic: "raw.orders.v1", Partition: 1, Offset: 2, TimestampMs: when, Attempt: 1, FailedMs: when}).MarshalVTStrict()
	if err != nil {
		t.Fatal(err)
	}
	version := []stream.Header{{Key: schemas.HeaderVersion, Value: []byte("1.42")}}
	tests := []struct {
		topic   schemas.Topic
		key     string
		message stream.Message
		headers []stream.Header
		query   string
		want    string
	}{
		{schemas.Orders, "uk/1", order("uk", "1", 3, line{"A", 2, 150}), nil, "SELECT concat(order_id, ' ', toString(total), ' ', status, ' ', origin_path, ' ', toString(_offset)) FROM orders", "1 3 open webhook 0"},
		{schemas.StockLevels, "A", &event.StockLevel{Sku: "A", Version: &event.Version{Number: 9}, OnHand: 5, Reserved: 2, Available: 3, ChangedMs: when, Cause: "order/uk/1", Warehouses: []*event.WarehouseLevel{{Warehouse: "main", Sum: 5, OnHand: 5, Reserved: 2}}, Listings: []*event.LinkedListing{{Account: "uk", ListingId: "LA", Target: 3}}}, nil,
			"SELECT concat(sku, ' ', warehouse, ' ', toString(on_hand), ' ', toString(reserved)) FROM stock_by_warehouse", "A main 5 2"},
		{schemas.StockClaims, "A|main|order/uk/1", &event.Claim{CauseVersion: &event.Version{Number: 3}, OnHand: -1, Reserved: 2}, version, "SELECT concat(sku, ' ', warehouse, ' ', move_id, ' ', toString(on_hand), ' ', toString(_version)) FROM stock_claims", "A main order/uk/1 -1 42"},
		{schemas.StockAlarms, "A", &event.StockAlarm{Sku: "A", Kind: event.AlarmKind_ALARM_KIND_OVERSOLD, Units: 2, OccurredMs: when, Version: &event.Version{Number: 1}}, nil, "SELECT concat(kind, ' ', toString(units)) FROM stock_alarms", "oversold 2"},
		{schemas.StockAdjustments, "uk/a1", &event.Adjustment{Account: "uk", Id: "a1", Kind: event.MoveKind_MOVE_KIND_WRITE_OFF, Sku: "A", Quantity: -3, OccurredMs: when}, nil, "SELECT concat(adjustment_id, ' ', kind, ' ', toString(quantity)) FROM adjustments", "a1 write_off -3"},
		{schemas.StockReturns, "uk/u1", &event.UnmatchedReturn{Account: "uk", Id: "u1", Reference: "C1#1", Sku: "A", Quantity: 1, Amount: gbp(250), Reason: "no order", OccurredMs: when}, nil, "SELECT concat(return_id, ' ', reference, ' ', toString(amount)) FROM unmatched_returns", "u1 C1#1 2.5"},
		{schemas.Listings, "uk/LA", &event.Listing{Account: "uk", Id: "LA", Connector: "shopify", Price: gbp(299), Stocked: true, Identifiers: []*event.Identifier{{Kind: event.IdentifierKind_IDENTIFIER_KIND_GTIN, Value: "4006381333931"}}, Version: &event.Version{Number: 1}}, nil, "SELECT concat(listing_id, ' ', toString(price), ' ', identifier_kinds[1], ' ', identifiers[1]) FROM listings", "LA 2.99 gtin 4006381333931"},
		{schemas.PushTargets, "uk/LA", &event.PushTarget{Account: "uk", ListingId: "LA", Sku: "A", Quantity: 3, Believed: &shown, Decrease: true, DecidedMs: when, Version: &event.Version{Epoch: 2, Number: 9}}, nil, "SELECT concat(toString(quantity), ' ', toString(believed), ' ', toString(_version_epoch), '.', toString(_version)) FROM push_targets", "3 4 2.9"},
		{schemas.PushOutcomes, "uk/LA", &event.PushOutcome{Account: "uk", ListingId: "LA", Sku: "A", Quantity: 3, Outcome: event.Outcome_OUTCOME_NOT_SENT, CommandId: "c1", StartedMs: when, FinishedMs: when, TargetVersion: &event.Version{Epoch: 2, Number: 9}}, nil, "SELECT concat(command_id, ' ', outcome, ' ', toString(read_back)) FROM push_outcomes", "c1 not_sent -1"},
		{schemas.Commands, "uk/1", &event.CommandBook{Account: "uk", OrderId: "1", Commands: []*event.CommandStatus{
			{Command: &event.Command{Id: "depot/s", Account: "uk", OrderId: "1", RequestedMs: when, Action: &event.Command_Shipment{Shipment: &event.ShipmentReport{Lines: []*event.CommandLine{{LineId: "1", Quantity: 2}, {LineId: "2", Quantity: 1}}, CarrierCode: "dhl", Tracking: "T1"}}}, State: event.CommandState_COMMAND_STATE_DONE, ChangedMs: when},
			{Command: &event.Command{Id: "depot/r", Account: "uk", OrderId: "1", RequestedMs: when, Action: &event.Command_Refund{Refund: &event.RefundRequest{Amount: &event.Amount{Value: &event.Decimal{Unscaled: 1250, Scale: 2}, Currency: "GBP"}, Note: "for Ada Lovelace"}}}, State: event.CommandState_COMMAND_STATE_NEEDS_PERSON, Outcome: event.Outcome_OUTCOME_UNKNOWN, Code: "timeout", ChangedMs: when},
		}}, version, "SELECT groupConcat(' ')(concat(kind, ' ', state, ' ', outcome, code, amount_text, currency, ' ', toString(ifNull(amount, 0)), ' ', toString(units), carrier, tracking, ' ', toString(_version))) FROM (SELECT *, amount FROM commands ORDER BY command_id DESC)", "shipment done  0 3dhlT1 42 refund needs_person unknowntimeout12.50GBP 12.5 0 42"},
		{schemas.CommandOutcomes, "uk/1", &event.CommandOutcome{Account: "uk", OrderId: "1", CommandId: "depot/r", Kind: "refund", Outcome: event.Outcome_OUTCOME_UNKNOWN, GaveUp: true, WriteId: "abc", StartedMs: when, FinishedMs: when, TargetVersion: &event.Version{Number: 9}}, nil, "SELECT concat(command_id, ' ', kind, ' ', outcome, ' ', toString(gave_up), ' ', write_id, ' ', toString(target_version)) FROM command_outcomes", "depot/r refund unknown true abc 9"},
		{schemas.Valuations, "order/uk/1/2", &event.Valuation{Subject: "order/uk/1/2", Version: &event.Version{Number: 3}, Amount: gbp(300), Reporting: &event.Money{Minor: 354, Currency: "EUR"}, Source: "ecb", RateDate: "2010-11-30", OccurredMs: when}, version, "SELECT concat(kind, ' ', account, ' ', object_id, ' ', toString(reporting), ' ', toString(_version)) FROM valuations", "order uk 1/2 3.54 42"},
		{schemas.RateDays, "ecb/1999-01-04", &event.RateDay{Source: "ecb", Base: "EUR", Date: "1999-01-04", Rates: []*event.Rate{{Currency: "USD", Value: &event.Decimal{Unscaled: 11789, Scale: 4}}, {Currency: "JPY", Value: &event.Decimal{Unscaled: 13373, Scale: 2}}}}, nil, "SELECT groupConcat(' ')(concat(toString(date), currency, toString(rate))) FROM (SELECT *, rate FROM rates ORDER BY currency)", "1999-01-04JPY133.73 1999-01-04USD1.1789"},
		{schemas.DeadLetters("translate"), "uk/x", nil, []stream.Header{{Key: schemas.HeaderDeadLetter, Value: dead}}, "SELECT concat(stage, ' ', code, ' ', object, ' ', toString(offset)) FROM dead_letters", "translate malformed uk/x 2"},
		{schemas.Alerts, "lag/orders", &event.Alert{Id: "x", Kind: "lag", Severity: event.Severity_SEVERITY_WARNING, Subject: "orders", Text: "slow", RaisedMs: when}, nil, "SELECT concat(kind, ' ', severity) FROM alerts", "lag warning"},
	}
	covered := map[string]bool{}
	for _, tt := range tests {
		covered[family(tt.topic.Name)] = true
		l := &log{t: t, topic: tt.topic}
		b := l.batch(l.put(tt.key, tt.message, tt.headers...))
		write(t, w, b)
		write(t, w, b)
		if got := one[string](t, conn, tt.query); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.topic.Name, got, tt.want)
		}
	}
	if rows := one[string](t, conn, "SELECT groupConcat(formatRow('JSONEachRow', *)) FROM commands"); strings.Contains(rows, "Lovelace") {
		t.Errorf("a note of the seller stands in the tables: %s", rows)
	}
	for _, topic := range w.Topics() {
		if !covered[family(topic.Name)] {
			t.Errorf("topic %s is written and not tested", topic.Name)
		}
	}
}

func TestUnknownTopicIsAnError(t *testing.T) {
	cfg := migrated(t)
	w := writer(t, cfg, Deps{})
	l := &log{t: t, topic: schemas.RawOrders}
	if err := w.Write(t.Context(), l.batch(l.put("k", nil))); err == nil || !strings.Contains(err.Error(), "raw.orders.v1") {
		t.Errorf("got %v, want an error that names the topic", err)
	}
}
