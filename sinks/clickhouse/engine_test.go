package clickhouse

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/embedded"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/internal/testkit"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// address is the engine's HTTP interface: the one that `make services` started, else the
// embedded engine if its library is in the cache, else empty.
var address string

func TestMain(m *testing.M) {
	code := func() int {
		if address = os.Getenv("CROSSDOCK_TEST_CLICKHOUSE"); address != "" {
			return m.Run()
		}
		library, err := embedded.FindLibrary("")
		if err != nil {
			return m.Run()
		}
		dir, err := os.MkdirTemp("", "clickhouse-sink")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		engine, err := embedded.NewClickHouse(embedded.ClickHouseConfig{Dir: dir, Library: library, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			panic(err)
		}
		defer engine.Close()
		address = engine.Addr()
		return m.Run()
	}()
	os.Exit(code)
}

var databases atomic.Int64

// emptyConfig is a database of the test's own that does not exist yet.
func emptyConfig(t testing.TB) Config {
	t.Helper()
	if address == "" {
		testkit.ClickHouse(t) // skips or fails
	}
	t.Setenv("CROSSDOCK_TEST_BUYER_KEY", "a key for tests")
	cfg := Config{
		Addrs:    []string{address},
		Database: fmt.Sprintf("t%d_%d", os.Getpid(), databases.Add(1)),
		BuyerKey: connectors.Secret("env:CROSSDOCK_TEST_BUYER_KEY"),
		Timeout:  30 * time.Second,
	}
	t.Cleanup(func() {
		conn, err := open(cfg, "default")
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if err := conn.Exec(context.Background(), "DROP DATABASE IF EXISTS "+cfg.Database); err != nil {
			t.Error(err)
		}
	})
	return cfg
}

// migrated is a database with all tables.
func migrated(t testing.TB) Config {
	t.Helper()
	cfg := emptyConfig(t)
	if err := Migrate(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func writer(t testing.TB, cfg Config, deps Deps) *Writer {
	t.Helper()
	w, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func connect(t testing.TB, cfg Config) driver.Conn {
	t.Helper()
	conn, err := open(cfg, cfg.Database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// one reads one value.
func one[T any](t testing.TB, conn driver.Conn, sql string) T {
	t.Helper()
	v, err := scalar[T](t.Context(), conn, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// log is a topic's partition as the tests write it: it counts offsets.
type log struct {
	t         testing.TB
	topic     schemas.Topic
	partition int32
	next      int64
}

func (l *log) put(key string, m stream.Message, headers ...stream.Header) *stream.Record {
	l.t.Helper()
	r := &stream.Record{Topic: l.topic, Partition: l.partition, Offset: l.next, TimestampMs: 1_290_000_000_000 + l.next, Key: []byte(key), Headers: headers}
	l.next++
	if m != nil {
		value, err := m.MarshalVTStrict()
		if err != nil {
			l.t.Fatal(err)
		}
		r.Value = value
	}
	return r
}

func (l *log) batch(records ...*stream.Record) *stream.Batch {
	first, last := records[0].Offset, records[len(records)-1].Offset
	return &stream.Batch{
		Topic: l.topic.Name, Partition: l.partition, First: first, Last: last, Records: records,
		Token: fmt.Sprintf("v1|%s|topic-id|%d|%d|%d", l.topic.Name, l.partition, first, last),
	}
}

func write(t testing.TB, w *Writer, b *stream.Batch) {
	t.Helper()
	if err := w.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func gbp(minor int64) *event.Money { return &event.Money{Minor: minor, Currency: "GBP"} }

// order makes an order of lines "sku:quantity:pence each", placed on 1 December 2010.
func order(account, id string, version int64, lines ...line) *event.Order {
	o := &event.Order{
		Connector: "shopify", Account: account, Id: id, Name: "#" + id, Currency: "GBP",
		CreatedMs: 1_291_190_400_000, UpdatedMs: 1_291_190_400_000 + version, Status: event.OrderStatus_ORDER_STATUS_OPEN,
		PaymentStatus: event.PaymentStatus_PAYMENT_STATUS_PAID, BuyerId: "17850", Version: &event.Version{Number: version},
		Destination: &event.Destination{Country: "GB", PostcodePrefix: "SW1"},
		Personal:    &event.PersonalData{Name: "Ada Lovelace", Email: "ada@example.org"},
		Origin:      &event.Origin{Connector: "shopify", Account: account, Topic: "raw.orders.v1", Partition: 3, Offset: version, Path: event.Path_PATH_WEBHOOK, ReceivedMs: 1_291_190_401_000},
	}
	var total int64
	for i, l := range lines {
		total += l.quantity * l.pence
		o.Lines = append(o.Lines, &event.OrderLine{
			Id: fmt.Sprint(i + 1), ListingId: "L" + l.sku, PlatformSku: l.sku, Title: "Thing " + l.sku, Quantity: l.quantity,
			UnitPrice: &event.Decimal{Unscaled: l.pence, Scale: 2}, Total: gbp(l.quantity * l.pence), Stocked: true,
			Resolution: &event.Resolution{Sku: l.sku, Multiplier: 1, Rule: event.MatchRule_MATCH_RULE_SKU},
		})
	}
	o.Subtotal, o.Total = gbp(total), gbp(total)
	return o
}

type line struct {
	sku             string
	quantity, pence int64
}
