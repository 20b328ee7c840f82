package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	goredis "github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/cmd/crossdock/dev"
	"github.com/helloword/crossdock/cmd/crossdock/shops"
	"github.com/helloword/crossdock/internal/embedded"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/testkit"
	"github.com/helloword/crossdock/schemas"
)

// stage is the engines, embedded unless a test puts others in their place; they outlive the
// run so that they can be looked into.
type stage struct {
	// Addresses; those of several nodes of Redis with commas between them.
	kafka, redis, clickhouse string
	// More keys of the configuration's sections, each behind a comma.
	kafkaKeys, redisKeys string
	logs                 *lines
}

// lines is a log that several write.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) Bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

func engines(t *testing.T) *stage {
	t.Helper()
	library, err := embedded.FindLibrary("")
	if err != nil {
		if !testkit.Required() {
			t.Skipf("NOTICE: nothing is played: the ClickHouse library is not in the cache (%v); REQUIRE_SERVICES=1 fetches it", err)
		}
		cache, err := embedded.CacheDir("")
		if err != nil {
			t.Fatal(err)
		}
		if library, err = embedded.Library(t.Context(), cache, t.Output()); err != nil {
			t.Fatal(err)
		}
	}
	s := &stage{logs: new(lines)}
	log := slog.New(slog.NewTextHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	dir := t.TempDir()
	closing := func(f func() error) {
		t.Cleanup(func() {
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	b, err := embedded.NewBroker(embedded.BrokerConfig{Dir: filepath.Join(dir, "kafka"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	closing(b.Close)
	r, err := embedded.NewRedis(embedded.RedisConfig{Dir: filepath.Join(dir, "redis"), SnapshotEvery: time.Minute, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	closing(r.Close)
	c, err := embedded.NewClickHouse(embedded.ClickHouseConfig{Dir: filepath.Join(dir, "clickhouse"), Library: library, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	closing(c.Close)
	s.kafka, s.redis, s.clickhouse = b.Addr(), r.Addr(), c.Addr()
	return s
}

// TestYearInMiniature plays every rule of the merchant once, with duplicated, reordered and
// dropped webhooks, and looks for secrets in all that remains of it.
func TestYearInMiniature(t *testing.T) {
	s := engines(t)
	got := s.miniature(t)
	// Of 16 on the shelf 500 were written off, and 16 are sold: facts of their own, never a silent
	// negative.
	short := s.query(t, "SELECT sku, toString(on_hand), toString(short), toString(available), toString(oversold) FROM stock_levels FINAL WHERE short > 0")
	if diff := cmp.Diff("SKU4\t0\t484\t0\t16\n", short); diff != "" {
		t.Errorf("what is short (-want +got):\n%s", diff)
	}
	if c := got.ByChannel["shopify"]; len(got.ByChannel) != 1 || c == nil || c.Orders != got.Orders {
		t.Errorf("by channel: %v", got.ByChannel)
	}
	t.Run("secrets nowhere", func(t *testing.T) { s.noSecrets(t) })
}

// TestMiniatureOverFiveChannels: the same year on five platforms comes to the same, whatever each
// of them can do and tell.
func TestMiniatureOverFiveChannels(t *testing.T) {
	s := engines(t)
	got := s.miniature(t, five...)
	want := map[string]dev.Channel{
		"shopify": {Orders: 11, GrossMinor: 10*250 + 1000 + 1800 + 300}, "woocommerce": {Orders: 10, GrossMinor: 10 * 250}, "magento": {Orders: 1, GrossMinor: 12 + 38},
		"amazon": {Orders: 10, GrossMinor: 10 * 250}, "ebay": {Orders: 10, GrossMinor: 10 * 250},
	}
	for name, c := range got.ByChannel {
		if w := want[name]; c.Orders != w.Orders || c.GrossMinor != w.GrossMinor || c.PushesAccepted == 0 || c.ListingsDiffering != 0 {
			t.Errorf("%s: %+v, want %+v", name, *c, w)
		}
	}
	if len(got.ByChannel) != len(five) {
		t.Errorf("%d channels, want %d", len(got.ByChannel), len(five))
	}
	// A return that the platform does not tell of is on the shelf, and stands with its order.
	told := s.query(t, "SELECT kind, count(), sum(quantity) FROM adjustments FINAL WHERE kind = 'return' GROUP BY kind")
	if told == "" {
		t.Error("no goods came back through the warehouse")
	}
	t.Run("secrets nowhere", func(t *testing.T) { s.noSecrets(t) })
}

// five are all platforms.
var five = []string{"shopify", "woocommerce", "magento", "amazon", "ebay"}

// miniature plays the made-up year, and checks what it came to: the same on whatever channels.
func (s *stage) miniature(t *testing.T, channels ...string) *dev.Report {
	t.Helper()
	orders, rates, count := writeFiles(t)
	log := slog.New(slog.NewTextHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	got, err := dev.Year(ctx, dev.Options{
		Dir: t.TempDir(), Orders: orders, Rates: rates, Channels: channels, Exit: true, Version: "test", Log: log, Progress: io.Discard,
		Faults: shops.Faults{Duplicate: 0.2, Reorder: 0.2, ReorderBy: 50 * time.Millisecond, Drop: 0.2},
		Kafka:  s.kafka, Redis: s.redis, ClickHouse: s.clickhouse,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Err(); err != nil {
		t.Error(err)
	}
	want := &dev.Report{
		Lines: count, LinesAccounted: count,
		Orders: 42, OrderLines: 45, Units: 91, GrossMinor: 40*250 + 12 + 38 + 1000 + 1800 + 300,
		// At 0.85 pounds a euro: 40 × 294.1, 58.8 and 3647.1 cents, each rounded.
		GrossReportingMinor: 40*294 + 59 + 3647,
		ReturnInvoices:      4, ReturnLines: 4, ReturnMinor: 875 + 250 + 125 + 2750, UnmatchedReturns: 2,
		WriteOffLines: 2, WriteOffUnits: 503, ReceiptLines: 2, ReceiptUnits: 14, RefusedLines: 3,
		SKUs: 6,
	}
	ignore := cmpopts.IgnoreFields(dev.Report{}, "WebhooksSent", "WebhooksDuplicated", "WebhooksDropped", "FoundByPoll", "PushesAccepted", "Seconds", "PeakRSSMB", "ByChannel")
	if diff := cmp.Diff(want, got, ignore, cmpopts.IgnoreUnexported(dev.Report{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.ListingsDiffering > 0 {
		t.Logf("last writes:\n%s", s.query(t, "SELECT account, sku, quantity, outcome, started_at FROM push_outcomes FINAL ORDER BY account, sku, started_at DESC LIMIT 1 BY account, sku"))
		t.Logf("levels:\n%s", s.query(t, "SELECT sku, on_hand, reserved, available, oversold, short FROM stock_levels FINAL"))
		t.Logf("last decisions:\n%s", s.query(t, "SELECT account, sku, quantity, believed, cause, decided_at FROM push_targets FINAL ORDER BY account, sku, _version DESC LIMIT 1 BY account, sku"))
	}
	if got.WebhooksDropped == 0 || got.WebhooksDuplicated == 0 {
		t.Errorf("nothing went wrong on the way: %d dropped, %d duplicated", got.WebhooksDropped, got.WebhooksDuplicated)
	}
	return got
}

// query asks ClickHouse over HTTP.
func (s *stage) query(t *testing.T, sql string) string {
	t.Helper()
	u := "http://" + s.clickhouse + "/?" + url.Values{"database": {schemas.Scope{Tenant: "dev", Environment: schemas.Test}.Database()}, "default_format": {"TabSeparated"}}.Encode()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, u, strings.NewReader(sql))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %.300s %v", sql, resp.Status, b, err)
	}
	return string(b)
}

// noSecrets scans every byte that the run left behind in topics, tables, state and logs.
func (s *stage) noSecrets(t *testing.T) {
	secrets := []string{"crossdock-dev-shop", "crossdock-dev-depot-secret", "crossdock-dev-buyer-key"}
	scanned := make(map[string]int)
	look := func(kind, where string, b []byte) {
		scanned[kind] += len(b)
		for _, secret := range secrets {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("a secret (%s) stands in %s %s", secret, kind, where)
			}
		}
	}
	log := slog.New(slog.DiscardHandler)
	scope := schemas.Scope{Tenant: "dev", Environment: schemas.Test}
	err := kafka.Scan(t.Context(), kafka.Config{Brokers: []string{s.kafka}}, scope, log, schemas.Topics(), time.Time{}, func(r *kafka.Scanned) error {
		at := fmt.Sprintf("%s/%d@%d", r.Topic.Name, r.Partition, r.Offset)
		look("topic", at, r.Key)
		look("topic", at, r.Value)
		for _, h := range r.Headers {
			look("topic", at, h.Value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range strings.Fields(s.query(t, "SHOW TABLES")) {
		look("table", table, []byte(s.query(t, "SELECT * FROM `"+table+"`")))
	}
	s.scanRedis(t, look)
	look("log", "", s.logs.Bytes())
	for _, kind := range []string{"topic", "table", "redis", "log"} {
		if scanned[kind] == 0 {
			t.Errorf("nothing was scanned of kind %s", kind)
		}
	}
	t.Logf("bytes scanned: %v", scanned)
}

func (s *stage) scanRedis(t *testing.T, look func(kind, where string, b []byte)) {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Addr: s.redis})
	defer c.Close()
	keys := c.Scan(t.Context(), 0, "*", 1000).Iterator()
	for keys.Next(t.Context()) {
		k := keys.Val()
		look("redis", k, []byte(k))
		switch kind := c.Type(t.Context(), k).Val(); kind {
		case "string":
			look("redis", k, []byte(c.Get(t.Context(), k).Val()))
		case "hash":
			for f, v := range c.HGetAll(t.Context(), k).Val() {
				look("redis", k, []byte(f+v))
			}
		case "set":
			look("redis", k, []byte(strings.Join(c.SMembers(t.Context(), k).Val(), "\n")))
		case "zset":
			look("redis", k, []byte(strings.Join(c.ZRange(t.Context(), k, 0, -1).Val(), "\n")))
		default:
			t.Errorf("key %s is a %s, which nobody scanned", k, kind)
		}
	}
	if err := keys.Err(); err != nil {
		t.Fatal(err)
	}
}
