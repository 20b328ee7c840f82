package stream

import (
	"log/slog"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/testkit"
)

// BenchmarkRebuild: the state of a room with a hundred thousand keys from its table's topic, on
// real engines.
func BenchmarkRebuild(b *testing.B) {
	client := redis.NewClient(&redis.Options{Addr: testkit.Redis(b)})
	defer client.Close()
	e := &engines{deps: Deps{
		Kafka: kafka.Config{Brokers: []string{testkit.Kafka(b)}}, Redis: client, Scope: scopeOf("r" + nonce()),
		Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry()), Version: "test",
	}}
	e.topics(b, 8)
	const keys = 100_000
	records := make([]kafka.Record, keys)
	for i := range records {
		records[i] = number("order/shop-uk/"+strconv.Itoa(5_100_000_000+i), 1)
	}
	e.produce(b, records...)
	stop := e.start(b, newSumRoom())
	e.drained(b, "orders")
	if err := stop(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		res, err := Rebuild(b.Context(), newSumRoom(), e.deps, false, nil)
		if err != nil || res.Entries != keys {
			b.Fatalf("rebuilt %+v, %v", res, err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)*1e6/keys, "s/million-keys")
}
