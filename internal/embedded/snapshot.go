package embedded

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/alicebob/miniredis/v2/server"
)

// The snapshot is a file of Redis commands in Redis's own wire form, the form of
// an append-only file: SELECT, SET, HSET, RPUSH, SADD, ZADD, PEXPIREAT. Its last
// command is an ECHO with the checksum of all before it. A real Redis can load it.

// dumpCommand is registered with the server. It does something only when a
// Snapshot of this process is waiting for it, which it proves with a token.
const dumpCommand = "CROSSDOCK.DUMP"

// dumpScript calls it. The detour through a script is what makes the snapshot a
// point in time: a script runs under the server's one lock from beginning to
// end, and what it calls runs under that lock too.
const dumpScript = "return redis.call('" + dumpCommand + "', ARGV[1])"

// databases is how many there are, as in Redis's own default.
const databases = 16

// fieldsPerCommand bounds the length of one command in the file.
const fieldsPerCommand = 512

const endMark = "crossdock-end "

// Snapshot writes the whole content, as of one point in time, to the snapshot
// file. Clients wait only while the content is copied, not while it is written.
func (r *Redis) Snapshot() error {
	if r.path == "" {
		return errors.New("embedded Redis: it keeps everything in memory, there is no folder for a snapshot")
	}
	r.dumping.Lock()
	defer r.dumping.Unlock()
	before := r.writes.Load()
	raw, at, err := r.copy()
	if err != nil {
		return fmt.Errorf("embedded Redis: copying the content: %w", err)
	}
	if err := writeSnapshot(r.path, raw, at); err != nil {
		return fmt.Errorf("embedded Redis: writing %s: %w", r.path, err)
	}
	r.again = before != r.written
	r.written = before
	return nil
}

// copy takes the content as replies to TYPE, PTTL and the reading commands, all
// given under one lock.
func (r *Redis) copy() ([]byte, time.Time, error) {
	r.dump = bytes.NewBuffer(make([]byte, 0, r.size+r.size/8))
	defer func() { r.size, r.dump = r.dump.Len(), nil }()

	var reply bytes.Buffer
	p, w := peer(&reply)
	at := time.Now()
	r.mini.Server().Dispatch(p, []string{"EVAL", dumpScript, "0", r.token})
	_ = w.Flush()
	if got := reply.String(); got != "+OK\r\n" {
		return nil, at, fmt.Errorf("the server answered %.200q", got)
	}
	return r.dump.Bytes(), at, nil
}

// dumpAll handles the dump command: it runs inside the script, so under the lock.
func (r *Redis) dumpAll(c *server.Peer, _ string, args []string) {
	if len(args) != 1 || args[0] != r.token {
		c.WriteError("ERR unknown command")
		return
	}
	srv := r.mini.Server()
	out, w := peer(r.dump)
	out.Ctx = c.Ctx // the script's own context: already locked
	var small bytes.Buffer
	ask, askW := peer(&small)
	ask.Ctx = c.Ctx
	for db := range databases {
		small.Reset()
		srv.Dispatch(ask, []string{"SELECT", strconv.Itoa(db)})
		_ = askW.Flush()
		small.Reset()
		srv.Dispatch(ask, []string{"KEYS", "*"})
		_ = askW.Flush()
		keys, _, err := readReply(bytes.Clone(small.Bytes()))
		if err != nil {
			c.WriteError("ERR listing the keys: " + err.Error())
			return
		}
		for _, k := range keys {
			key := string(k)
			small.Reset()
			srv.Dispatch(ask, []string{"TYPE", key})
			_ = askW.Flush()
			typ := string(bytes.TrimRight(bytes.TrimPrefix(small.Bytes(), []byte("+")), "\r\n"))
			read := reading[typ]
			if read == nil {
				c.WriteError(fmt.Sprintf("ERR key %.100q is a %s, which a snapshot cannot hold", key, typ))
				return
			}
			out.WriteInt(db)
			out.WriteBulk(key)
			out.WriteBulk(typ)
			srv.Dispatch(out, []string{"PTTL", key})
			srv.Dispatch(out, append([]string{read[0], key}, read[1:]...))
		}
	}
	_ = w.Flush()
	c.WriteOK()
}

// reading is how the content of each type is asked for.
var reading = map[string][]string{
	"string": {"GET"},
	"hash":   {"HGETALL"},
	"list":   {"LRANGE", "0", "-1"},
	"set":    {"SMEMBERS"},
	"zset":   {"ZRANGE", "0", "-1", "WITHSCORES"},
}

// writeSnapshot turns the copied replies into commands, in a file that replaces
// the one before it only when it is whole and on disk.
func writeSnapshot(path string, raw []byte, at time.Time) error {
	tmp, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = tmp.Close() }()
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	w := bufio.NewWriterSize(io.MultiWriter(tmp, sum), 256<<10)
	if err := writeCommands(w, raw, at); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	end := fmt.Sprintf("%s%08x", endMark, sum.Sum32())
	if _, err := tmp.Write(command(nil, "ECHO", end)); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return dir.Sync()
}

func writeCommands(w *bufio.Writer, raw []byte, at time.Time) error {
	current := -1
	var buf []byte
	emit := func(args ...string) error {
		buf = command(buf[:0], args...)
		_, err := w.Write(buf)
		return err
	}
	for len(raw) > 0 {
		var parts [5][][]byte // database, key, type, PTTL, content
		for i := range parts {
			var err error
			if parts[i], raw, err = readReply(raw); err != nil {
				return fmt.Errorf("reading back the copied content: %w", err)
			}
			if i < 4 && len(parts[i]) != 1 {
				return errors.New("reading back the copied content: a key without its type")
			}
		}
		db, err := strconv.Atoi(string(parts[0][0]))
		if err != nil {
			return err
		}
		if db != current {
			if err := emit("SELECT", strconv.Itoa(db)); err != nil {
				return err
			}
			current = db
		}
		key, typ := string(parts[1][0]), string(parts[2][0])
		ttl, err := strconv.ParseInt(string(parts[3][0]), 10, 64)
		if err != nil {
			return err
		}
		for chunk := range chunks(parts[4], 2*fieldsPerCommand) {
			args, err := restoring(typ, key, chunk)
			if err != nil {
				return err
			}
			if err := emit(args...); err != nil {
				return err
			}
		}
		if ttl >= 0 {
			if err := emit("PEXPIREAT", key, strconv.FormatInt(at.UnixMilli()+ttl, 10)); err != nil {
				return err
			}
		}
	}
	return nil
}

// restoring is the command that brings a piece of a key's content back.
func restoring(typ, key string, content [][]byte) ([]string, error) {
	args := make([]string, 0, len(content)+2)
	switch typ {
	case "string":
		args = append(args, "SET", key)
	case "hash":
		args = append(args, "HSET", key)
	case "list":
		args = append(args, "RPUSH", key)
	case "set":
		args = append(args, "SADD", key)
	case "zset": // replies have member, score; ZADD wants score, member
		args = append(args, "ZADD", key)
		for i := 0; i+1 < len(content); i += 2 {
			args = append(args, string(content[i+1]), string(content[i]))
		}
		return args, nil
	default:
		return nil, fmt.Errorf("key %.100q has the unknown type %q", key, typ)
	}
	for _, c := range content {
		args = append(args, string(c))
	}
	return args, nil
}

func chunks(all [][]byte, n int) func(yield func([][]byte) bool) {
	return func(yield func([][]byte) bool) {
		for len(all) > 0 {
			c := all[:min(n, len(all))]
			if !yield(c) {
				return
			}
			all = all[len(c):]
		}
	}
}

// command appends a command in wire form.
func command(b []byte, args ...string) []byte {
	b = append(b, '*')
	b = strconv.AppendInt(b, int64(len(args)), 10)
	b = append(b, '\r', '\n')
	for _, a := range args {
		b = append(b, '$')
		b = strconv.AppendInt(b, int64(len(a)), 10)
		b = append(b, '\r', '\n')
		b = append(b, a...)
		b = append(b, '\r', '\n')
	}
	return b
}

// readReply reads one reply: a bulk string, a number or a status as one piece,
// an array of such as its pieces. It returns what follows. The pieces alias b.
func readReply(b []byte) (pieces [][]byte, rest []byte, err error) {
	kind, line, rest, err := readLine(b)
	if err != nil {
		return nil, nil, err
	}
	switch kind {
	case '+', ':':
		return [][]byte{line}, rest, nil
	case '-':
		return nil, nil, fmt.Errorf("the server answered %.200q", line)
	case '$':
		piece, rest, err := readBulk(line, rest)
		return [][]byte{piece}, rest, err
	case '*':
		n, err := strconv.Atoi(string(line))
		if err != nil || n < 0 || n > len(rest) { // each element takes more than a byte
			return nil, nil, fmt.Errorf("an array of %.20q elements", line)
		}
		pieces = make([][]byte, 0, n)
		for range n {
			kind, line, after, err := readLine(rest)
			if err != nil {
				return nil, nil, err
			}
			if kind != '$' {
				return nil, nil, fmt.Errorf("an element of kind %q", kind)
			}
			piece, after, err := readBulk(line, after)
			if err != nil {
				return nil, nil, err
			}
			pieces, rest = append(pieces, piece), after
		}
		return pieces, rest, nil
	}
	return nil, nil, fmt.Errorf("a reply of kind %q", kind)
}

var errCut = errors.New("it ends too early")

func readLine(b []byte) (kind byte, line, rest []byte, err error) {
	i := bytes.Index(b, []byte("\r\n"))
	if i < 1 {
		return 0, nil, nil, errCut
	}
	return b[0], b[1:i], b[i+2:], nil
}

func readBulk(line, b []byte) (piece, rest []byte, err error) {
	n, err := strconv.Atoi(string(line))
	if err != nil || n < 0 {
		return nil, nil, fmt.Errorf("a string of length %.20q", line)
	}
	if len(b)-2 < n {
		return nil, nil, errCut
	}
	if b[n] != '\r' || b[n+1] != '\n' {
		return nil, nil, errors.New("a string that does not end where it should")
	}
	return b[:n], b[n+2:], nil
}

// load brings the last snapshot back. It is checked whole before any of it is
// used; a folder without one is a new start.
func (r *Redis) load() error {
	b, err := os.ReadFile(r.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("embedded Redis: reading the snapshot: %w", err)
	}
	body, err := verify(b)
	if err != nil {
		return fmt.Errorf("embedded Redis: the snapshot %s is damaged (%w): delete it and rebuild the state from Kafka", r.path, err)
	}
	now, db := time.Now(), 0
	for at := 0; len(body) > 0; at++ {
		args, rest, err := readReply(body)
		if err == nil {
			err = r.apply(args, &db, now)
		}
		if err != nil {
			return fmt.Errorf("embedded Redis: the snapshot %s cannot be read: command %d: %w", r.path, at, err)
		}
		body = rest
	}
	return nil
}

// verify checks the closing ECHO and returns what stands before it.
func verify(b []byte) ([]byte, error) {
	// The closing command has a fixed length, so it is found from the end.
	end := len(command(nil, "ECHO", endMark+"00000000"))
	if len(b) < end {
		return nil, errCut
	}
	body, last := b[:len(b)-end], b[len(b)-end:]
	args, rest, err := readReply(last)
	if err != nil || len(rest) > 0 || len(args) != 2 || string(args[0]) != "ECHO" {
		return nil, errCut
	}
	if string(args[1]) != endMark+checksum(body) {
		return nil, errors.New("its checksum does not fit")
	}
	return body, nil
}

func checksum(body []byte) string {
	return fmt.Sprintf("%08x", crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
}

// apply carries out one command of the file.
func (r *Redis) apply(args [][]byte, db *int, now time.Time) error {
	if len(args) < 2 {
		return fmt.Errorf("%d arguments", len(args))
	}
	name, key := string(args[0]), string(args[1])
	rest := make([]string, len(args)-2)
	for i, a := range args[2:] {
		rest[i] = string(a)
	}
	if name == "SELECT" {
		n, err := strconv.Atoi(key)
		if err != nil || n < 0 || n >= databases {
			return fmt.Errorf("SELECT %q", key)
		}
		*db = n
		return nil
	}
	if len(rest) == 0 {
		return fmt.Errorf("%s without a value", name)
	}
	d := r.mini.DB(*db)
	switch name {
	case "SET":
		return d.Set(key, rest[0])
	case "HSET":
		if len(rest)%2 != 0 {
			return fmt.Errorf("HSET %.100q with a field without value", key)
		}
		d.HSet(key, rest...)
	case "RPUSH":
		_, err := d.Push(key, rest...)
		return err
	case "SADD":
		_, err := d.SetAdd(key, rest...)
		return err
	case "ZADD":
		for i := 0; i+1 < len(rest); i += 2 {
			score, err := strconv.ParseFloat(rest[i], 64)
			if err != nil {
				return fmt.Errorf("ZADD %.100q: %w", key, err)
			}
			if _, err := d.ZAdd(key, score, rest[i+1]); err != nil {
				return err
			}
		}
	case "PEXPIREAT":
		ms, err := strconv.ParseInt(rest[0], 10, 64)
		if err != nil {
			return fmt.Errorf("PEXPIREAT %.100q: %w", key, err)
		}
		if left := time.UnixMilli(ms).Sub(now); left > 0 {
			d.SetTTL(key, left)
		} else {
			d.Del(key) // its time ran out while nobody was there
		}
	default:
		return fmt.Errorf("unknown command %.40q", name)
	}
	return nil
}
