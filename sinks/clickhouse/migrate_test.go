package clickhouse

import (
	"io/fs"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	migrations "github.com/helloword/crossdock/schemas/clickhouse"
)

var quiet = slog.New(slog.DiscardHandler)

// upTo is the first n files.
func upTo(t *testing.T, n int) fstest.MapFS {
	t.Helper()
	all, err := readMigrations(migrations.Migrations)
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for _, m := range all[:n] {
		files[m.String()+".sql"] = &fstest.MapFile{Data: []byte(m.text)}
	}
	return files
}

// shape is every column of every table of a database.
func shape(t *testing.T, cfg Config) []string {
	t.Helper()
	rows, err := connect(t, cfg).Query(t.Context(), "SELECT concat(table, '.', name, ' ', type, ' ', default_kind, ' ', comment) FROM system.columns WHERE database = "+quote(cfg.Database)+" AND table NOT LIKE '.%' ORDER BY table, position")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

func TestMigrateFromEveryEarlierState(t *testing.T) {
	want := shape(t, migrated(t))
	files, err := fs.Glob(migrations.Migrations, "*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for n := range len(files) + 1 {
		cfg := emptyConfig(t)
		root, err := open(cfg, "default")
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		if err := root.Exec(t.Context(), "CREATE DATABASE "+cfg.Database); err != nil {
			t.Fatal(err)
		}
		if err := migrate(t.Context(), connect(t, cfg), upTo(t, n), layout{database: cfg.Database}, quiet); err != nil {
			t.Fatalf("to state %d: %v", n, err)
		}
		for range 2 {
			if err := Migrate(t.Context(), cfg, quiet); err != nil {
				t.Fatalf("from state %d: %v", n, err)
			}
		}
		if diff := cmp.Diff(want, shape(t, cfg)); diff != "" {
			t.Errorf("from state %d (-want +got):\n%s", n, diff)
		}
	}
}

// A run that was killed inside a file left some of its statements behind.
func TestMigrateAfterHalfAFile(t *testing.T) {
	cfg := emptyConfig(t)
	root, err := open(cfg, "default")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := root.Exec(t.Context(), "CREATE DATABASE "+cfg.Database); err != nil {
		t.Fatal(err)
	}
	text, err := fs.ReadFile(migrations.Migrations, "0001_orders.sql")
	if err != nil {
		t.Fatal(err)
	}
	if err := connect(t, cfg).Exec(t.Context(), layout{}.expand(statements(string(text))[0])); err != nil {
		t.Fatal(err)
	}
	if err := Migrate(t.Context(), cfg, quiet); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(shape(t, migrated(t)), shape(t, cfg)); diff != "" {
		t.Error(diff)
	}
}

func TestMigrateTwiceAtOnce(t *testing.T) {
	cfg := emptyConfig(t)
	var wg sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		wg.Go(func() { errs[i] = Migrate(t.Context(), cfg, quiet) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("runner %d: %v", i, err)
		}
	}
	if diff := cmp.Diff(shape(t, migrated(t)), shape(t, cfg)); diff != "" {
		t.Error(diff)
	}
}

func TestMigrateRefuses(t *testing.T) {
	cfg := migrated(t)
	conn := connect(t, cfg)
	files, _ := fs.Glob(migrations.Migrations, "*.sql")

	changed := upTo(t, len(files))
	changed["0002_stock.sql"].Data = append(changed["0002_stock.sql"].Data, "-- more\n"...)
	if err := migrate(t.Context(), conn, changed, layout{}, quiet); err == nil || !strings.Contains(err.Error(), "0002_stock was changed") {
		t.Errorf("a changed file: %v", err)
	}
	if err := migrate(t.Context(), conn, upTo(t, len(files)-1), layout{}, quiet); err == nil || !strings.Contains(err.Error(), "newer crossdock") {
		t.Errorf("a migration of the future: %v", err)
	}
	for _, names := range [][]string{{"0002_a.sql"}, {"0001_a.sql", "0003_b.sql"}, {"1_a.sql"}} {
		files := fstest.MapFS{}
		for _, n := range names {
			files[n] = &fstest.MapFile{}
		}
		if _, err := readMigrations(files); err == nil {
			t.Errorf("%v were accepted", names)
		}
	}
}

var create = regexp.MustCompile(`^CREATE (TABLE|VIEW|MATERIALIZED VIEW) `)

// What makes the runner safe to repeat, and the tables pleasant to read.
func TestStatementsCanBeRepeatedAndColumnsAreCommented(t *testing.T) {
	all, err := readMigrations(migrations.Migrations)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		for _, s := range statements(m.text) {
			first, _, _ := strings.Cut(s, "\n")
			if create.MatchString(s) && (!strings.Contains(first, "IF NOT EXISTS") || !strings.Contains(first, "{on}")) {
				t.Errorf("%s: %q lacks IF NOT EXISTS or {on}", m, first)
			}
			if strings.HasPrefix(s, "CREATE TABLE") && (!strings.Contains(s, "{settings}") || !strings.Contains(s, "{coordinates}")) {
				t.Errorf("%s: %q lacks the settings or the coordinates", m, first)
			}
			if e := (layout{replicated: true, cluster: "c1"}).expand(s); strings.Contains(e, "{engine") || strings.Contains(e, "{on}") || strings.Contains(s, "{engine:") && !strings.Contains(e, "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', _rank)") || !strings.Contains(e, "ON CLUSTER `c1`") {
				t.Errorf("%s: expanded to %s", m, e)
			}
		}
	}
	cfg := migrated(t)
	conn := connect(t, cfg)
	where := " FROM system.columns WHERE database = " + quote(cfg.Database) + " AND table NOT LIKE '.%' AND comment = ''"
	if n := one[uint64](t, conn, "SELECT count()"+where); n != 0 {
		t.Errorf("%d columns have no comment: %s", n, one[string](t, conn, "SELECT groupConcat(', ')(table || '.' || name)"+where))
	}
	if s := one[string](t, conn, "SELECT groupConcat(', ')(name) FROM system.tables WHERE database = "+quote(cfg.Database)+" AND name NOT LIKE '.%' AND comment = ''"); s != "" {
		t.Errorf("tables without comment: %s", s)
	}
}

func TestFsyncIsASettingOfTables(t *testing.T) {
	cfg := migrated(t)
	conn := connect(t, cfg)
	for _, on := range []bool{true, true, false} {
		cfg.FsyncAfterInsert = on
		if err := Migrate(t.Context(), cfg, quiet); err != nil {
			t.Fatal(err)
		}
		got := one[uint64](t, conn, "SELECT countIf(create_table_query LIKE '%fsync_after_insert%') FROM system.tables WHERE database = "+quote(cfg.Database)+" AND name IN ('orders', 'alerts')")
		want := uint64(0)
		if on {
			want = 2
		}
		if got != want {
			t.Errorf("fsync %v: %d tables have it, want %d", on, got, want)
		}
	}
}

func TestMoneyByExponent(t *testing.T) {
	conn := connect(t, migrated(t))
	for currency, want := range map[string]string{"GBP": "12.34", "JPY": "1234", "KWD": "1.234"} {
		sql := layout{}.expand("SELECT toString({money:minor,currency}) FROM (SELECT 1234::Int64 AS minor, " + quote(currency) + " AS currency)")
		if got := one[string](t, conn, sql); got != want {
			t.Errorf("1234 of %s is %s, want %s", currency, got, want)
		}
	}
}

func TestStatements(t *testing.T) {
	got := statements("-- a; comment;\nSELECT 1;\n\n  SELECT ';'\n  , 2 ;\nSELECT 3")
	if diff := cmp.Diff([]string{"SELECT 1", "SELECT ';'\n  , 2", "SELECT 3"}, got); diff != "" {
		t.Error(diff)
	}
}
