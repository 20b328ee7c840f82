package clickhouse

import (
	"context"
	"errors"
	"fmt"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/helloword/crossdock/internal/stream"
)

// Bare is a batch whose rows were made beforehand: what is left is clickhouse-go alone. The
// benchmarks measure the sink against it.
type Bare struct {
	conn   driver.Conn
	reader reader
	cfg    Config
}

// Bare decodes a batch for insertion without the sink.
func (w *Writer) Bare(b *stream.Batch) (*Bare, error) {
	fam := family(b.Topic)
	r := w.newReader(fam)
	if r == nil {
		return nil, fmt.Errorf("clickhouse: topic %s is not one that is written", b.Topic)
	}
	if rejected, _ := w.read(r, fam, b); len(rejected) > 0 {
		return nil, errors.Join(errors.New("clickhouse: the batch has records that cannot be written"), rejected[0].Err)
	}
	return &Bare{w.conn, r, w.cfg}, nil
}

// Rows is how many rows Insert inserts, over all tables.
func (b *Bare) Rows() (n int) {
	for _, t := range b.reader.tables() {
		n += t.n
	}
	return n
}

// Insert inserts the rows, every time anew: no token, no deduplication, the client's own way to
// learn the columns' types.
func (b *Bare) Insert(ctx context.Context) error {
	ctx = ch.Context(ctx, ch.WithSettings(ch.Settings{"async_insert": 0, "insert_deduplicate": 0, "max_partitions_per_insert_block": 2000}))
	for _, t := range b.reader.tables() {
		if t.n == 0 {
			continue
		}
		if err := appendAndSend(ctx, b.conn, t); err != nil {
			return fmt.Errorf("clickhouse: inserting into %s: %w", t.table, err)
		}
	}
	return nil
}
