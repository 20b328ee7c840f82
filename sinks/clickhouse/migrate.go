package clickhouse

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"strconv"
	"strings"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	migrations "github.com/helloword/crossdock/schemas/clickhouse"
)

// migration is one numbered file.
type migration struct {
	number uint32
	name   string
	sha256 string
	text   string
}

func (m migration) String() string { return fmt.Sprintf("%04d_%s", m.number, m.name) }

// applied is one row of schema_migrations.
type applied struct {
	name   string
	sha256 string
}

// Migrate creates the database and brings its tables to this version. It can be repeated, be
// killed anywhere and run twice at once: every statement has no effect the second time.
func Migrate(ctx context.Context, cfg Config, log *slog.Logger) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	root, err := open(cfg, "default")
	if err != nil {
		return err
	}
	defer root.Close()
	layout := layout{replicated: cfg.Replicated, cluster: cfg.Cluster, database: cfg.Database}
	if err := root.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+ident(cfg.Database)+layout.on()); err != nil {
		return fmt.Errorf("creating the database %s: %w", cfg.Database, err)
	}
	conn, err := open(cfg, cfg.Database)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := migrate(ctx, conn, migrations.Migrations, layout, log); err != nil {
		return err
	}
	return ensureFsync(ctx, conn, cfg, layout)
}

// Pending lists the migrations that Migrate would apply, or says why it would refuse.
func pending(ctx context.Context, conn driver.Conn, files fs.FS) ([]migration, error) {
	all, err := readMigrations(files)
	if err != nil {
		return nil, err
	}
	done, err := readApplied(ctx, conn)
	if err != nil {
		return nil, err
	}
	byNumber := map[uint32]migration{}
	for _, m := range all {
		byNumber[m.number] = m
	}
	for n, a := range done {
		m, ok := byNumber[n]
		if !ok {
			return nil, fmt.Errorf("clickhouse: the database has migration %04d_%s, which this version does not know: a newer crossdock has been here; use that version", n, a.name)
		}
		if m.sha256 != a.sha256 {
			return nil, fmt.Errorf("clickhouse: migration %s was changed after it had been applied (sha256 %.12s, applied %.12s): restore the file and put the change into a new one", m, m.sha256, a.sha256)
		}
	}
	var open []migration
	for _, m := range all {
		if _, ok := done[m.number]; !ok {
			open = append(open, m)
		}
	}
	return open, nil
}

// migrate applies what is missing. A file is recorded after its last statement: a run that was
// cut applies it again, which its statements bear.
func migrate(ctx context.Context, conn driver.Conn, files fs.FS, l layout, log *slog.Logger) error {
	ctx = ch.Context(ctx, ch.WithSettings(ch.Settings{
		// Before 24.10 refreshable views are behind this switch; later it is known and does nothing.
		"allow_experimental_refreshable_materialized_view": 1,
	}))
	ledger := l.expand(`CREATE TABLE IF NOT EXISTS schema_migrations{on} (
    number UInt32 COMMENT 'Number of the file',
    name String COMMENT 'Name of the file',
    sha256 String COMMENT 'Hash of the file as it was applied',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When, UTC'
) ENGINE = {engine:ReplacingMergeTree(applied_at)} ORDER BY number
COMMENT 'Which files of schemas/clickhouse have been applied.'`)
	if err := execute(ctx, conn, ledger); err != nil {
		return fmt.Errorf("creating schema_migrations: %w", err)
	}
	todo, err := pending(ctx, conn, files)
	if err != nil {
		return err
	}
	for _, m := range todo {
		for i, stmt := range statements(m.text) {
			if err := execute(ctx, conn, l.expand(stmt)); err != nil {
				return fmt.Errorf("applying migration %s, statement %d: %w", m, i+1, err)
			}
		}
		if err := conn.Exec(ctx, fmt.Sprintf("INSERT INTO schema_migrations (number, name, sha256) VALUES (%d, %s, %s)", m.number, quote(m.name), quote(m.sha256))); err != nil {
			return fmt.Errorf("recording migration %s: %w", m, err)
		}
		log.Info("applied a ClickHouse migration", "migration", m.String())
	}
	return nil
}

// execute runs one statement. Two runners at once may both find a table missing and one of
// them create it first: then it is there, as it should be.
func execute(ctx context.Context, conn driver.Conn, sql string) error {
	err := conn.Exec(ctx, sql)
	if codeOf(err) == codeTableExists {
		return nil
	}
	return err
}

func readApplied(ctx context.Context, conn driver.Conn) (map[uint32]applied, error) {
	rows, err := conn.Query(ctx, "SELECT number, name, sha256 FROM schema_migrations FINAL")
	if err != nil {
		if codeOf(err) == codeUnknownTable || codeOf(err) == codeUnknownDatabase {
			return nil, nil
		}
		return nil, fmt.Errorf("reading schema_migrations: %w", err)
	}
	defer rows.Close()
	done := map[uint32]applied{}
	for rows.Next() {
		var n uint32
		var a applied
		if err := rows.Scan(&n, &a.name, &a.sha256); err != nil {
			return nil, fmt.Errorf("reading schema_migrations: %w", err)
		}
		done[n] = a
	}
	return done, rows.Err()
}

var fileName = regexp.MustCompile(`^(\d{4})_([a-z0-9_]+)\.sql$`)

// readMigrations reads the files in order; their numbers have no gap and no double.
func readMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	var all []migration
	for i, n := range names { // Glob sorts
		match := fileName.FindStringSubmatch(n)
		if match == nil {
			return nil, fmt.Errorf("migration %s: name it NNNN_name.sql", n)
		}
		number, _ := strconv.Atoi(match[1])
		if number != i+1 {
			return nil, fmt.Errorf("migration %s: the number should be %04d", n, i+1)
		}
		text, err := fs.ReadFile(files, n)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		all = append(all, migration{uint32(number), match[2], hex.EncodeToString(sum[:]), string(text)})
	}
	return all, nil
}

// statements splits a file at ";" at the end of a line and drops the comments.
func statements(text string) []string {
	var all []string
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "--") {
			continue
		}
		if rest, end := strings.CutSuffix(strings.TrimRight(line, " \t\r\n"), ";"); end {
			b.WriteString(rest)
			all = append(all, strings.TrimSpace(b.String()))
			b.Reset()
			continue
		}
		b.WriteString(line)
	}
	if s := strings.TrimSpace(b.String()); s != "" {
		all = append(all, s)
	}
	return all
}

// layout is how tables are laid out on the servers.
type layout struct {
	replicated bool
	cluster    string
	database   string
}

func (l layout) on() string {
	if l.cluster == "" {
		return ""
	}
	return " ON CLUSTER " + ident(l.cluster)
}

// Inserts are recognised by their token as long as it is among so many blocks (one insert is a
// block per partition of the table) and, replicated, so young: a sink that was away for a
// weekend still finds its last token.
const (
	window        = 20_000
	windowSeconds = 14 * 24 * 3600
)

var (
	engineWord = regexp.MustCompile(`\{engine:(\w*MergeTree)(\([^)]*\))?\}`)
	moneyWord  = regexp.MustCompile(`\{money:(\w+),(\w+)\}`)
	dayWord    = regexp.MustCompile(`\{day:(\w+)\}`)
)

// Currencies whose smallest unit is not a hundredth (ISO 4217, amendment 176).
const (
	noDecimals    = "'BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF'"
	threeDecimals = "'BHD','IQD','JOD','KWD','LYD','OMR','TND'"
)

// expand replaces the words that schemas/clickhouse documents.
func (l layout) expand(stmt string) string {
	stmt = strings.NewReplacer(
		"{on}", l.on(),
		"{settings}", fmt.Sprintf("SETTINGS non_replicated_deduplication_window = %d, replicated_deduplication_window = %d, replicated_deduplication_window_seconds = %d", window, window, windowSeconds),
		"{coordinates}", `_topic LowCardinality(String) COMMENT 'Kafka topic of the record that wrote this row, without scope',
    _partition Int32 COMMENT 'Its partition',
    _offset Int64 COMMENT 'Its offset',
    _version_epoch Int64 COMMENT 'Version of the fact, epoch; the higher (epoch, version) is newer',
    _version Int64 COMMENT 'Version of the fact, number',
    _rank UInt128 MATERIALIZED bitOr(bitShiftLeft(toUInt128(_version_epoch), 64), toUInt128(_version)) COMMENT 'Epoch and version as one figure: the highest row of a key survives'`,
	).Replace(stmt)
	stmt = moneyWord.ReplaceAllString(stmt, "multiIf($2 IN ("+noDecimals+"), toDecimal128($1, 3), $2 IN ("+threeDecimals+"), toDecimal128($1, 3) / 1000, toDecimal128($1, 3) / 100)")
	stmt = dayWord.ReplaceAllString(stmt, "toDate($1, 'UTC')")
	return engineWord.ReplaceAllStringFunc(stmt, func(word string) string {
		m := engineWord.FindStringSubmatch(word)
		if !l.replicated {
			return m[1] + m[2]
		}
		args := "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
		if inner := strings.Trim(m[2], "()"); inner != "" {
			args += ", " + inner
		}
		return "Replicated" + m[1] + "(" + args + ")"
	})
}

// ensureFsync sets or clears fsync_after_insert, which is a setting of tables.
func ensureFsync(ctx context.Context, conn driver.Conn, cfg Config, l layout) error {
	rows, err := conn.Query(ctx, "SELECT name, match(create_table_query, 'fsync_after_insert = (1|true)')::Bool FROM system.tables WHERE database = "+quote(cfg.Database)+" AND engine LIKE '%ReplacingMergeTree' ORDER BY name")
	if err != nil {
		return fmt.Errorf("reading the tables' settings: %w", err)
	}
	defer rows.Close()
	var change []string
	for rows.Next() {
		var table string
		var on bool
		if err := rows.Scan(&table, &on); err != nil {
			return fmt.Errorf("reading the tables' settings: %w", err)
		}
		if on != cfg.FsyncAfterInsert {
			change = append(change, table)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the tables' settings: %w", err)
	}
	for _, table := range change {
		verb := "RESET SETTING fsync_after_insert"
		if cfg.FsyncAfterInsert {
			verb = "MODIFY SETTING fsync_after_insert = 1"
		}
		if err := conn.Exec(ctx, "ALTER TABLE "+ident(table)+l.on()+" "+verb); err != nil {
			return fmt.Errorf("setting fsync_after_insert of %s: %w", table, err)
		}
	}
	return nil
}
