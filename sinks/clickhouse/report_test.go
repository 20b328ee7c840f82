package clickhouse

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

const placed = 1_291_190_400_000 // 2010-12-01 08:00 UTC

func newReaderFor(t testing.TB, cfg Config) *Reader {
	t.Helper()
	r, err := NewReader(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func TestFiguresOfAnEmptyDatabase(t *testing.T) {
	got, err := newReaderFor(t, migrated(t)).Figures(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Figures{}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A small trade, counted by hand. Everything is written twice under other tokens, so that the
// figures do not lean on the deduplication of inserts.
func TestFiguresByHand(t *testing.T) {
	cfg := migrated(t)
	w := writer(t, cfg, Deps{})
	if err := connect(t, cfg).Exec(t.Context(), "SYSTEM STOP MERGES order_history"); err != nil {
		t.Fatal(err)
	}
	var batches []*stream.Batch
	put := func(topic schemas.Topic, key string, m stream.Message, headers ...stream.Header) {
		l := &log{t: t, topic: topic, next: int64(len(batches))}
		batches = append(batches, l.batch(l.put(key, m, headers...)))
	}
	refund := func(id, note string, minor int64) *event.Refund {
		return &event.Refund{Account: "uk", Id: id, CreatedMs: placed + 1000, Total: gbp(minor), Note: note}
	}
	// Order 1: two versions; the newest has 2×150 + 1×999 = 1299 in 3 units and two refunds.
	put(schemas.Orders, "uk/1", order("uk", "1", 1, line{"A", 7, 150}, line{"C", 1, 50}))
	o := order("uk", "1", 5, line{"A", 2, 150}, line{"B", 1, 999})
	o.Refunds = []*event.Refund{refund("r1", "C9#1+2", 300), refund("r2", "C10#1", 400)}
	put(schemas.Orders, "uk/1", o)
	// Order 2: found by the poll; C10's first line goes on here: still one line of the file.
	o = order("uk", "2", 2, line{"A", 10, 100})
	o.Origin.Path = event.Path_PATH_POLL
	o.Refunds = []*event.Refund{refund("r3", "C10#1", 100)}
	put(schemas.Orders, "uk/2", o)
	// Order 3 waits for its rate, order 4 is a test.
	put(schemas.Orders, "de/3", order("de", "3", 3, line{"B", 4, 25}))
	o = order("de", "4", 4, line{"B", 400, 25})
	o.Test = true
	o.Refunds = []*event.Refund{refund("r4", "C99#1", 1)}
	put(schemas.Orders, "de/4", o)
	value := func(subject string, version, minor int64, waiting bool) {
		put(schemas.Valuations, subject, &event.Valuation{Subject: subject, Version: &event.Version{Number: version}, Reporting: &event.Money{Minor: minor, Currency: "EUR"}, Waiting: waiting, OccurredMs: placed})
	}
	value("order/uk/1", 1, 99999, false)
	value("order/uk/1", 5, 1550, false)
	value("order/uk/2", 2, 1200, false)
	value("order/de/3", 3, 77, true)
	value("refund/uk/1/r1", 5, 5000, false)
	unmatched := func(id, ref string, minor int64) {
		put(schemas.StockReturns, "uk/"+id, &event.UnmatchedReturn{Account: "uk", Id: id, Reference: ref, Sku: "A", Quantity: 1, Amount: gbp(minor), OccurredMs: placed})
	}
	unmatched("u1", "C10#1", 50) // the rest of a line that was refunded in parts
	unmatched("u2", "C11#4", 70)
	adjust := func(id string, kind event.MoveKind, n int64) {
		put(schemas.StockAdjustments, "uk/"+id, &event.Adjustment{Account: "uk", Id: id, Kind: kind, Sku: "A", Quantity: n, OccurredMs: placed})
	}
	adjust("a1", event.MoveKind_MOVE_KIND_WRITE_OFF, -3)
	adjust("a2", event.MoveKind_MOVE_KIND_WRITE_OFF, 4)
	adjust("a3", event.MoveKind_MOVE_KIND_RECEIPT, 10)
	adjust("a4", event.MoveKind_MOVE_KIND_OPENING, 1000)
	dead := func(stage string, offset, attempt int64) {
		h, err := (&event.DeadLetter{Stage: stage, Code: "malformed", Topic: "raw.orders.v1", Offset: offset, Attempt: attempt, TimestampMs: placed, FailedMs: placed}).MarshalVTStrict()
		if err != nil {
			t.Fatal(err)
		}
		put(schemas.DeadLetters(stage), "uk/x", nil, stream.Header{Key: schemas.HeaderDeadLetter, Value: h})
	}
	dead("translate", 7, 1)
	dead("translate", 7, 2)
	dead("translate", 8, 1)
	dead("orders", 9, 1)
	level := func(sku string, version, onHand, short int64) {
		put(schemas.StockLevels, sku, &event.StockLevel{Sku: sku, Version: &event.Version{Number: version}, OnHand: onHand, Available: onHand, Short: short, ChangedMs: placed})
	}
	level("A", 2, 5, 0)
	level("A", 1, 9, 0)
	level("B", 1, 0, 2)
	outcome := func(command string, o event.Outcome, ms int64) {
		put(schemas.PushOutcomes, "uk/LA", &event.PushOutcome{Account: "uk", ListingId: "LA", CommandId: command, Outcome: o, StartedMs: ms, FinishedMs: ms})
	}
	outcome("c1", event.Outcome_OUTCOME_UNKNOWN, placed)
	outcome("c1", event.Outcome_OUTCOME_ACCEPTED, placed+5)
	outcome("c1", event.Outcome_OUTCOME_ACCEPTED, placed+9)
	outcome("c2", event.Outcome_OUTCOME_ACCEPTED, placed)
	outcome("c3", event.Outcome_OUTCOME_REFUSED, placed)

	for round := range 2 {
		for _, b := range batches {
			b.Token = strings.Repeat("again-", round) + b.Token
			write(t, w, b)
		}
	}
	want := Figures{
		Orders: 3, OrderLines: 4, Units: 17, GrossMinor: 1299 + 1000 + 100, Currencies: 1, FoundByPoll: 1,
		GrossReportingMinor: 2750, OrdersUnvalued: 1,
		ReturnInvoices: 3, ReturnLines: 4, ReturnMinor: 920, RefundedMinor: 800, UnmatchedReturnLines: 2, UnmatchedReturnMinor: 120,
		WriteoffLines: 2, WriteoffUnits: 7, ReceiptLines: 1, ReceiptUnits: 10,
		RefusedLines: 2, DeadLetters: 3, SKUs: 2, SKUsShort: 1, PushesAccepted: 2,
	}
	r := newReaderFor(t, cfg)
	got, err := r.Figures(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
	levels, err := r.Levels(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]Level{"A": {OnHand: 5, Available: 5, Version: 2}, "B": {Short: 2, Version: 1}}, levels); diff != "" {
		t.Errorf("levels (-want +got):\n%s", diff)
	}
	counts, err := r.Rows(t.Context(), "orders", "stock_levels")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int64{"orders": 4, "stock_levels": 2}, counts); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	doubled, err := r.Doubled(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if doubled["order_history"] != 5 {
		t.Errorf("doubled rows of order_history: %d, want the 5 that were written under two tokens: %v", doubled["order_history"], doubled)
	}
}

func TestTrace(t *testing.T) {
	cfg := migrated(t)
	w := writer(t, cfg, Deps{})
	put := func(topic schemas.Topic, offset int64, key string, m stream.Message, headers ...stream.Header) {
		l := &log{t: t, topic: topic, next: offset}
		write(t, w, l.batch(l.put(key, m, headers...)))
	}
	put(schemas.Orders, 17, "uk/1", order("uk", "1", 1, line{"A", 2, 150}))
	put(schemas.Orders, 18, "uk/2", order("uk", "2", 2, line{"A", 1, 150}))
	put(schemas.StockClaims, 5, "A|main|order/uk/1", &event.Claim{CauseVersion: &event.Version{Number: 1}, Reserved: 2}, stream.Header{Key: schemas.HeaderVersion, Value: []byte("0.30")})
	put(schemas.StockLevels, 6, "A", &event.StockLevel{Sku: "A", Version: &event.Version{Number: 30}, OnHand: 5, Reserved: 2, Available: 3, ChangedMs: placed + 3000, Cause: "order/uk/1"})
	put(schemas.StockLevels, 7, "A", &event.StockLevel{Sku: "A", Version: &event.Version{Number: 31}, OnHand: 5, Reserved: 3, Available: 2, ChangedMs: placed + 4000, Cause: "order/uk/2"})
	target := func(offset, level, quantity int64) {
		put(schemas.PushTargets, offset, "de/LA", &event.PushTarget{Account: "de", ListingId: "LA", Sku: "A", Quantity: quantity, Version: &event.Version{Epoch: 2, Number: level}, DecidedMs: placed + level*100, Cause: "level"})
	}
	target(8, 30, 3)
	target(9, 31, 2)
	// The first target was overtaken: only the second was written.
	put(schemas.PushOutcomes, 10, "de/LA", &event.PushOutcome{Account: "de", ListingId: "LA", Sku: "A", Quantity: 2, TargetVersion: &event.Version{Epoch: 2, Number: 31}, Outcome: event.Outcome_OUTCOME_ACCEPTED, CommandId: "c1", StartedMs: placed + 5000, FinishedMs: placed + 5000, Attempts: 1})
	put(schemas.Valuations, 11, "order/uk/1", &event.Valuation{Subject: "order/uk/1", Version: &event.Version{Number: 1}, Amount: gbp(300), Reporting: &event.Money{Minor: 354, Currency: "EUR"}, Source: "ecb", RateDate: "2010-11-30", OccurredMs: placed})
	refund := &event.Command{Id: "depot/r", Account: "uk", OrderId: "1", RequestedMs: placed + 6000, Action: &event.Command_Refund{Refund: &event.RefundRequest{Amount: &event.Amount{Value: &event.Decimal{Unscaled: 150, Scale: 2}, Currency: "GBP"}}}}
	put(schemas.Commands, 12, "uk/1", &event.CommandBook{Account: "uk", OrderId: "1", Version: &event.Version{Number: 40}, Commands: []*event.CommandStatus{{Command: refund, State: event.CommandState_COMMAND_STATE_REFUSED, Code: "PAID", Message: "it was not paid", ChangedMs: placed + 8000}}})
	put(schemas.CommandOutcomes, 13, "uk/1", &event.CommandOutcome{Account: "uk", OrderId: "1", CommandId: "depot/r", Kind: "refund", Outcome: event.Outcome_OUTCOME_REFUSED, Code: "PAID", Message: "it was not paid", WriteId: "abc", Attempts: 1, StartedMs: placed + 7000, FinishedMs: placed + 7000})

	got, err := newReaderFor(t, cfg).Trace(t.Context(), "uk", "1")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range got {
		lines = append(lines, e.Time.Format("05")+" "+e.Kind+" "+e.Subject+" | "+e.Text)
	}
	want := []string{
		"00 valuation order/uk/1 | 300 GBP = 354 EUR by ecb of 2010-11-30",
		"01 order uk/1 | open, paid, ; 1 lines, 2 units, 300 GBP minor, 0 refunds; by webhook from raw.orders.v1/3@1",
		"01 line uk/1 line 1 | SKU A by sku, quantity 2, 300 GBP minor",
		"03 claim A in main | reserves 2, on hand 0 by version 0.1",
		"03 level A | on hand 5, reserved 2, available 3",
		"03 target de/LA | show 3 of SKU A; level",
		"05 outcome de/LA | accepted: 2 for target 2.31, command c1, attempts 1",
		"06 command uk/1 | refund depot/r of 1.50 GBP: refused, PAID it was not paid",
		"07 command outcome uk/1 | refund depot/r refused, at the platform abc, attempts 1, PAID it was not paid",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if e := got[1]; e.Topic != "orders.v1" || e.Offset != 17 || e.Version != "0.1" {
		t.Errorf("coordinates of the order: %+v", e)
	}
	none, err := newReaderFor(t, cfg).Trace(t.Context(), "uk", `x' OR 1=1 --\`)
	if err != nil || len(none) != 0 {
		t.Errorf("an unknown order: %v, %v", none, err)
	}
}

func TestCheck(t *testing.T) {
	fails := func(cfg Config) (subjects []string) {
		t.Helper()
		all, err := Check(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 0 {
			t.Fatal("nothing was checked")
		}
		for _, r := range all {
			if !r.OK {
				if r.Advice == "" || r.Detail == "" {
					t.Errorf("%s fails and does not say what to do: %+v", r.Subject, r)
				}
				subjects = append(subjects, r.Subject)
			}
		}
		return subjects
	}
	cfg := emptyConfig(t)
	if got := fails(cfg); got != nil {
		t.Errorf("an empty server: %v", got)
	}
	if err := Migrate(t.Context(), cfg, quiet); err != nil {
		t.Fatal(err)
	}
	if got := fails(cfg); got != nil {
		t.Errorf("a migrated server: %v", got)
	}
	conn := connect(t, cfg)
	if err := conn.Exec(t.Context(), "ALTER TABLE orders MODIFY SETTING non_replicated_deduplication_window = 100"); err != nil {
		t.Fatal(err)
	}
	if err := conn.Exec(t.Context(), "DELETE FROM schema_migrations WHERE number > 3"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"migrations", "table orders"}, fails(cfg)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	cfg.Addrs = []string{"127.0.0.1:1"}
	if diff := cmp.Diff([]string{"server"}, fails(cfg)); diff != "" {
		t.Errorf("nobody there (-want +got):\n%s", diff)
	}
	for version, want := range map[string]bool{"24.8.1.2": true, "24.7.9": false, "25.1": true, "26.7.2.1": true, "9.8": false, "x": false} {
		if got := checkVersion(version).OK; got != want {
			t.Errorf("version %s: %v, want %v", version, got, want)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	good := Config{Addrs: []string{"localhost:8123"}, Database: "acme_test", Buyer: BuyerNone}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(*Config){
		"no address":       func(c *Config) { c.Addrs = nil },
		"write host:port":  func(c *Config) { c.Addrs = []string{"localhost"} },
		"protocol":         func(c *Config) { c.Protocol = "grpc" },
		"database":         func(c *Config) { c.Database = "a; DROP" },
		"cluster":          func(c *Config) { c.Cluster = "main" },
		"not a reference":  func(c *Config) { c.Password = "hunter2" },
		"compression":      func(c *Config) { c.Compression = "gzip" },
		"insert quorum":    func(c *Config) { c.InsertQuorum = "2" },
		"key for the hash": func(c *Config) { c.Buyer = "" },
		"buyer":            func(c *Config) { c.Buyer = "name" },
		"is not enabled":   func(c *Config) { c.TLS.CAFile = "x.pem" },
		"timeout":          func(c *Config) { c.Timeout = -1 },
	}
	for want, change := range tests {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("want an error about %q, got %v", want, err)
		}
	}
}
