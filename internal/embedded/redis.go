package embedded

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// RedisConfig says where the snapshots are kept and where it listens.
type RedisConfig struct {
	Dir           string        // "" keeps everything in memory, gone at Close
	Addr          string        // loopback host:port; "" or port 0 chooses a free port
	SnapshotEvery time.Duration // 0 means five seconds
	Log           *slog.Logger
}

const (
	// expiryTick is how finely keys expire.
	expiryTick = 100 * time.Millisecond
	// Expiry and snapshots hold the server up: after a piece of work of d they
	// rest for at least these many times d, however large the content is.
	expiryRest   = 20
	snapshotRest = 5
)

// Redis is a Redis server in this process (miniredis): strings, hashes, sets,
// sorted sets, lists, Lua scripts, transactions. Its content is written to
// Dir/snapshot.aof every few seconds when something changed, and at Close.
type Redis struct {
	log    *slog.Logger
	mini   *miniredis.Miniredis
	addr   string
	path   string // of the snapshot; "" without Dir
	lock   *os.File
	stop   chan struct{}
	wg     sync.WaitGroup
	once   sync.Once
	failed error

	writes atomic.Uint64 // commands that may have changed something

	token   string     // what a dump command must know
	dumping sync.Mutex // guards what follows, and the file
	dump    *bytes.Buffer
	size    int    // of the last dump, to have room for the next
	written uint64 // value of writes at the last snapshot
	again   bool   // the last snapshot may have missed a command on its way
}

// NewRedis starts the server with the content of the last snapshot.
func NewRedis(cfg RedisConfig) (*Redis, error) {
	addr, err := loopback("Redis", cfg.Addr)
	if err != nil {
		return nil, err
	}
	if cfg.SnapshotEvery <= 0 {
		cfg.SnapshotEvery = 5 * time.Second
	}
	r := &Redis{log: logger(cfg.Log), mini: miniredis.NewMiniRedis(), stop: make(chan struct{}), token: randomTag() + randomTag()}
	if cfg.Dir != "" {
		if r.lock, err = lockDir("Redis", cfg.Dir); err != nil {
			return nil, err
		}
		r.path = filepath.Join(cfg.Dir, "snapshot.aof")
	}
	if err := r.start(addr); err != nil {
		if r.lock != nil {
			_ = r.lock.Close()
		}
		return nil, err
	}
	r.wg.Go(r.expire)
	if r.path != "" {
		r.wg.Go(func() { r.keep(cfg.SnapshotEvery) })
	}
	r.log.Info("embedded Redis started: for development, not for production", "addr", r.addr, "dir", cfg.Dir)
	return r, nil
}

// start loads before it listens: no client ever sees half of the content.
func (r *Redis) start(addr string) error {
	if r.path != "" {
		if err := r.load(); err != nil {
			return err
		}
	}
	if err := r.mini.StartAddr(addr); err != nil {
		return fmt.Errorf("embedded Redis: %w", err)
	}
	r.addr = r.mini.Addr()
	return r.register()
}

// register adds to the server what this package needs of it.
func (r *Redis) register() error {
	srv := r.mini.Server()
	srv.SetPreHook(r.before)
	if err := srv.Register(dumpCommand, r.dumpAll, server.ReadOnlyOption()); err != nil {
		return fmt.Errorf("embedded Redis: %w", err)
	}
	return nil
}

// Addr is the host:port of the server.
func (r *Redis) Addr() string { return r.addr }

// Close stops the server, then writes the last snapshot, so that everything a
// client was told is in it.
func (r *Redis) Close() error {
	r.once.Do(func() {
		close(r.stop)
		r.wg.Wait()
		r.mini.Close()
		if r.path != "" {
			r.failed = r.last()
		}
		if r.lock != nil {
			r.failed = errors.Join(r.failed, r.lock.Close())
		}
	})
	return r.failed
}

// last writes the closing snapshot. The server is closed by now, and takes
// commands again only without a listener, from this process.
func (r *Redis) last() error {
	conn, err := r.mini.Dial()
	if err != nil {
		return fmt.Errorf("embedded Redis: last snapshot: %w", err)
	}
	defer func() { _ = conn.Close(); r.mini.Close() }()
	if err := r.register(); err != nil {
		return err
	}
	return r.Snapshot()
}

// quiet are the commands that miniredis does not mark as reading and that
// change nothing all the same. What a script calls is seen one by one.
var quiet = map[string]bool{
	"PING": true, "ECHO": true, "HELLO": true, "AUTH": true, "SELECT": true, "CLIENT": true, "COMMAND": true,
	"INFO": true, "TIME": true, "QUIT": true, "MULTI": true, "EXEC": true, "DISCARD": true, "WATCH": true,
	"UNWATCH": true, "EVAL": true, "EVALSHA": true, "SCRIPT": true, "CLUSTER": true, "OBJECT": true,
	"MEMORY": true, "WAIT": true, "SUBSCRIBE": true, "UNSUBSCRIBE": true, "PSUBSCRIBE": true,
	"PUNSUBSCRIBE": true, "PUBLISH": true, "PUBSUB": true,
}

// refused are the commands whose effect a snapshot would not keep. An engine
// that forgets them without a word would be worse than one that lacks them.
var refused = map[string]bool{
	"XADD": true, "XGROUP": true, "XREADGROUP": true, "XAUTOCLAIM": true, "XCLAIM": true,
	"PFADD": true, "PFMERGE": true, "HEXPIRE": true, "HSETEX": true, "SWAPDB": true,
}

// before sees each command, also those that scripts call.
func (r *Redis) before(p *server.Peer, cmd string, args ...string) bool {
	if cmd == "SELECT" && len(args) == 1 {
		if n, err := strconv.Atoi(args[0]); err == nil && n >= databases {
			p.WriteError("ERR DB index is out of range")
			return true
		}
	}
	if r.path == "" || quiet[cmd] || cmd == dumpCommand {
		return false
	}
	if refused[cmd] {
		p.WriteError("ERR '" + strings.ToLower(cmd) + "' is not served by the embedded Redis, whose snapshots hold strings, hashes, lists, sets and sorted sets with the keys' expiry: use a Redis server for it")
		return true
	}
	if !r.mini.Server().IsReadOnlyCommand(cmd) {
		r.writes.Add(1)
	}
	return false
}

// expire drives the keys' time to live, which miniredis leaves to its user. Its
// own switch for that walks over all keys at every command.
func (r *Redis) expire() {
	last := time.Now()
	timer := time.NewTimer(expiryTick)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			now := time.Now()
			r.mini.FastForward(now.Sub(last))
			last = now
			timer.Reset(max(expiryTick, expiryRest*time.Since(now)))
		case <-r.stop:
			return
		}
	}
}

// keep writes a snapshot whenever something changed.
func (r *Redis) keep(every time.Duration) {
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			wait := every
			if r.changed() {
				began := time.Now()
				if err := r.Snapshot(); err != nil {
					r.log.Error("embedded Redis: snapshot failed; trying again", "error", err)
				}
				wait = max(every, snapshotRest*time.Since(began))
			}
			timer.Reset(wait)
		case <-r.stop:
			return
		}
	}
}

// changed reports whether a snapshot is due. A command is counted before it is
// carried out, so one that was on its way during the last snapshot may be
// missing from it: hence one round more after the last change.
func (r *Redis) changed() bool {
	r.dumping.Lock()
	defer r.dumping.Unlock()
	return r.writes.Load() != r.written || r.again
}

// peer is a client inside the process that collects its answers in buf.
func peer(buf *bytes.Buffer) (*server.Peer, *bufio.Writer) {
	w := bufio.NewWriterSize(buf, 64<<10)
	return server.NewPeer(w), w
}
