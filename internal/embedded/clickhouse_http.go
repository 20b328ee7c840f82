package embedded

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

const (
	// maxBody bounds one request's text and data.
	maxBody = 256 << 20
	// maxBodies bounds how many requests hold a body at the same time, and so
	// the memory that slow or many clients can take.
	maxBodies = 16
	// writeTimeout is how long a client may leave a piece of its answer unread
	// before it loses the connection: it holds one of the engine's meanwhile.
	writeTimeout = time.Minute
	// hello is the first query of clickhouse-go over HTTP.
	hello = "SELECT displayName(), version(), revision(), timezone()"
)

// Codes of ClickHouse's errors that this front raises itself.
const (
	codeBadArguments   = 36
	codeSyntaxError    = 62
	codeReadonly       = 164
	codeNotImplemented = 48
	codeUnknownFormat  = 73
)

var (
	settingName = regexp.MustCompile(`^[a-z0-9_]+$`)
	paramName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// notSettings are URL parameters of the HTTP interface that are no settings.
var notSettings = map[string]bool{
	"query": true, "database": true, "default_format": true, "client_protocol_version": true,
	"query_id": true, "quota_key": true, "user": true, "password": true, "role": true,
	"compress": true, "decompress": true, "stacktrace": true, "session_timeout": true,
	"session_check": true, "wait_end_of_query": true, "buffer_size": true, "add_http_cors_header": true,
	"enable_http_compression": true, "http_zlib_compression_level": true, "close_session": true,
}

// request is one HTTP call, taken apart.
type request struct {
	sql        string // what the engine gets: an INSERT without its data
	st         statement
	data       [][]byte // an INSERT's data
	format     string
	database   string
	queryID    string
	settings   map[string]string
	parameters map[string]string
	compressed bool // the answer goes back in ClickHouse's own compression
	revision   uint64
}

func (c *ClickHouse) handler() http.Handler {
	mux := http.NewServeMux()
	ok := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
		_, _ = io.WriteString(w, "Ok.\n")
	}
	mux.HandleFunc("GET /ping", ok)
	mux.HandleFunc("GET /replicas_status", ok)
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && !r.URL.Query().Has("query") {
			ok(w, r)
			return
		}
		c.serve(w, r)
	})
	return local(mux)
}

// local lets only this machine's own programs in. The listener is loopback, but
// a web page in the user's browser reaches loopback too: it is told by the name
// it uses (DNS rebinding) or by the Origin it comes from.
func local(next http.Handler) http.Handler {
	isLocal := func(host string) bool {
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		host = strings.Trim(host, "[]")
		ip := net.ParseIP(host)
		return host == "localhost" || ip != nil && ip.IsLoopback()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowed := isLocal(r.Host)
		if o := r.Header.Get("Origin"); o != "" {
			u, err := url.Parse(o)
			allowed = allowed && err == nil && isLocal(u.Host)
		}
		if !allowed {
			http.Error(w, "the embedded ClickHouse answers only to programs of this machine, under the name localhost", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (c *ClickHouse) serve(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		http.Error(w, "only GET and POST are served", http.StatusMethodNotAllowed)
		return
	}
	select {
	case c.bodies <- struct{}{}:
		defer func() { <-c.bodies }()
	case <-r.Context().Done():
		return
	}
	buf := c.buffers.take()
	defer c.buffers.giveBack(buf)
	q, err := parseRequest(w, r, buf)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			http.Error(w, fmt.Sprintf("the request is larger than %d MiB: send smaller batches", maxBody>>20), http.StatusRequestEntityTooLarge)
			return
		}
		c.fail(w, err)
		return
	}
	h := w.Header()
	h.Set("X-ClickHouse-Query-Id", q.queryID)
	h.Set("X-ClickHouse-Server-Display-Name", "crossdock-embedded")
	h.Set("X-ClickHouse-Timezone", c.zone)
	h.Set("X-ClickHouse-Format", q.format)

	if strings.TrimRight(strings.TrimSpace(q.sql), ";") == hello && q.format == "Native" {
		c.greet(w, q)
		return
	}
	if err := c.execute(w, r.Context(), q, started); err != nil {
		c.fail(w, err)
	}
}

// execute runs the statement in its lane and writes the answer.
func (c *ClickHouse) execute(w http.ResponseWriter, ctx context.Context, q *request, started time.Time) error {
	lane := c.reads
	if q.st.keyword == "INSERT" {
		lane = c.writes
	}
	s, release, err := c.acquire(ctx, lane, q.database, q.settings)
	if err != nil {
		return err
	}
	// A panic (an aborted answer) passes through here too, and must not take
	// the connection with it.
	spoiled := q.st.changesSession(q.sql)
	defer func() { release(spoiled) }()

	out := &answer{w: w, q: q, started: started}
	var st stats
	switch {
	case q.data != nil:
		st, err = s.insert(q.sql, q.st.format, q.parameters, q.data...)
	case (q.st.keyword == "SELECT" || q.st.keyword == "WITH") && q.st.format == "" && q.format == "Native":
		// Only Native may be cut anywhere between blocks; a JSON document of
		// several chunks would be several documents.
		st, err = s.stream(q.sql, q.format, q.parameters, out.write)
	default:
		st, err = s.run(q.sql, q.format, q.parameters, out.write)
	}
	if err != nil {
		if out.begun {
			out.abort(err)
		}
		return err
	}
	out.end(st)
	return nil
}

// answer writes a result: its headers with the first bytes, not before, because
// until then an error can still be told by the status.
type answer struct {
	w       http.ResponseWriter
	q       *request
	started time.Time
	begun   bool
	tag     string
	packer  *compress.Writer
}

func (a *answer) write(b []byte) error {
	if !a.begun {
		a.begun = true
		a.tag = randomTag()
		a.w.Header().Set("Content-Type", contentType(a.q.format))
		a.w.Header().Set("X-ClickHouse-Exception-Tag", a.tag)
	}
	_ = http.NewResponseController(a.w).SetWriteDeadline(time.Now().Add(writeTimeout))
	if !a.q.compressed {
		_, err := a.w.Write(b)
		return err
	}
	if a.packer == nil {
		a.packer = compress.NewWriter(compress.LevelZero, compress.LZ4)
	}
	for len(b) > 0 {
		n := min(len(b), 1<<20)
		if err := a.packer.Compress(b[:n]); err != nil {
			return fmt.Errorf("compressing the answer: %w", err)
		}
		if _, err := a.w.Write(a.packer.Data); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (a *answer) end(st stats) {
	if a.begun {
		return
	}
	h := a.w.Header()
	h.Set("Content-Type", contentType(a.q.format))
	h.Set("X-ClickHouse-Summary", fmt.Sprintf(`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"0","total_rows_to_read":"0","result_rows":"%d","result_bytes":"0","elapsed_ns":"%d"}`,
		st.rowsRead, st.bytesRead, st.rowsWritten, st.rowsWritten, time.Since(a.started).Nanoseconds()))
	a.w.WriteHeader(http.StatusOK)
}

// abort tells an error in the middle of an answer as ClickHouse does, in a frame
// that clients look for when the data breaks off, and cuts the connection so
// that nobody takes the half for the whole.
func (a *answer) abort(err error) {
	msg := err.Error()
	if !a.q.compressed {
		_, _ = fmt.Fprintf(a.w, "\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", a.tag, msg, len(msg)+1, a.tag)
		_ = http.NewResponseController(a.w).Flush()
	}
	panic(http.ErrAbortHandler)
}

// fail answers an error as ClickHouse words it. A client that has gone gets
// nothing.
func (c *ClickHouse) fail(w http.ResponseWriter, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	var e engineError
	code := codeBadArguments
	if errors.As(err, &e) && e.code() != 0 {
		code = e.code()
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("X-ClickHouse-Exception-Code", strconv.Itoa(code))
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, err.Error()+"\n")
}

// greet answers clickhouse-go's first query. The client reads this one block at
// the protocol revision that it asked for; revision 0 in it makes it read plain
// Native blocks from then on, which is what the engine writes.
func (c *ClickHouse) greet(w http.ResponseWriter, q *request) {
	block := proto.NewBlock()
	for _, col := range []struct {
		name, typ string
		value     any
	}{
		{"displayName()", "String", "crossdock-embedded"},
		{"version()", "String", c.version},
		{"revision()", "UInt32", uint32(0)},
		{"timezone()", "String", c.zone},
	} {
		if err := block.AddColumn(col.name, column.Type(col.typ)); err != nil {
			c.fail(w, err)
			return
		}
		if err := block.Columns[len(block.Columns)-1].AppendRow(col.value); err != nil {
			c.fail(w, err)
			return
		}
	}
	var buf chproto.Buffer
	if err := block.Encode(&buf, q.revision); err != nil {
		c.fail(w, err)
		return
	}
	out := &answer{w: w, q: q, started: time.Now()}
	_ = out.write(buf.Buf)
}

// parseRequest reads a call as ClickHouse reads it: the statement is the
// parameter "query" followed by the body. An insert's data stays in buf.
func parseRequest(w http.ResponseWriter, r *http.Request, buf *bytes.Buffer) (*request, error) {
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(codeBadArguments, "the URL's parameters cannot be read: %v", err)
	}
	q := &request{
		format: "TabSeparated", database: v.Get("database"), queryID: v.Get("query_id"),
		settings: map[string]string{}, parameters: map[string]string{}, compressed: v.Get("compress") == "1",
	}
	if d := r.Header.Get("X-ClickHouse-Database"); d != "" {
		q.database = d
	}
	if q.queryID == "" {
		q.queryID = randomTag()
	}
	if f := v.Get("default_format"); f != "" {
		q.format = f
	} else if f := r.Header.Get("X-ClickHouse-Format"); f != "" {
		q.format = f
	}
	if !paramName.MatchString(q.format) {
		return nil, refuse(codeUnknownFormat, "Unknown format %q", q.format)
	}
	q.revision, _ = strconv.ParseUint(v.Get("client_protocol_version"), 10, 32)
	for name, values := range v {
		value := values[len(values)-1]
		switch {
		case strings.HasPrefix(name, "param_"):
			if !paramName.MatchString(name) {
				return nil, refuse(codeBadArguments, "the query parameter %q is not a name", name)
			}
			q.parameters[strings.TrimPrefix(name, "param_")] = value
		case name == "session_id":
			return nil, refuse(codeNotImplemented, "sessions (session_id) are not kept by the embedded engine: send settings with each query")
		case notSettings[name]:
		case !settingName.MatchString(name):
			return nil, refuse(codeBadArguments, "the URL parameter %q is not the name of a setting", name)
		default:
			q.settings[name] = value
		}
	}
	body, err := readBody(w, r, v.Get("decompress") == "1", buf)
	if err != nil {
		return nil, err
	}
	if err := q.split(v.Get("query"), body); err != nil {
		return nil, err
	}
	if r.Method == http.MethodGet && !q.st.reads() {
		return nil, refuse(codeReadonly, "Cannot execute query in readonly mode: a GET may only read; send it with POST")
	}
	return q, nil
}

// split finds the statement and, for an INSERT, its data.
func (q *request) split(query string, body []byte) error {
	text := query
	if strings.TrimSpace(query) == "" {
		text, body = string(body), nil
	}
	q.st = scan(text)
	switch {
	case q.st.keyword == "":
		return refuse(codeSyntaxError, "Empty query")
	case q.st.more:
		return refuse(codeSyntaxError, "Syntax error: Multi-statements are not allowed")
	}
	if q.st.keyword != "INSERT" || q.st.selects {
		q.sql = text
		if len(bytes.TrimSpace(body)) > 0 {
			// As ClickHouse has it: the statement goes on in the body.
			q.sql = text + "\n" + string(body)
			if q.st = scan(q.sql); q.st.more {
				return refuse(codeSyntaxError, "Syntax error: Multi-statements are not allowed")
			}
		}
		if q.st.format != "" {
			q.format = q.st.format
		}
		return nil
	}
	if q.st.format == "" { // neither FORMAT nor VALUES: the data is as VALUES has it
		q.st.format, q.st.head = "Values", text
	}
	q.sql = strings.TrimSpace(q.st.head)
	q.data = [][]byte{[]byte(text[q.st.data:]), body}
	if len(bytes.TrimSpace(q.data[0])) == 0 {
		q.data = q.data[1:]
	}
	if q.st.format == "Values" && len(q.data) > 0 {
		// Written as SQL it may end in ';', which is no part of the data.
		last := len(q.data) - 1
		q.data[last] = bytes.TrimRight(q.data[last], "; \t\r\n")
	}
	return nil
}

// readBody reads the whole body before the engine is asked for anything: a
// client that stalls holds no connection of the engine, and one that breaks off
// has inserted nothing.
func readBody(w http.ResponseWriter, r *http.Request, unpack bool, buf *bytes.Buffer) ([]byte, error) {
	if ct := r.Header.Get("Content-Type"); strings.HasPrefix(ct, "multipart/") {
		return nil, refuse(codeNotImplemented, "external tables (multipart bodies) are not served by the embedded engine")
	}
	var in io.Reader = http.MaxBytesReader(w, r.Body, maxBody)
	switch enc := r.Header.Get("Content-Encoding"); enc {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("reading the gzip body: %w", err)
		}
		in = z
	default:
		return nil, refuse(codeNotImplemented, "bodies with Content-Encoding %q are not served by the embedded engine: send them plain or with gzip", enc)
	}
	if unpack {
		in = compress.NewReader(in)
	}
	// One byte over the bound tells a body that unpacks to too much.
	if n := r.ContentLength; n > 0 && n <= maxBody {
		buf.Grow(int(n) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(io.LimitReader(in, maxBody+1)); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the request's body: %w", err)
	}
	if buf.Len() > maxBody {
		return nil, &http.MaxBytesError{Limit: maxBody}
	}
	return buf.Bytes(), nil
}

// buffers are kept for the next requests' bodies: inserts come one after the
// other and of about one size, which an insert does not tell beforehand.
type buffers struct {
	mu   sync.Mutex
	rest []*bytes.Buffer
}

const (
	maxRest     = 2       // buffers at rest
	maxRestSize = 8 << 20 // of each; a larger one goes
)

func (b *buffers) take() *bytes.Buffer {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.rest)
	if n == 0 {
		return new(bytes.Buffer)
	}
	buf := b.rest[n-1]
	b.rest = b.rest[:n-1]
	return buf
}

func (b *buffers) giveBack(buf *bytes.Buffer) {
	buf.Reset()
	b.mu.Lock()
	defer b.mu.Unlock()
	if buf.Cap() <= maxRestSize && len(b.rest) < maxRest {
		b.rest = append(b.rest, buf)
	}
}

// refuse makes an error of this front in ClickHouse's own form, which clients
// parse.
func refuse(code int, format string, args ...any) error {
	return engineError(fmt.Sprintf("Code: %d. DB::Exception: ", code) + fmt.Sprintf(format, args...))
}

func contentType(format string) string {
	switch {
	case format == "JSONEachRow", format == "JSONCompactEachRow":
		return "application/x-ndjson; charset=UTF-8"
	case strings.HasPrefix(format, "JSON"):
		return "application/json; charset=UTF-8"
	case strings.HasPrefix(format, "CSV"):
		return "text/csv; charset=UTF-8"
	case strings.HasPrefix(format, "TabSeparated"), strings.HasPrefix(format, "TSV"):
		return "text/tab-separated-values; charset=UTF-8"
	case format == "Native", format == "RowBinary", format == "Parquet", format == "Arrow":
		return "application/octet-stream"
	}
	return "text/plain; charset=UTF-8"
}

// randomTag is 16 letters and digits that no data contains by chance.
func randomTag() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
