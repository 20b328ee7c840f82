package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
)

// Deps is what a Writer is handed. A nil function is not called.
type Deps struct {
	Log *slog.Logger
	// Inserted is told of every insert that the server confirmed.
	Inserted func(table string, rows int, took time.Duration)
	// Inserting is called before each insert of a batch, concurrently: where a crash is provoked on purpose.
	Inserting func(table string)
}

// Writer writes batches into the tables. It may be called concurrently; each call uses at most
// two connections at a time, and calls beyond what the processors can prepare wait their turn: a
// batch takes several times its size while it is decoded, laid out and sent.
type Writer struct {
	cfg  Config
	deps Deps
	key  []byte
	conn driver.Conn
	turn chan struct{}

	mu sync.Mutex
	// free are readers at rest, by family of topics; each holds its slices for the next batch.
	free map[string][]reader
	// verified are the tables that were seen to have the columns this version writes.
	verified map[string]bool
}

var _ stream.BatchWriter = (*Writer)(nil)

const (
	tablesAtOnce = 2
	maxTurns     = 4 // batches at once
)

// maxFree bounds the readers kept per family, maxFreeRows the rows that each has room for: what
// a backlog needed once is not kept for ever.
const (
	maxFree     = 2
	maxFreeRows = 32_000
)

// New makes a Writer. It validates and reads the buyer key, and does not connect.
func New(cfg Config, deps Deps) (*Writer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	w := &Writer{
		cfg: cfg, deps: deps, turn: make(chan struct{}, min(max(2, runtime.GOMAXPROCS(0)), maxTurns)),
		free: map[string][]reader{}, verified: map[string]bool{},
	}
	if w.deps.Log == nil {
		w.deps.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Buyer == "" || cfg.Buyer == BuyerHash {
		key, err := cfg.BuyerKey.Resolve()
		if err != nil {
			return nil, fmt.Errorf("clickhouse: buyer key: %w", err)
		}
		w.key = []byte(key)
	}
	var err error
	w.conn, err = open(cfg, cfg.Database)
	return w, err
}

// Close closes the connections.
func (w *Writer) Close() error { return w.conn.Close() }

// Topics are what the Writer writes.
func (w *Writer) Topics() []schemas.Topic { return Topics() }

// Topics are what a Writer writes.
func Topics() []schemas.Topic {
	all := []schemas.Topic{
		schemas.Orders, schemas.StockLevels, schemas.StockClaims, schemas.StockAlarms, schemas.StockAdjustments, schemas.StockReturns,
		schemas.Listings, schemas.PushTargets, schemas.PushOutcomes, schemas.Commands, schemas.CommandOutcomes,
		schemas.Valuations, schemas.RateDays, schemas.Alerts,
	}
	for _, s := range schemas.Stages {
		all = append(all, schemas.DeadLetters(s))
	}
	return all
}

const deadLetters = "dlq"

// family is the topic, or dlq for every topic of dead letters.
func family(topic string) string {
	if strings.HasPrefix(topic, "dlq.") {
		return deadLetters
	}
	return topic
}

func (w *Writer) newReader(family string) reader {
	switch family {
	case schemas.Orders.Name:
		return newOrdersReader(newPseudonym(w.cfg.Buyer, w.key))
	case schemas.StockLevels.Name:
		return newLevelsReader()
	case schemas.StockClaims.Name:
		return newClaimsReader()
	case schemas.StockAlarms.Name:
		return newAlarmsReader()
	case schemas.StockAdjustments.Name:
		return newAdjustmentsReader()
	case schemas.StockReturns.Name:
		return newReturnsReader(newPseudonym(w.cfg.Buyer, w.key))
	case schemas.Listings.Name:
		return newListingsReader()
	case schemas.PushTargets.Name:
		return newTargetsReader()
	case schemas.PushOutcomes.Name:
		return newOutcomesReader()
	case schemas.Commands.Name:
		return newCommandsReader()
	case schemas.CommandOutcomes.Name:
		return newCommandOutcomesReader()
	case schemas.Valuations.Name:
		return newValuationsReader()
	case schemas.RateDays.Name:
		return newRatesReader()
	case schemas.Alerts.Name:
		return newAlertsReader()
	case deadLetters:
		return newDeadLettersReader()
	}
	return nil
}

func (w *Writer) take(family string) reader {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.free[family]); n > 0 {
		r := w.free[family][n-1]
		w.free[family] = w.free[family][:n-1]
		return r
	}
	return w.newReader(family)
}

func (w *Writer) giveBack(family string, r reader) {
	for _, t := range r.tables() {
		if t.n > maxFreeRows {
			return
		}
		t.reset()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.free[family]) < maxFree {
		w.free[family] = append(w.free[family], r)
	}
}

// gone is a record without value: the rows of its key that came before it go away.
type gone struct {
	offset int64
	removal
}

// Write writes a batch: one insert per table, each under its own token, then the removals.
// Written again it adds nothing. An error other than *stream.RejectedError is transient.
func (w *Writer) Write(ctx context.Context, b *stream.Batch) error {
	if len(b.Records) == 0 {
		return nil
	}
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	fam := family(b.Topic)
	rd := w.take(fam)
	if rd == nil {
		return fmt.Errorf("clickhouse: topic %s is not one that is written: subscribe to Topics()", b.Topic)
	}
	defer w.giveBack(fam, rd)

	rejected, removals := w.read(rd, fam, b)
	if err := w.insertTables(ctx, rd.tables(), b.Token); err != nil {
		return err
	}
	if err := w.remove(ctx, b, removals); err != nil {
		return err
	}
	if len(rejected) > 0 {
		return &stream.RejectedError{Records: rejected}
	}
	return nil
}

func (w *Writer) read(rd reader, fam string, b *stream.Batch) (rejected []stream.Rejected, removals []gone) {
	at := coordinates{topic: b.Topic, partition: b.Partition}
	for i, r := range b.Records {
		at.offset = r.Offset
		var err error
		// A dead letter's value is whatever could not be handled: it may be empty.
		if r.Value == nil && fam != deadLetters {
			var rs []removal
			rs, err = rd.removed(string(r.Key))
			for _, x := range rs {
				if err == nil {
					removals = append(removals, gone{r.Offset, x})
				}
			}
		} else {
			err = rd.add(r, at)
		}
		if err != nil {
			rejected = append(rejected, stream.Rejected{Index: i, Err: fmt.Errorf("%s/%d@%d: %w", b.Topic, b.Partition, r.Offset, err)})
		}
	}
	return rejected, removals
}

// insertTables writes the tables of a batch side by side: each has its own token, so it does not
// matter which of them a crash leaves out.
func (w *Writer) insertTables(ctx context.Context, tables []*rows, token string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(tablesAtOnce)
	for _, t := range tables {
		if t.n > 0 {
			g.Go(func() error { return w.insertTable(ctx, t, token) })
		}
	}
	return g.Wait()
}

// insertTable writes one table's rows under the token of the batch and the table.
func (w *Writer) insertTable(ctx context.Context, t *rows, token string) error {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.timeout())
	defer cancel()
	if err := w.verify(ctx, t); err != nil {
		return err
	}
	if w.deps.Inserting != nil {
		w.deps.Inserting(t.table)
	}
	start := time.Now()
	if err := insert(ctx, w.conn, t, w.settings(token+"/"+t.table)); err != nil {
		// The next attempt looks again: the table may have been changed under us.
		w.mu.Lock()
		delete(w.verified, t.table)
		w.mu.Unlock()
		return w.explain(t.table, err)
	}
	if w.deps.Inserted != nil {
		w.deps.Inserted(t.table, t.n, time.Since(start))
	}
	return nil
}

// insert sends rows as they are, column by column, in one synchronous block.
func insert(ctx context.Context, conn driver.Conn, t *rows, settings ch.Settings) error {
	return appendAndSend(ch.Context(ctx, ch.WithSettings(settings), ch.WithColumnNamesAndTypes(t.wire)), conn, t)
}

func appendAndSend(ctx context.Context, conn driver.Conn, t *rows) error {
	batch, err := conn.PrepareBatch(ctx, t.insert)
	if err != nil {
		return err
	}
	defer batch.Close()
	for i, c := range t.cols {
		if err := c.send(batch.Column(i)); err != nil {
			name, _ := c.title()
			return fmt.Errorf("column %s: %w", name, err)
		}
	}
	return batch.Send()
}

func (w *Writer) settings(token string) ch.Settings {
	s := ch.Settings{
		"async_insert":               0,
		"insert_deduplicate":         1,
		"insert_deduplication_token": token,
		// Off from 24.7 to 26.0: a view's target must drop a repeated block by itself, or one that
		// a crash kept from it would be lost.
		"deduplicate_blocks_in_dependent_materialized_views": 1,
		// Years of orders in one import are so many partitions in one insert.
		"max_partitions_per_insert_block": 2000,
	}
	if w.cfg.InsertQuorum != "" {
		s["insert_quorum"] = w.cfg.InsertQuorum
		s["insert_quorum_parallel"] = 1
	}
	return s
}

// verify compares the table with the columns to be written, once per table and after each
// failed insert.
func (w *Writer) verify(ctx context.Context, t *rows) error {
	w.mu.Lock()
	known := w.verified[t.table]
	w.mu.Unlock()
	if known {
		return nil
	}
	have, err := columnTypes(ctx, w.conn, w.cfg.Database, t.table)
	if err != nil {
		return fmt.Errorf("clickhouse: reading the columns of %s: %w", t.table, err)
	}
	if len(have) == 0 {
		return &SchemaError{Database: w.cfg.Database, Table: t.table}
	}
	for _, c := range t.cols {
		n, want := c.title()
		if have[n] != want {
			return &SchemaError{Database: w.cfg.Database, Table: t.table, Column: n, Want: want, Have: have[n]}
		}
	}
	w.mu.Lock()
	w.verified[t.table] = true
	w.mu.Unlock()
	return nil
}

func columnTypes(ctx context.Context, conn driver.Conn, database, table string) (map[string]string, error) {
	found, err := conn.Query(ctx, "SELECT name, type FROM system.columns WHERE database = "+quote(database)+" AND table = "+quote(table))
	if err != nil {
		return nil, err
	}
	defer found.Close()
	types := map[string]string{}
	for found.Next() {
		var n, t string
		if err := found.Scan(&n, &t); err != nil {
			return nil, err
		}
		types[n] = t
	}
	return types, found.Err()
}

// explain turns the server's words for a table that is not as it should be into ours.
func (w *Writer) explain(table string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	err = fmt.Errorf("clickhouse: inserting into %s.%s: %w", w.cfg.Database, table, err)
	if slices.Contains([]int{codeNoSuchColumn, codeNotFoundColumn, codeUnknownIdentifier, codeTypeMismatch, codeUnknownTable, codeUnknownDatabase}, codeOf(err)) {
		err = fmt.Errorf("%w: run `crossdock migrate` with the version that writes", err)
	}
	return err
}

// removalsPerStatement bounds the text of one DELETE.
const removalsPerStatement = 200

// remove takes away the rows of keys that were deleted, as far as they were written by earlier
// records of the same partition: so it can be repeated, even after the key has come back.
func (w *Writer) remove(ctx context.Context, b *stream.Batch, all []gone) error {
	byTable := map[string][]gone{}
	for _, g := range all {
		byTable[g.table] = append(byTable[g.table], g)
	}
	for table, gs := range byTable {
		for some := range slices.Chunk(gs, removalsPerStatement) {
			terms := make([]string, len(some))
			for i, g := range some {
				terms[i] = fmt.Sprintf("(%s AND _offset < %d)", g.where, g.offset)
			}
			sql := fmt.Sprintf("DELETE FROM %s WHERE _topic = %s AND _partition = %d AND (%s)", ident(table), quote(b.Topic), b.Partition, strings.Join(terms, " OR "))
			ctx, cancel := context.WithTimeout(ctx, w.cfg.timeout())
			err := w.conn.Exec(ctx, sql)
			cancel()
			if err != nil {
				return w.explain(table, err)
			}
		}
	}
	return nil
}
