package stream

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// benchRedis is the real one when there is one, else miniredis.
func benchRedis(b *testing.B) (redis.UniversalClient, string) {
	if addr := os.Getenv("CROSSDOCK_TEST_REDIS"); addr != "" {
		c := redis.NewClient(&redis.Options{Addr: addr})
		b.Cleanup(func() { _ = c.Close() })
		return c, "redis"
	}
	c := redis.NewClient(&redis.Options{Addr: miniredis.RunT(b).Addr()})
	b.Cleanup(func() { _ = c.Close() })
	return c, "miniredis"
}

const benchBatch = 2000

// BenchmarkHandle is Prepare, Load, Handle and Apply of one partition, in batches, without Kafka.
func BenchmarkHandle(b *testing.B) {
	client, engine := benchRedis(b)
	for _, keys := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("%s/keys=%d", engine, keys), func(b *testing.B) {
			room, err := NewRoom(newSumRoom(), "bench")
			if err != nil {
				b.Fatal(err)
			}
			st := newRedisStore(client, scopeOf("b"+nonce()), room.name, room.stored())
			s := newSession(room, here, sumsIn, st, -1)
			value := binary.BigEndian.AppendUint64(nil, 1)
			batch := make([]*Record, benchBatch)
			next := int64(0)
			handled := 0
			for b.Loop() {
				for i := range batch {
					batch[i] = &Record{Topic: sumsIn, Offset: next, Key: fmt.Append(nil, "k", (next*7919)%int64(keys)), Value: value, TimestampMs: 1_800_000_000_000}
					next++
				}
				if _, err := s.handle(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
				handled += len(batch)
			}
			b.ReportMetric(float64(handled)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkDedup is what an event id costs with many known already: 5 % are duplicates.
func BenchmarkDedup(b *testing.B) {
	client, engine := benchRedis(b)
	for _, known := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("%s/known=%d", engine, known), func(b *testing.B) {
			if known > 100_000 && testing.Short() {
				b.Skip("fills a million marks")
			}
			room, err := NewRoom(onceRoom{}, "bench")
			if err != nil {
				b.Fatal(err)
			}
			st := newRedisStore(client, scopeOf("b"+nonce()), room.name, room.stored())
			s := newSession(room, here, sumsIn, st, -1)
			next := int64(0)
			round := func() {
				batch := make([]*Record, benchBatch)
				for i := range batch {
					id := next
					if next%20 == 19 {
						id = next / 2 // came before
					}
					batch[i] = &Record{Topic: sumsIn, Offset: next, Value: fmt.Appendf(nil, "event-number-%d", id), TimestampMs: 1_800_000_000_000}
					next++
				}
				if _, err := s.handle(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
			}
			for next < int64(known) {
				round()
			}
			b.ResetTimer()
			handled := 0
			for b.Loop() {
				round()
				handled += benchBatch
			}
			b.ReportMetric(float64(handled)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
