package clickhouse

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/helloword/crossdock/connectors"
	migrations "github.com/helloword/crossdock/schemas/clickhouse"
)

// The oldest server that has everything the tables use.
const oldestMajor, oldestMinor = 24, 8

// Least that the server must remember of inserts: blocks, and seconds when replicated.
const (
	leastWindow  = 10_000
	leastSeconds = 7 * 24 * 3600
)

// Check asks the server what this connection may do, and changes nothing. An error means
// that it could not be asked.
func Check(ctx context.Context, cfg Config) ([]connectors.CheckResult, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.timeout())
	defer cancel()
	conn, err := open(cfg, "default")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	version, err := scalar[string](ctx, conn, "SELECT version()")
	if err != nil {
		return []connectors.CheckResult{{
			Subject: "server", Detail: fmt.Sprintf("no answer from %s: %v", strings.Join(cfg.Addrs, ", "), err),
			Advice: "is ClickHouse running there, is " + string(protocolOf(cfg)) + " the protocol of that port, and are user and password right?",
		}}, nil
	}
	all := []connectors.CheckResult{checkVersion(version), checkWrites(ctx, conn)}
	exists, err := scalar[uint64](ctx, conn, "SELECT count() FROM system.databases WHERE name = "+quote(cfg.Database))
	if err != nil {
		return all, fmt.Errorf("clickhouse: reading the databases: %w", err)
	}
	if exists == 0 {
		return append(all, checkCreate(ctx, conn, cfg)), nil
	}
	all = append(all, connectors.CheckResult{Subject: "database " + cfg.Database, OK: true, Detail: "exists"})
	in, err := open(cfg, cfg.Database)
	if err != nil {
		return all, err
	}
	defer in.Close()
	all = append(all, checkMigrations(ctx, in))
	windows, err := checkTables(ctx, in, cfg)
	if err != nil {
		return all, err
	}
	return append(all, windows...), nil
}

// Check asks the server that the Writer writes to.
func (w *Writer) Check(ctx context.Context) ([]connectors.CheckResult, error) {
	return Check(ctx, w.cfg)
}

func protocolOf(cfg Config) Protocol {
	if cfg.Protocol == "" {
		return HTTP
	}
	return cfg.Protocol
}

func checkVersion(version string) connectors.CheckResult {
	r := connectors.CheckResult{Subject: "server", Detail: "ClickHouse " + version}
	parts := strings.SplitN(version, ".", 3)
	if len(parts) >= 2 {
		major, err1 := strconv.Atoi(parts[0])
		minor, err2 := strconv.Atoi(parts[1])
		r.OK = err1 == nil && err2 == nil && (major > oldestMajor || major == oldestMajor && minor >= oldestMinor)
	}
	if !r.OK {
		r.Advice = fmt.Sprintf("use ClickHouse %d.%d or newer", oldestMajor, oldestMinor)
	}
	return r
}

func checkWrites(ctx context.Context, conn driver.Conn) connectors.CheckResult {
	r := connectors.CheckResult{Subject: "settings"}
	var readonly, dedup string
	err := conn.QueryRow(ctx, "SELECT toString(getSetting('readonly')), toString(toUInt8(getSetting('insert_deduplicate')))").Scan(&readonly, &dedup)
	switch {
	case err != nil:
		r.Detail, r.Advice = err.Error(), "let the user read its settings"
	case readonly != "0":
		r.Detail, r.Advice = "readonly = "+readonly, "give the user a profile that may write and change settings (readonly = 0)"
	case dedup != "1":
		r.OK, r.Detail = true, "insert_deduplicate is off for this user; the sink turns it on for its inserts"
	default:
		r.OK, r.Detail = true, "the user may write"
	}
	return r
}

func checkCreate(ctx context.Context, conn driver.Conn, cfg Config) connectors.CheckResult {
	r := connectors.CheckResult{Subject: "database " + cfg.Database}
	granted, err := scalar[uint8](ctx, conn, "CHECK GRANT CREATE DATABASE ON "+ident(cfg.Database)+".*")
	switch {
	case err != nil:
		r.OK, r.Detail = true, "does not exist yet; `crossdock migrate` creates it if the user may"
	case granted == 0:
		r.Detail, r.Advice = "does not exist and the user may not create it", fmt.Sprintf("GRANT ALL ON %s.* TO the user, or create the database yourself", cfg.Database)
	default:
		r.OK, r.Detail = true, "does not exist yet and can be created: run `crossdock migrate`"
	}
	return r
}

func checkMigrations(ctx context.Context, conn driver.Conn) connectors.CheckResult {
	r := connectors.CheckResult{Subject: "migrations"}
	open, err := pending(ctx, conn, migrations.Migrations)
	switch {
	case err != nil:
		r.Detail, r.Advice = err.Error(), "start the version that wrote the database"
	case len(open) > 0:
		r.Detail, r.Advice = fmt.Sprintf("%d to be applied, the first is %s", len(open), open[0]), "run `crossdock migrate`"
	default:
		r.OK, r.Detail = true, "all applied"
	}
	return r
}

var (
	windowSetting  = regexp.MustCompile(`\bnon_replicated_deduplication_window = (\d+)`)
	blocksSetting  = regexp.MustCompile(`\breplicated_deduplication_window = (\d+)`)
	secondsSetting = regexp.MustCompile(`\breplicated_deduplication_window_seconds = (\d+)`)
)

// checkTables looks whether the tables recognise an insert that comes again.
func checkTables(ctx context.Context, conn driver.Conn, cfg Config) ([]connectors.CheckResult, error) {
	found, err := conn.Query(ctx, "SELECT name, engine, engine_full FROM system.tables WHERE database = "+quote(cfg.Database)+" AND engine LIKE '%ReplacingMergeTree' AND name != 'schema_migrations' ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("clickhouse: reading the tables: %w", err)
	}
	defer found.Close()
	at := func(re *regexp.Regexp, text string) int {
		if m := re.FindStringSubmatch(text); m != nil {
			n, _ := strconv.Atoi(m[1])
			return n
		}
		return 0
	}
	var bad []connectors.CheckResult
	tables := 0
	for found.Next() {
		var table, engine, full string
		if err := found.Scan(&table, &engine, &full); err != nil {
			return nil, fmt.Errorf("clickhouse: reading the tables: %w", err)
		}
		tables++
		replicated := strings.HasPrefix(engine, "Replicated")
		r := connectors.CheckResult{Subject: "table " + table}
		switch {
		case replicated != cfg.Replicated:
			r.Detail, r.Advice = "its engine is "+engine+", the configuration says replicated: "+strconv.FormatBool(cfg.Replicated), "set replicated as the tables are, or move them to a new database"
		case replicated && (at(blocksSetting, full) < leastWindow || at(secondsSetting, full) < leastSeconds):
			r.Detail, r.Advice = "forgets inserts too early", fmt.Sprintf("ALTER TABLE %s MODIFY SETTING replicated_deduplication_window = %d, replicated_deduplication_window_seconds = %d", table, window, windowSeconds)
		case !replicated && at(windowSetting, full) < leastWindow:
			r.Detail, r.Advice = "forgets inserts too early", fmt.Sprintf("ALTER TABLE %s MODIFY SETTING non_replicated_deduplication_window = %d", table, window)
		default:
			continue
		}
		bad = append(bad, r)
	}
	if len(bad) == 0 {
		bad = append(bad, connectors.CheckResult{Subject: "tables", OK: true, Detail: fmt.Sprintf("%d recognise an insert that comes again", tables)})
	}
	return bad, found.Err()
}

// finalSettings make FINAL cheap: no key spans partitions, see schemas/clickhouse/0001_orders.sql.
var finalSettings = ch.Settings{"do_not_merge_across_partitions_select_final": 1}
