package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"
)

// libchdb finds the engine, or fetches it where the real engines are required.
func libchdb(t testing.TB) string {
	t.Helper()
	if os.Getenv("REQUIRE_SERVICES") == "1" {
		path, err := Library(t.Context(), "", t.Output())
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	path, err := FindLibrary("")
	if err != nil {
		t.Skipf("NOTICE: not tested, the ClickHouse engine is not in the cache (REQUIRE_SERVICES=1 fetches it): %v", err)
	}
	return path
}

func startClickHouse(t testing.TB) *ClickHouse {
	t.Helper()
	c, err := NewClickHouse(ClickHouseConfig{Dir: t.TempDir(), Library: libchdb(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func clickhouseClient(t testing.TB, addr string, change ...func(*clickhouse.Options)) clickhouse.Conn {
	t.Helper()
	o := &clickhouse.Options{Protocol: clickhouse.HTTP, Addr: []string{addr}}
	for _, f := range change {
		f(o)
	}
	c, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// call is what curl does.
func call(t testing.TB, method, addr, query, body string, params ...string) (int, string, http.Header) {
	t.Helper()
	v := url.Values{}
	if query != "" {
		v.Set("query", query)
	}
	for i := 0; i+1 < len(params); i += 2 {
		v.Set(params[i], params[i+1])
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+"/?"+v.Encode(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{DisableKeepAlives: true}
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return res.StatusCode, string(b), res.Header
}

const facts = `CREATE TABLE facts (id UInt64, sku String, at DateTime64(3, 'UTC'), note Nullable(String))
	ENGINE = ReplacingMergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 1000`

func insertFacts(t testing.TB, c clickhouse.Conn, token string, from, to int) error {
	ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"insert_deduplication_token": token}))
	b, err := c.PrepareBatch(ctx, "INSERT INTO facts (id, sku, at, note)")
	if err != nil {
		return err
	}
	at := time.Date(2011, 12, 9, 12, 50, 0, 123e6, time.UTC)
	for i := from; i < to; i++ {
		var note *string
		if i%2 == 0 {
			s := "it's;\x00 a \\ note"
			note = &s
		}
		if err := b.Append(uint64(i), fmt.Sprintf("SKU-%d", i%100), at.Add(time.Duration(i)*time.Millisecond), note); err != nil {
			return err
		}
	}
	return b.Send()
}

func TestClickHouseRoundTrip(t *testing.T) {
	ch := startClickHouse(t)
	c := clickhouseClient(t, ch.Addr())
	ctx := t.Context()
	if err := c.Exec(ctx, facts); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the same batch twice under one token, then under another
		if err := insertFacts(t, c, "orders|0-999", 0, 1000); err != nil {
			t.Fatal(err)
		}
	}
	count := func() (n uint64) {
		if err := c.QueryRow(ctx, "SELECT count() FROM facts").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 1000 {
		t.Errorf("the same batch twice under one token: %d rows, want 1000", n)
	}
	if err := insertFacts(t, c, "orders|0-999 again", 0, 1000); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 2000 {
		t.Errorf("the same batch under another token: %d rows, want 2000: the token of the request before it stuck", n)
	}

	var row struct {
		id   uint64
		sku  string
		at   time.Time
		note *string
	}
	err := c.QueryRow(ctx, "SELECT * FROM facts WHERE id = ? LIMIT 1", 42).Scan(&row.id, &row.sku, &row.at, &row.note)
	if err != nil {
		t.Fatal(err)
	}
	if row.sku != "SKU-42" || row.at.Format(time.RFC3339Nano) != "2011-12-09T12:50:00.165Z" || row.note == nil || *row.note != "it's;\x00 a \\ note" {
		t.Errorf("read back: %+v, note %q", row, *row.note)
	}
	rows, err := c.Query(ctx, "SELECT id FROM facts WHERE id > 5000")
	if err != nil || rows.Next() || rows.Err() != nil {
		t.Errorf("no rows: %v, %v", err, rows.Err())
	}

	err = c.Exec(ctx, "INSERT INTO nowhere VALUES (1)")
	var e *clickhouse.Exception
	if !errors.As(err, &e) || e.Code != 60 || !strings.Contains(e.Message, "nowhere") {
		t.Errorf("an unknown table: %v", err)
	}
	v, err := c.ServerVersion()
	if err != nil || v.Version.Major < 24 {
		t.Errorf("version %v, %v", v, err)
	}
}

func TestClickHouseReadsManyBlocks(t *testing.T) {
	ch := startClickHouse(t)
	for name, change := range map[string]func(*clickhouse.Options){
		"plain": func(*clickhouse.Options) {},
		"lz4": func(o *clickhouse.Options) {
			o.Compression = &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := clickhouseClient(t, ch.Addr(), change)
			rows, err := c.Query(t.Context(), "SELECT number, toString(number) FROM numbers(300000)")
			if err != nil {
				t.Fatal(err)
			}
			var n, sum uint64
			for rows.Next() {
				var v uint64
				var s string
				if err := rows.Scan(&v, &s); err != nil {
					t.Fatal(err)
				}
				n, sum = n+1, sum+v
			}
			if err := rows.Err(); err != nil || n != 300000 || sum != 299999*150000 {
				t.Errorf("%d rows with sum %d, %v", n, sum, err)
			}
			if err := c.Exec(t.Context(), "DROP TABLE IF EXISTS facts"); err != nil {
				t.Fatal(err)
			}
			if err := c.Exec(t.Context(), facts); err != nil {
				t.Fatal(err)
			}
			if err := insertFacts(t, c, name, 0, 50000); err != nil { // several megabytes
				t.Fatal(err)
			}
			if err := c.QueryRow(t.Context(), "SELECT count() FROM facts").Scan(&n); err != nil || n != 50000 {
				t.Errorf("%d rows, %v", n, err)
			}
		})
	}
}

func TestClickHouseDatabases(t *testing.T) {
	ch := startClickHouse(t)
	if err := clickhouseClient(t, ch.Addr()).Exec(t.Context(), "CREATE DATABASE `te'st`"); err != nil {
		t.Fatal(err)
	}
	c := clickhouseClient(t, ch.Addr(), func(o *clickhouse.Options) { o.Auth.Database = "te'st" })
	if err := c.Exec(t.Context(), facts); err != nil {
		t.Fatal(err)
	}
	if err := insertFacts(t, c, "t", 0, 10); err != nil {
		t.Fatal(err)
	}
	// Every connection of both lanes goes back to the default database by itself.
	for range 2 * (readLane + writeLane) {
		if _, got, _ := call(t, "GET", ch.Addr(), "SELECT currentDatabase()", ""); got != "default\n" {
			t.Fatalf("the database of another request stuck: %s", got)
		}
	}
	if status, got, _ := call(t, "GET", ch.Addr(), "SELECT 1", "", "database", "nosuch"); status != 500 || !strings.Contains(got, "nosuch") {
		t.Errorf("an unknown database: %d %s", status, got)
	}
}

func TestClickHouseSpeaksHTTP(t *testing.T) {
	ch := startClickHouse(t)
	post := func(query, body string, params ...string) string {
		t.Helper()
		status, got, _ := call(t, "POST", ch.Addr(), query, body, params...)
		if status != 200 {
			t.Fatalf("%s %s: %d %s", query, body, status, got)
		}
		return got
	}
	post("", "CREATE TABLE t (a UInt32, b String) ENGINE = MergeTree ORDER BY a;")
	post("", "INSERT INTO t VALUES (1, 'one;'), (2, 'two');")
	post("INSERT INTO t FORMAT JSONEachRow", `{"a":3,"b":"three"}`)
	post("", "INSERT INTO t (b, a) FORMAT CSV\n\"four\",4\n")
	post("INSERT INTO t", "(5, 'five')")
	post("INSERT INTO t SELECT 6, 'six'", "")
	post("INSERT INTO t FORMAT CSV", "7,seven\n", "param_unused", "x")
	for _, c := range []struct{ name, query, want string }{
		{"default format", "SELECT * FROM t ORDER BY a", "1\tone;\n2\ttwo\n3\tthree\n4\tfour\n5\tfive\n6\tsix\n7\tseven\n"},
		{"FORMAT", "SELECT a FROM t WHERE a < 3 ORDER BY a FORMAT CSV", "1\n2\n"},
		{"comment first", "-- x; y\nSELECT 1 /* ; */ ;", "1\n"},
	} {
		if got := post("", c.query); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := post("", "SELECT {n:UInt32} + 1, {s:String}", "param_n", "41", "param_s", "it's"); got != "42\tit\\'s\n" {
		t.Errorf("query parameters: %q", got)
	}
	if got := post("", "SELECT getSetting('max_block_size')", "max_block_size", "1234"); got != "1234\n" {
		t.Errorf("a setting in the URL: %q", got)
	}
	if got := post("", "SELECT getSetting('max_block_size')"); got == "1234\n" {
		t.Error("the setting of another request stuck")
	}
	post("", "SET max_block_size = 4321")
	for range readLane {
		if got := post("", "SELECT getSetting('max_block_size')"); got == "4321\n" {
			t.Error("SET outlived its request")
		}
	}

	// As Grafana's plain HTTP sources ask.
	status, body, h := call(t, "GET", ch.Addr(), "SELECT a, b FROM t WHERE a = 1 FORMAT JSONCompact", "", "query_id", "q-1")
	var doc struct{ Data [][]any }
	if err := json.Unmarshal([]byte(body), &doc); err != nil || status != 200 {
		t.Fatalf("%d %v: %s", status, err, body)
	}
	if diff := cmp.Diff([][]any{{float64(1), "one;"}}, doc.Data); diff != "" {
		t.Error(diff)
	}
	if h.Get("X-ClickHouse-Query-Id") != "q-1" || !strings.HasPrefix(h.Get("Content-Type"), "application/json") || h.Get("X-ClickHouse-Format") != "JSONCompact" {
		t.Errorf("headers: %v", h)
	}
	if _, _, h := call(t, "POST", ch.Addr(), "INSERT INTO t VALUES", "(8,'')"); !strings.Contains(h.Get("X-ClickHouse-Summary"), `"written_rows":"1"`) {
		t.Errorf("summary of an insert: %q", h.Get("X-ClickHouse-Summary"))
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(getRequest(t, "http://"+ch.Addr()+"/ping"))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if string(b) != "Ok.\n" {
		t.Errorf("/ping: %q", b)
	}
}

func getRequest(t *testing.T, u string) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestClickHouseRefuses(t *testing.T) {
	ch := startClickHouse(t)
	for _, c := range []struct {
		name, method, query, body string
		params                    []string
		code, text                string
	}{
		{name: "nonsense", method: "POST", body: "SELEC 1", code: "62", text: "Syntax error"},
		{name: "unknown table", method: "POST", body: "SELECT * FROM nosuch", code: "60", text: "nosuch"},
		{name: "unknown table, Native", method: "POST", body: "SELECT * FROM nosuch", params: []string{"default_format", "Native"}, code: "60", text: "nosuch"},
		{name: "unknown setting", method: "POST", body: "SELECT 1", params: []string{"nosuch_setting", "1"}, code: "115", text: "nosuch_setting"},
		{name: "a setting that is none", method: "POST", body: "SELECT 1", params: []string{"a = 1, b", "1"}, code: "36", text: "not the name of a setting"},
		{name: "broken out of its quotes", method: "POST", body: "SELECT 1", params: []string{"log_comment", "' , max_threads = 'x"}, code: "", text: "1\n"},
		{name: "write by GET", method: "GET", query: "CREATE TABLE x (a UInt8) ENGINE = Memory", code: "164", text: "POST"},
		{name: "write behind a read by GET", method: "GET", query: "SELECT 1; CREATE TABLE x (a UInt8) ENGINE = Memory", code: "62", text: "Multi-statements"},
		{name: "sessions", method: "POST", body: "SELECT 1", params: []string{"session_id", "s"}, code: "48", text: "session_id"},
		{name: "unknown format", method: "POST", body: "SELECT 1", params: []string{"default_format", "Nosuch"}, code: "73", text: "Nosuch"},
		{name: "nothing", method: "POST", body: " ;; -- x", code: "62", text: "Empty query"},
		{name: "Native that is none", method: "POST", query: "INSERT INTO system.nosuch FORMAT Native", body: "garbage", code: "60", text: "nosuch"},
		{name: "a missing parameter", method: "POST", body: "SELECT {x:UInt8}", code: "456", text: "x"},
	} {
		status, got, h := call(t, c.method, ch.Addr(), c.query, c.body, c.params...)
		if want := map[bool]int{true: 200, false: 500}[c.code == ""]; status != want || h.Get("X-ClickHouse-Exception-Code") != c.code || !strings.Contains(got, c.text) {
			t.Errorf("%s: %d, code %q, %.200q; want code %q and %q", c.name, status, h.Get("X-ClickHouse-Exception-Code"), got, c.code, c.text)
		}
	}
	// After all of that every connection still answers.
	for range readLane + writeLane {
		if status, got, _ := call(t, "POST", ch.Addr(), "", "SELECT 1"); status != 200 || got != "1\n" {
			t.Fatalf("%d %q", status, got)
		}
	}
}

func TestClickHouseTellsAnErrorInTheMiddle(t *testing.T) {
	ch := startClickHouse(t)
	c := clickhouseClient(t, ch.Addr())
	rows, err := c.Query(t.Context(), "SELECT throwIf(number = 2000000, 'stop here') FROM numbers(3000000)")
	if err == nil {
		for rows.Next() {
		}
		err = rows.Err()
	}
	if err == nil || !strings.Contains(err.Error(), "stop here") {
		t.Errorf("an error behind the first blocks: %v", err)
	}
}

func TestClickHouseAnswersOnlyThisMachine(t *testing.T) {
	ch := startClickHouse(t)
	for name, change := range map[string]func(*http.Request){
		"rebound name":  func(r *http.Request) { r.Host = "evil.example:8123" },
		"foreign page":  func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"opaque origin": func(r *http.Request) { r.Header.Set("Origin", "null") },
	} {
		req := getRequest(t, "http://"+ch.Addr()+"/?query=SELECT+1")
		change(req)
		res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
}

// Readers that hold every reading connection do not hold up an insert.
func TestClickHouseReadersDoNotStarveInserts(t *testing.T) {
	ch := startClickHouse(t)
	c := clickhouseClient(t, ch.Addr())
	if err := c.Exec(t.Context(), facts); err != nil {
		t.Fatal(err)
	}
	var held []*session
	for range readLane { // as long-running readers would
		held = append(held, <-ch.reads)
	}
	cols := clickhouse.Context(t.Context(), clickhouse.WithColumnNamesAndTypes([]clickhouse.ColumnNameAndType{{Name: "id", Type: "UInt64"}, {Name: "sku", Type: "String"}}))
	b, err := clickhouse.Conn.PrepareBatch(c, cols, "INSERT INTO facts (id, sku)")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Append(uint64(1), "a"); err != nil {
		t.Fatal(err)
	}
	if err := b.Send(); err != nil {
		t.Errorf("an insert beside long readers: %v", err)
	}
	// A reader waits its turn, and goes when its client goes.
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := c.Exec(ctx, "SELECT 1"); err == nil {
			t.Error("a reader got a connection that there was not")
		}
	})
	cancel()
	wg.Wait()
	for _, s := range held {
		ch.reads <- s
	}
}

func TestClickHouseSurvivesAKill(t *testing.T) {
	lib := libchdb(t)
	dir := t.TempDir()
	env := "CROSSDOCK_TEST_LIBCHDB=" + lib
	p := spawn(t, "clickhouse", dir, "127.0.0.1:0", env)
	c := clickhouseClient(t, p.addr)
	if err := c.Exec(t.Context(), facts); err != nil {
		t.Fatal(err)
	}
	if err := insertFacts(t, c, "one", 0, 5000); err != nil {
		t.Fatal(err)
	}
	p.kill()
	q := spawn(t, "clickhouse", dir, p.addr, env)
	c = clickhouseClient(t, q.addr)
	if err := insertFacts(t, c, "one", 0, 5000); err != nil { // the retry of a sink that heard nothing
		t.Fatal(err)
	}
	var n uint64
	if err := c.QueryRow(t.Context(), "SELECT count() FROM facts").Scan(&n); err != nil || n != 5000 {
		t.Errorf("after kill -9 and the same batch again: %d rows, %v; want 5000", n, err)
	}
	q.stop()
}

func TestScan(t *testing.T) {
	for _, c := range []struct {
		sql  string
		want statement
		data string
	}{
		{sql: "select 1", want: statement{keyword: "SELECT"}},
		{sql: "SELECT 'a; FORMAT x' ; ", want: statement{keyword: "SELECT"}},
		{sql: "SELECT 1; DROP TABLE t", want: statement{keyword: "SELECT", more: true}},
		{sql: "SELECT 1; 'x'", want: statement{keyword: "SELECT", more: true}},
		{sql: "SELECT a FROM t FORMAT\n JSON", want: statement{keyword: "SELECT", format: "JSON"}},
		{sql: ";;; select 1", want: statement{keyword: "SELECT"}},
		{sql: "# c\nSELECT `a\\`;b`", want: statement{keyword: "SELECT"}},
		{sql: "INSERT INTO t (format, values) VALUES (1)", want: statement{keyword: "INSERT", format: "Values", values: true, head: "INSERT INTO t (format, values) "}, data: " (1)"},
		{sql: "INSERT INTO t FORMAT Native\n\x01;\x00", want: statement{keyword: "INSERT", format: "Native", head: "INSERT INTO t "}, data: "\x01;\x00"},
		{sql: "INSERT INTO t SETTINGS a='FORMAT' FORMAT CSV  1,2", want: statement{keyword: "INSERT", format: "CSV", head: "INSERT INTO t SETTINGS a='FORMAT' "}, data: "1,2"},
		{sql: "INSERT INTO t SELECT * FROM s FORMAT CSV", want: statement{keyword: "INSERT", format: "CSV", selects: true}},
		{sql: "", want: statement{}},
		{sql: "-- nothing", want: statement{}},
		{sql: "'", want: statement{}},
		{sql: "'\\", want: statement{}},
	} {
		got := scan(c.sql)
		if data := c.sql[got.data:]; data != c.data {
			t.Errorf("scan(%q): data %q, want %q", c.sql, data, c.data)
		}
		got.data = 0
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(statement{})); diff != "" {
			t.Errorf("scan(%q) (-want +got):\n%s", c.sql, diff)
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add("SELECT 1; INSERT INTO t FORMAT Native \x00")
	f.Add("INSERT INTO `a\\``('x')VALUES(1);")
	f.Add(strings.Repeat(";", 1000) + "/*")
	f.Fuzz(func(t *testing.T, sql string) {
		st := scan(sql)
		if st.data < 0 || st.data > len(sql) {
			t.Fatalf("data at %d of %d", st.data, len(sql))
		}
		if !strings.HasPrefix(sql, st.head) {
			t.Fatalf("head %q is not how it begins", st.head)
		}
	})
}

func TestLibraryIsNotTakenHalfInstalled(t *testing.T) {
	dir := t.TempDir()
	if _, err := FindLibrary(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty cache: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	_, err := Library(t.Context(), dir, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "npm is not on the PATH") {
		t.Errorf("without npm: %v", err)
	}
	if _, _, err := libraryPackage("plan9", "386"); err == nil {
		t.Error("an engine for plan9")
	}
}

func TestLibraryIsFetchedOnce(t *testing.T) {
	// A stand-in for npm that takes its time and counts its calls.
	bin, cache := t.TempDir(), t.TempDir()
	script := `#!/bin/sh
echo call >> "$COUNT"
while [ "$1" != --prefix ]; do shift; done
for d in lib-linux-x64-gnu lib-linux-arm64-gnu lib-darwin-x64 lib-darwin-arm64; do
  mkdir -p "$2/node_modules/@chdb/$d" && : > "$2/node_modules/@chdb/$d/libchdb.so"
done
`
	if err := os.WriteFile(bin+"/npm", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	count := bin + "/count"
	t.Setenv("COUNT", count)
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := Library(t.Context(), cache, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b, err := os.ReadFile(count)
	if err != nil || bytes.Count(b, []byte("call")) != 1 {
		t.Errorf("npm was called %d times, %v", bytes.Count(b, []byte("call")), err)
	}
}

// The path of a sink: clickhouse-go, HTTP, engine; 100,000 rows a batch.
func BenchmarkClickHouseInsert(b *testing.B) {
	ch := startClickHouse(b)
	c := clickhouseClient(b, ch.Addr())
	if err := c.Exec(b.Context(), facts); err != nil {
		b.Fatal(err)
	}
	const rows = 100_000
	for b.Loop() {
		if err := insertFacts(b, c, fmt.Sprint(time.Now().UnixNano()), 0, rows); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// What one large insert needed is not kept; what the usual ones need is used again.
func TestBuffersOfBodies(t *testing.T) {
	var b buffers
	usual, large := b.take(), b.take()
	usual.Grow(1 << 10)
	large.Grow(maxRestSize + 1)
	usual.WriteString("left over")
	b.giveBack(large)
	b.giveBack(usual)
	if got := b.take(); got != usual || got.Len() != 0 {
		t.Errorf("the next body gets another buffer, or one with %d bytes in it", got.Len())
	}
	for range maxRest + 2 {
		b.giveBack(new(bytes.Buffer))
	}
	if n := len(b.rest); n != maxRest {
		t.Errorf("%d buffers kept, want %d", n, maxRest)
	}
}
