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
// bytes are returned as well, as the topic's value, so that it is encoded once. Both lie in a.
func encodeEntry(e *entry, a *arena) (stored, message []byte, err error) {
	var head [5 * binary.MaxVarintLen64]byte
	h := head[:0]
	for _, n := range [...]int64{e.version.Epoch, e.version.Number, e.previous.Epoch, e.previous.Number, e.since} {
		h = binary.AppendVarint(h, n)
	}
	size := e.value.SizeVT()
	buf := a.take(len(h) + size)
	copy(buf, h)
	if _, err := e.value.MarshalToSizedBufferVTStrict(buf[len(h):]); err != nil {
		return nil, nil, fmt.Errorf("encoding a table entry: %w", err)
	}
	return buf, buf[len(h):], nil
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

// tableRecord is an entry's record on its table's topic, written by an input partition. value
// nil writes a tombstone.
func tableRecord(k Key, value Message, l *lineage, source int32) Output {
	// One buffer for all texts: four numbers of 20 digits, two points, and a partition.
	text := make([]byte, 0, 48)
	cut := func(from int) []byte { return text[from:len(text):len(text)] }
	at := func(key string, from int) Header { return Header{Key: key, Value: cut(from)} }
	headers := make([]Header, 4, 5)
	text = l.version.append(text)
	headers[0] = at(schemas.HeaderVersion, 0)
	from := len(text)
	text = l.previous.append(text)
	headers[1] = at(schemas.HeaderPrevious, from)
	from = len(text)
	text = strconv.AppendInt(text, l.since, 10)
	headers[2] = at(schemas.HeaderSince, from)
	from = len(text)
	text = strconv.AppendInt(text, int64(source), 10)
	headers[3] = at(schemas.HeaderSource, from)
	o := Output{Topic: k.Table.Topic, Key: []byte(k.ID), Value: value, Headers: headers}
	if k.Table.PartitionKey != nil {
		o.PartitionKey = []byte(k.Table.PartitionKey(k.ID))
	}
	return o
}

// Version orders the states of one entry; see event.Version, whose plain form it is.
type Version struct{ Epoch, Number int64 }

// noEntry is what a new key replaces: a version before the first offset.
var noEntry = entry{lineage: lineage{version: Version{Number: -1}}}

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
func (v Version) String() string { return string(v.append(make([]byte, 0, 24))) }

func (v Version) append(b []byte) []byte {
	b = strconv.AppendInt(b, v.Epoch, 10)
	b = append(b, '.')
	return strconv.AppendInt(b, v.Number, 10)
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
