package stream

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/schemas"
)

// Remember fills a partition's dedup memory with n made-up events, in the layout that the loop
// keeps, as if their records had been handled at a time: a load test begins with it. The ids
// follow from the numbers, so that filling twice leaves the same.
func Remember(ctx context.Context, client redis.UniversalClient, scope schemas.Scope, room string, input schemas.Topic, p int32, at time.Time, n int) error {
	s := newRedisStore(client, scope, room, nil)
	prefix := s.dedupKey(partition{input.Name, p}, at.UnixMilli()/dedupPeriod.Milliseconds())
	const perPipe = 256
	pipe := client.Pipeline()
	for bucket := range min(dedupBuckets, n) {
		var pairs []any
		for i := bucket; i < n; i += dedupBuckets {
			var field [12]byte
			binary.LittleEndian.PutUint64(field[:], uint64(i)*0x9e3779b97f4a7c15)
			binary.LittleEndian.PutUint32(field[8:], uint32(i))
			pairs = append(pairs, field[:], i)
		}
		key := prefix + strconv.Itoa(bucket)
		pipe.HSet(ctx, key, pairs...)
		pipe.PExpire(ctx, key, 2*dedupPeriod)
		if pipe.Len() >= 2*perPipe || bucket == min(dedupBuckets, n)-1 {
			if _, err := pipe.Exec(ctx); err != nil {
				return fmt.Errorf("filling the dedup memory of %s/%d: %w", input.Name, p, err)
			}
		}
	}
	return nil
}
