package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// ClickHouseConfig says where the engine keeps its data and where it listens.
type ClickHouseConfig struct {
	Dir     string // required: the engine has no memory-only form worth having
	Addr    string // loopback host:port; "" or port 0 chooses a free port
	Library string // path of libchdb, as Library returns it
	Log     *slog.Logger
}

// Connections to the engine. A connection runs one statement at a time, so they
// are the guard; inserts have their own, so that a reader that takes a minute
// never makes the sink wait. Each lane is first come, first served.
const (
	readLane  = 3
	writeLane = 2
)

// ClickHouse is the real ClickHouse engine in this process, behind ClickHouse's
// HTTP interface (https://clickhouse.com/docs/interfaces/http): clickhouse-go
// with Protocol HTTP, curl and Grafana all speak to it.
type ClickHouse struct {
	log     *slog.Logger
	dir     string
	lib     *chdb
	version string
	zone    string
	lock    *os.File
	ln      net.Listener
	srv     *http.Server
	served  chan struct{}
	reads   chan *session
	writes  chan *session
	bodies  chan struct{}
	buffers buffers
	once    sync.Once
	failed  error
}

// NewClickHouse loads the library (once per process), opens the data folder and
// serves it until Close. One process serves one folder at a time.
func NewClickHouse(cfg ClickHouseConfig) (*ClickHouse, error) {
	addr, err := loopback("ClickHouse", cfg.Addr)
	if err != nil {
		return nil, err
	}
	if cfg.Dir == "" {
		return nil, errors.New("embedded ClickHouse: no data folder given")
	}
	if cfg.Library == "" {
		return nil, errors.New("embedded ClickHouse: no library given: fetch it first")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("embedded ClickHouse: data folder: %w", err)
	}
	lib, err := loadLibrary(cfg.Library)
	if err != nil {
		return nil, err
	}
	lock, err := lockDir("ClickHouse", dir)
	if err != nil {
		return nil, err
	}
	c := &ClickHouse{
		log: logger(cfg.Log), dir: filepath.Join(dir, "data"), lib: lib, lock: lock,
		served: make(chan struct{}),
		reads:  make(chan *session, readLane),
		writes: make(chan *session, writeLane),
		bodies: make(chan struct{}, maxBodies),
	}
	if err := c.open(); err != nil {
		c.closeSessions(context.Background())
		_ = lock.Close()
		return nil, err
	}
	c.ln, err = net.Listen("tcp", addr)
	if err != nil {
		c.closeSessions(context.Background())
		_ = lock.Close()
		return nil, fmt.Errorf("embedded ClickHouse: %w", err)
	}
	c.srv = &http.Server{
		Handler:           c.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       5 * time.Minute,
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    1 << 20,
		ErrorLog:          slog.NewLogLogger(c.log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(c.served)
		if err := c.srv.Serve(c.ln); !errors.Is(err, http.ErrServerClosed) {
			c.log.Error("embedded ClickHouse stopped serving", "error", err)
		}
	}()
	c.log.Info("embedded ClickHouse started: for development, not for production", "http", c.Addr(), "version", c.version, "dir", cfg.Dir)
	return c, nil
}

// open opens the connections of both lanes and asks the engine who it is.
func (c *ClickHouse) open() error {
	for range readLane {
		s, err := c.lib.open(c.dir)
		if err != nil {
			return err
		}
		c.reads <- s
	}
	for range writeLane {
		s, err := c.lib.open(c.dir)
		if err != nil {
			return err
		}
		c.writes <- s
	}
	s := <-c.reads
	defer func() { c.reads <- s }()
	_, err := s.run("SELECT version(), timezone()", "TSV", nil, func(b []byte) error {
		c.version, c.zone, _ = strings.Cut(strings.TrimSpace(string(b)), "\t")
		return nil
	})
	if err != nil {
		return fmt.Errorf("asking the ClickHouse engine for its version: %w", err)
	}
	return nil
}

// Addr is the host:port of the HTTP interface.
func (c *ClickHouse) Addr() string { return c.ln.Addr().String() }

// Close ends the service: requests under way get ten seconds to finish.
func (c *ClickHouse) Close() error {
	c.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := c.srv.Shutdown(ctx); err != nil {
			_ = c.srv.Close()
		}
		<-c.served
		c.failed = c.closeSessions(ctx)
		c.failed = errors.Join(c.failed, c.lock.Close())
	})
	return c.failed
}

// closeSessions closes every connection that comes back before ctx ends. One
// that runs a statement cannot be closed under it: then the engine stays up
// until the process ends, which loses nothing.
func (c *ClickHouse) closeSessions(ctx context.Context) error {
	// A statement may still run in a connection; those at rest are in the
	// channels. During a failed start the channels are not full.
	want := readLane + writeLane
	if c.ln == nil {
		want = len(c.reads) + len(c.writes)
	}
	for range want {
		select {
		case s := <-c.reads:
			s.close()
		case s := <-c.writes:
			s.close()
		case <-ctx.Done():
			return errors.New("closing the embedded ClickHouse: a statement is still running and was left to end with the process")
		}
	}
	return nil
}

// acquire waits for a connection of the lane, sets it up as the request wants
// it, and returns it with the function that gives it back.
func (c *ClickHouse) acquire(ctx context.Context, lane chan *session, database string, settings map[string]string) (*session, func(spoiled bool), error) {
	var s *session
	select {
	case s = <-lane:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	release := func(spoiled bool) {
		if spoiled || s.handle == nil {
			fresh, err := c.lib.open(c.dir)
			if err != nil {
				// Keep the old one: a lane that shrinks would end in silence.
				c.log.Error("embedded ClickHouse: replacing a connection", "error", err)
			} else {
				s.close()
				s = fresh
			}
		}
		lane <- s
	}
	if err := s.prepare(database, settings); err != nil {
		release(true)
		return nil, nil, err
	}
	return s, release, nil
}

// prepare brings the connection to the request's database and settings. They go
// through SET, not into the statement's text: behind a CREATE TABLE the same
// words would become settings of the table.
func (s *session) prepare(database string, settings map[string]string) error {
	var set []string
	for k := range s.settings {
		if _, ok := settings[k]; !ok {
			set = append(set, k+" = DEFAULT")
		}
	}
	for k, v := range settings {
		if have, ok := s.settings[k]; !ok || have != v {
			set = append(set, k+" = "+quote(v))
		}
	}
	if len(set) > 0 {
		if _, err := s.run("SET "+strings.Join(set, ", "), "Null", nil, nil); err != nil {
			return err
		}
		s.settings = settings
	}
	if database == "" {
		database = "default"
	}
	if database != s.database {
		if _, err := s.run("USE "+identifier(database), "Null", nil, nil); err != nil {
			return err
		}
		s.database = database
	}
	return nil
}

// ServeClickHouse serves the engine until ctx ends: the body of a process of its
// own, which can be killed and restarted like a server.
func ServeClickHouse(ctx context.Context, cfg ClickHouseConfig) error {
	c, err := NewClickHouse(cfg)
	if err != nil {
		return err
	}
	<-ctx.Done()
	return c.Close()
}
