package clickhouse

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// reader turns the records of one topic into rows of one or several tables. A record that it
// refuses has added no row.
type reader interface {
	// tables are filled by add; the first that a crash leaves out is written when the batch comes again.
	tables() []*rows
	// add decodes a record and adds its rows.
	add(r *stream.Record, c coordinates) error
	// removed says which rows a record without value (a tombstone) takes away; nil = none.
	removed(key string) ([]removal, error)
}

// removal names the rows of one key in one table.
type removal struct {
	table string
	where string // columns and values, without coordinates
}

// message is a generated Protobuf message.
type message interface{ UnmarshalVT([]byte) error }

// malformed is an error of the record itself: the same bytes would fail again.
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{connectors.ErrMalformed}, args...)...)
}

func decode(r *stream.Record, m message) error {
	if err := m.UnmarshalVT(r.Value); err != nil {
		return malformed("decoding %s: %v", r.Topic.Value, err)
	}
	return nil
}

// latest is the first millisecond that a nanosecond clock and so clickhouse-go cannot hold.
const latest = 9_214_646_400_000 // 2262-01-01

// times refuses what would silently become another time in the table.
func times(ms ...int64) error {
	for _, t := range ms {
		if t < 0 || t >= latest {
			return malformed("a time of %d ms since 1970 is outside 1970 to 2261", t)
		}
	}
	return nil
}

// with sets the version of a fact: as the message says, else as the record's header says,
// else its offset.
func (c coordinates) with(r *stream.Record, v *event.Version) (coordinates, error) {
	if v == nil {
		return c.fromHeader(r, nil)
	}
	c.epoch, c.version = v.Epoch, v.Number
	return c, c.check()
}

// fromHeader prefers the header, which every record of a room's table has.
func (c coordinates) fromHeader(r *stream.Record, otherwise *event.Version) (coordinates, error) {
	h := r.Header(schemas.HeaderVersion)
	switch {
	case h != nil:
		e, n, ok := strings.Cut(string(h), ".")
		var err1, err2 error
		c.epoch, err1 = strconv.ParseInt(e, 10, 64)
		c.version, err2 = strconv.ParseInt(n, 10, 64)
		if !ok || err1 != nil || err2 != nil {
			return c, malformed("header %s is not \"epoch.number\"", schemas.HeaderVersion)
		}
	case otherwise != nil:
		c.epoch, c.version = otherwise.Epoch, otherwise.Number
	default:
		c.epoch, c.version = 0, r.Offset
	}
	return c, c.check()
}

func (c coordinates) check() error {
	if c.epoch < 0 || c.version < 0 {
		return malformed("version %d.%d is negative", c.epoch, c.version)
	}
	return nil
}

// enum is a generated enumeration.
type enum interface {
	~int32
	String() string
}

// spelled turns ORDER_STATUS_ON_HOLD into on_hold, once per value; unspecified is empty.
type spelled[E enum] struct {
	prefix string
	known  map[E]string
}

func spell[E enum](prefix string) *spelled[E] { return &spelled[E]{prefix, map[E]string{}} }

func (s *spelled[E]) of(v E) string {
	if t, ok := s.known[v]; ok {
		return t
	}
	t := strings.ToLower(strings.TrimPrefix(v.String(), s.prefix+"_"))
	if t == "unspecified" {
		t = ""
	}
	if len(s.known) < 256 { // numbers that a newer writer made up are not kept for ever
		s.known[v] = t
	}
	return t
}

// pseudonym is what stands in the tables for a buyer.
type pseudonym struct {
	mode Buyer
	mac  hash.Hash
	sum  []byte
}

func newPseudonym(mode Buyer, key []byte) *pseudonym {
	if mode == "" {
		mode = BuyerHash
	}
	return &pseudonym{mode: mode, mac: hmac.New(sha256.New, key)}
}

// of is stable for an account's buyer: the first 16 hex digits of HMAC-SHA256(key, account NUL id).
func (p *pseudonym) of(account, buyer string) string {
	switch {
	case buyer == "" || p.mode == BuyerNone:
		return ""
	case p.mode == BuyerID:
		return buyer
	}
	p.mac.Reset()
	p.mac.Write([]byte(account))
	p.mac.Write([]byte{0})
	p.mac.Write([]byte(buyer))
	p.sum = p.mac.Sum(p.sum[:0])
	return hex.EncodeToString(p.sum[:8])
}

// key2 cuts a record key "a/b" at its first slash: accounts contain none.
func key2(key, columnA, columnB string) (string, error) {
	a, b, ok := strings.Cut(key, "/")
	if !ok {
		return "", malformed("the key %q is not two parts with a slash", key)
	}
	return columnA + " = " + quote(a) + " AND " + columnB + " = " + quote(b), nil
}
