package embedded

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// The binding of libchdb: the ClickHouse engine as a shared library, called
// through purego so that the binary stays free of cgo. Only the calls that the
// HTTP front needs are bound, all with explicit lengths: the variants that take
// C strings stop at the first NUL, and inserted data holds NULs.

// chdb is the library's entry points. Strings cross as pointer and length.
type chdb struct {
	setSignalHandlers func(enabled int32)
	connect           func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closeConn         func(conn unsafe.Pointer)

	query       func(conn unsafe.Pointer, sql unsafe.Pointer, sqlLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	streamQuery func(conn unsafe.Pointer, sql unsafe.Pointer, sqlLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	fetch       func(conn, stream unsafe.Pointer) unsafe.Pointer
	cancelQuery func(conn, stream unsafe.Pointer)

	insert       func(conn unsafe.Pointer, sql unsafe.Pointer, sqlLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	insertError  func(stream unsafe.Pointer) string
	appendData   func(stream unsafe.Pointer, data unsafe.Pointer, n uintptr) int32
	done         func(stream unsafe.Pointer) unsafe.Pointer
	cancelInsert func(stream unsafe.Pointer)
	freeInsert   func(stream unsafe.Pointer)

	resultBuffer      func(result unsafe.Pointer) unsafe.Pointer
	resultLength      func(result unsafe.Pointer) uintptr
	resultError       func(result unsafe.Pointer) string
	resultRowsRead    func(result unsafe.Pointer) uint64
	resultBytesRead   func(result unsafe.Pointer) uint64
	resultRowsWritten func(result unsafe.Pointer) uint64
	freeResult        func(result unsafe.Pointer)
}

// library is the one piece of process-wide state of this package, and it has to
// be: a shared library is loaded once per process, and unloading it is not
// possible while its threads live.
var library struct {
	sync.Mutex
	path string
	lib  *chdb
}

// loadLibrary maps libchdb (some 570 MB of address space, paged in on demand)
// the first time it is asked for, and answers with the same binding afterwards.
func loadLibrary(path string) (*chdb, error) {
	library.Lock()
	defer library.Unlock()
	if library.lib != nil {
		if library.path != path {
			return nil, fmt.Errorf("loading %s: this process has already loaded %s, and can load only one", path, library.path)
		}
		return library.lib, nil
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("loading the ClickHouse engine: %w", err)
	}
	h, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("loading the ClickHouse engine from %s: %w", path, err)
	}
	l := &chdb{}
	for _, e := range []struct {
		fn   any
		name string
	}{
		{&l.setSignalHandlers, "chdb_set_signal_handlers_enabled"},
		{&l.connect, "chdb_connect"},
		{&l.closeConn, "chdb_close_conn"},
		{&l.query, "chdb_query_with_params_n"},
		{&l.streamQuery, "chdb_stream_query_with_params_n"},
		{&l.fetch, "chdb_stream_fetch_result"},
		{&l.cancelQuery, "chdb_stream_cancel_query"},
		{&l.insert, "chdb_stream_insert_with_params_n"},
		{&l.insertError, "chdb_stream_insert_error"},
		{&l.appendData, "chdb_stream_append"},
		{&l.done, "chdb_stream_done"},
		{&l.cancelInsert, "chdb_stream_cancel_insert"},
		{&l.freeInsert, "chdb_destroy_insert_stream"},
		{&l.resultBuffer, "chdb_result_buffer"},
		{&l.resultLength, "chdb_result_length"},
		{&l.resultError, "chdb_result_error"},
		{&l.resultRowsRead, "chdb_result_rows_read"},
		{&l.resultBytesRead, "chdb_result_bytes_read"},
		{&l.resultRowsWritten, "chdb_result_rows_written"},
		{&l.freeResult, "chdb_destroy_query_result"},
	} {
		sym, err := purego.Dlsym(h, e.name)
		if err != nil {
			return nil, fmt.Errorf("loading the ClickHouse engine from %s: it has no %s; it must be version %s: %w", path, e.name, chdbVersion, err)
		}
		purego.RegisterFunc(e.fn, sym)
	}
	// Before anything else: the engine's own signal handlers would replace those
	// of the Go runtime, and the process would die at its next preemption.
	l.setSignalHandlers(0)
	library.path, library.lib = path, l
	return l, nil
}

// session is one connection to the engine. It runs one statement at a time; the
// caller sees to that.
type session struct {
	lib    *chdb
	handle unsafe.Pointer // chdb_connection *
	// What was set on the connection, so that a request pays for a SET only
	// where it differs from the one before it.
	settings map[string]string
	database string
}

// arguments of the engine: it is a guest in this process and on this machine. A server's caches
// are gigabytes; half of the cores for a query leave the rest to what feeds it.
func arguments(path string) []string {
	return []string{
		"clickhouse", "--path=" + path,
		"--max_threads=" + strconv.Itoa(min(max(1, runtime.GOMAXPROCS(0)/2), 8)),
		"--mark_cache_size=33554432", "--primary_index_cache_size=33554432",
		"--index_mark_cache_size=8388608", "--query_condition_cache_size=8388608",
	}
}

func (l *chdb) open(path string) (*session, error) {
	args := arguments(path)
	var pin runtime.Pinner
	defer pin.Unpin()
	argv := make([]unsafe.Pointer, len(args)+1)
	for i, a := range args {
		b := append([]byte(a), 0)
		pin.Pin(&b[0])
		argv[i] = unsafe.Pointer(&b[0])
	}
	pin.Pin(&argv[0])
	h := l.connect(int32(len(args)), unsafe.Pointer(&argv[0]))
	if h == nil {
		return nil, fmt.Errorf("opening the ClickHouse engine on %s: it refused; another process may hold the folder, or it was written by a newer version", path)
	}
	return &session{lib: l, handle: h, settings: map[string]string{}, database: "default"}, nil
}

func (s *session) close() {
	if s.handle != nil {
		s.lib.closeConn(s.handle)
		s.handle = nil
	}
}

// conn is the chdb_connection behind the pointer that chdb_connect answered.
func (s *session) conn() unsafe.Pointer { return *(*unsafe.Pointer)(s.handle) }

// stats is what a finished statement reports about itself.
type stats struct{ rowsRead, bytesRead, rowsWritten uint64 }

// cString gives pointer and length of s for a call; nil for the empty string.
func cString(s string) (unsafe.Pointer, uintptr) {
	return unsafe.Pointer(unsafe.StringData(s)), uintptr(len(s))
}

// params lays out named parameters as the four parallel arrays of the C API.
type params struct {
	names, values       []unsafe.Pointer
	nameLens, valueLens []uintptr
	pin                 runtime.Pinner
}

func newParams(m map[string]string) *params {
	p := &params{}
	for k, v := range m {
		// A NUL behind each, so that no pointer is nil, not even an empty value's.
		kb, vb := append([]byte(k), 0), append([]byte(v), 0)
		p.pin.Pin(&kb[0])
		p.pin.Pin(&vb[0])
		p.names = append(p.names, unsafe.Pointer(&kb[0]))
		p.values = append(p.values, unsafe.Pointer(&vb[0]))
		p.nameLens = append(p.nameLens, uintptr(len(k)))
		p.valueLens = append(p.valueLens, uintptr(len(v)))
	}
	return p
}

func (p *params) args() (names, nameLens, values, valueLens unsafe.Pointer, n uintptr) {
	if len(p.names) == 0 {
		return nil, nil, nil, nil, 0
	}
	return unsafe.Pointer(&p.names[0]), unsafe.Pointer(&p.nameLens[0]), unsafe.Pointer(&p.values[0]), unsafe.Pointer(&p.valueLens[0]), uintptr(len(p.names))
}

// run executes one statement and hands its whole answer to sink, whose slice is
// valid only during the call.
func (s *session) run(sql, format string, parameters map[string]string, sink func([]byte) error) (stats, error) {
	p := newParams(parameters)
	defer p.pin.Unpin()
	names, nameLens, values, valueLens, n := p.args()
	q, qn := cString(sql)
	f, fn := cString(format)
	res := s.lib.query(s.conn(), q, qn, f, fn, names, nameLens, values, valueLens, n)
	runtime.KeepAlive(sql)
	runtime.KeepAlive(format)
	runtime.KeepAlive(p)
	return s.take(res, sink)
}

// take reads a result, frees it, and turns the engine's error into ours.
func (s *session) take(res unsafe.Pointer, sink func([]byte) error) (stats, error) {
	if res == nil {
		return stats{}, errors.New("the ClickHouse engine gave no answer")
	}
	defer s.lib.freeResult(res)
	if msg := s.lib.resultError(res); msg != "" {
		return stats{}, engineError(msg)
	}
	st := stats{rowsRead: s.lib.resultRowsRead(res), bytesRead: s.lib.resultBytesRead(res), rowsWritten: s.lib.resultRowsWritten(res)}
	if n := s.lib.resultLength(res); n > 0 && sink != nil {
		if err := sink(unsafe.Slice((*byte)(s.lib.resultBuffer(res)), n)); err != nil {
			return st, err
		}
	}
	return st, nil
}

// stream executes a reading statement and hands its answer over chunk by chunk,
// so that a large result never stands in memory whole. An error of sink cancels
// the query.
func (s *session) stream(sql, format string, parameters map[string]string, sink func([]byte) error) (stats, error) {
	p := newParams(parameters)
	defer p.pin.Unpin()
	names, nameLens, values, valueLens, n := p.args()
	q, qn := cString(sql)
	f, fn := cString(format)
	h := s.lib.streamQuery(s.conn(), q, qn, f, fn, names, nameLens, values, valueLens, n)
	runtime.KeepAlive(sql)
	runtime.KeepAlive(format)
	runtime.KeepAlive(p)
	if h == nil {
		return stats{}, errors.New("the ClickHouse engine gave no answer")
	}
	defer s.lib.freeResult(h)
	if msg := s.lib.resultError(h); msg != "" {
		return stats{}, engineError(msg)
	}
	var total stats
	for {
		var size int
		st, err := s.take(s.lib.fetch(s.conn(), h), func(b []byte) error {
			size = len(b)
			return sink(b)
		})
		if err != nil {
			s.lib.cancelQuery(s.conn(), h)
			return total, err
		}
		if size == 0 {
			return total, nil
		}
		total.rowsRead += st.rowsRead
		total.bytesRead += st.bytesRead
	}
}

// insertChunk is how much of an insert's data goes to the engine per call: it
// copies each chunk, and one copy of a whole batch would double its memory.
const insertChunk = 1 << 20

// insert executes an INSERT whose statement ends before its FORMAT clause, with
// its data apart: as part of the text it would be cut at the first ';' or NUL.
func (s *session) insert(sql, format string, parameters map[string]string, data ...[]byte) (stats, error) {
	p := newParams(parameters)
	defer p.pin.Unpin()
	names, nameLens, values, valueLens, n := p.args()
	q, qn := cString(sql)
	f, fn := cString(format)
	h := s.lib.insert(s.conn(), q, qn, f, fn, names, nameLens, values, valueLens, n)
	runtime.KeepAlive(sql)
	runtime.KeepAlive(format)
	runtime.KeepAlive(p)
	if h == nil {
		return stats{}, errors.New("the ClickHouse engine gave no answer")
	}
	defer s.lib.freeInsert(h)
	if msg := s.lib.insertError(h); msg != "" {
		return stats{}, engineError(msg)
	}
	for _, d := range data {
		for len(d) > 0 {
			n := min(len(d), insertChunk)
			ok := s.lib.appendData(h, unsafe.Pointer(&d[0]), uintptr(n)) == 0
			runtime.KeepAlive(d)
			if !ok {
				// The reason comes with the result, or only with the handle.
				msg := s.lib.insertError(h)
				if _, err := s.take(s.lib.done(h), nil); err != nil {
					return stats{}, err
				}
				if msg == "" {
					msg = "the ClickHouse engine refused the data without a reason"
				}
				return stats{}, engineError(msg)
			}
			d = d[n:]
		}
	}
	return s.take(s.lib.done(h), nil)
}

// engineError is an error as ClickHouse words it: "Code: 60. DB::Exception: …".
type engineError string

func (e engineError) Error() string { return strings.TrimSpace(string(e)) }

// code is the number after "Code: ", 0 if there is none.
func (e engineError) code() int {
	var n int
	if i := strings.Index(string(e), "Code: "); i >= 0 {
		_, _ = fmt.Sscanf(string(e)[i:], "Code: %d.", &n)
	}
	return n
}
