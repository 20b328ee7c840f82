package stream

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// entry is one table entry in memory. value is nil when it is known that there is none.
type entry struct {
	value Message
	lineage
}

// lineage is where an entry's state comes from: its version; the version it replaced; and
// since, the offset of the first of the records that made the one of the other. Records of
// one batch are written as one version, so a rebuild must not cut between since and version.
type lineage struct {
	version, previous Version
	since             int64
}

// encodeEntry is the Redis form: lineage (five varints), then the message. The message's own
// bytes are returned as well, as the topic's value, so that it is encoded once.
func encodeEntry(e entry) (stored, message []byte, err error) {
	size := e.value.SizeVT()
	buf := make([]byte, 0, 5*binary.MaxVarintLen64+size)
	for _, n := range [...]int64{e.version.Epoch, e.version.Number, e.previous.Epoch, e.previous.Number, e.since} {
		buf = binary.AppendVarint(buf, n)
	}
	head := len(buf)
	buf = buf[:head+size]
	if _, err := e.value.MarshalToSizedBufferVTStrict(buf[head:]); err != nil {
		return nil, nil, fmt.Errorf("encoding a table entry: %w", err)
	}
	return buf, buf[head:], nil
}

func decodeEntry(t *Table, stored []byte) (entry, error) {
	var head [5]int64
	for i := range head {
		v, n := binary.Varint(stored)
		if n <= 0 {
			return entry{}, fmt.Errorf("table %s: an entry in Redis has no lineage", t.Name)
		}
		head[i], stored = v, stored[n:]
	}
	msg := t.New()
	if err := msg.UnmarshalVT(stored); err != nil {
		return entry{}, fmt.Errorf("table %s: an entry in Redis cannot be decoded: %w", t.Name, err)
	}
	return entry{msg, lineage{Version{head[0], head[1]}, Version{head[2], head[3]}, head[4]}}, nil
}

// tableRecord is an entry's record on its table's topic. value nil writes a tombstone.
func tableRecord(k Key, value Message, l lineage) Output {
	o := Output{
		Topic: k.Table.Topic,
		Key:   []byte(k.ID),
		Value: value,
		Headers: []Header{
			{schemas.HeaderVersion, []byte(l.version.String())},
			{schemas.HeaderPrevious, []byte(l.previous.String())},
			{schemas.HeaderSince, strconv.AppendInt(nil, l.since, 10)},
		},
	}
	if k.Table.PartitionKey != nil {
		o.PartitionKey = []byte(k.Table.PartitionKey(k.ID))
	}
	return o
}

// Version orders the states of one entry; see event.Version, whose plain form it is.
type Version struct{ Epoch, Number int64 }

// noEntry is what a new key replaces: a version before the first offset.
var noEntry = entry{lineage: lineage{version: Version{Number: -1}}}

// sourceHeader names the input partition that wrote a table record.
func sourceHeader(p int32) Header {
	return Header{schemas.HeaderSource, strconv.AppendInt(nil, int64(p), 10)}
}

// VersionOf takes a message's version; nil is the version before all others.
func VersionOf(v *event.Version) Version { return Version{v.GetEpoch(), v.GetNumber()} }

// Before reports whether v is older than w.
func (v Version) Before(w Version) bool {
	if v.Epoch != w.Epoch {
		return v.Epoch < w.Epoch
	}
	return v.Number < w.Number
}

// String is "epoch.number", the form of the version headers.
func (v Version) String() string {
	b := make([]byte, 0, 24)
	b = strconv.AppendInt(b, v.Epoch, 10)
	b = append(b, '.')
	return string(strconv.AppendInt(b, v.Number, 10))
}

// ParseVersion reads what String wrote.
func ParseVersion(text string) (Version, error) {
	epoch, number, found := strings.Cut(text, ".")
	e, err1 := strconv.ParseInt(epoch, 10, 64)
	n, err2 := strconv.ParseInt(number, 10, 64)
	if !found || err1 != nil || err2 != nil {
		return Version{}, fmt.Errorf("version %q: want epoch.number", text)
	}
	return Version{e, n}, nil
}

// cache keeps recently used entries of one partition. It forgets by generations: when the
// young one is full it becomes the old one, and what was old and not asked for since is
// gone. Bounded, and two map look-ups at most.
type cache struct {
	limit      int
	young, old map[Key]entry
}

func newCache(limit int) *cache {
	return &cache{limit: max(limit, 1), young: make(map[Key]entry)}
}

func (c *cache) get(k Key) (entry, bool) {
	if e, ok := c.young[k]; ok {
		return e, true
	}
	e, ok := c.old[k]
	if ok {
		c.put(k, e)
	}
	return e, ok
}

func (c *cache) put(k Key, e entry) {
	if len(c.young) >= c.limit {
		c.old, c.young = c.young, make(map[Key]entry, c.limit)
	}
	c.young[k] = e
}

func (c *cache) clear() {
	clear(c.young)
	c.old = nil
}
