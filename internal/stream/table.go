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
	if stored, message, err = a.encode(h, e.value); err != nil {
		return nil, nil, fmt.Errorf("encoding a table entry: %w", err)
	}
	return stored, message, nil
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

// tableRecord is an entry's record on its table's topic, written by an input partition; its
// texts lie in a. value nil writes a tombstone. There is room for one more header.
func tableRecord(k Key, value Message, l *lineage, source int32, a *arena) Output {
	var buf [160]byte // six numbers of 20 digits at most, and what parts them
	text := l.version.append(buf[:0])
	version := len(text)
	text = l.append(text, source)
	lineage := len(text)
	text = append(text, k.ID...)
	key := len(text)
	if k.Table.PartitionKey != nil {
		text = append(text, k.Table.PartitionKey(k.ID)...)
	}
	kept := a.take(len(text))
	copy(kept, text)
	cut := func(from, to int) []byte { return kept[from:to:to] }
	headers := a.header(3)
	headers[0] = Header{Key: schemas.HeaderVersion, Value: cut(0, version)}
	headers[1] = Header{Key: schemas.HeaderLineage, Value: cut(version, lineage)}
	o := Output{Topic: k.Table.Topic, Key: cut(lineage, key), Value: value, Headers: headers[:2]}
	if k.Table.PartitionKey != nil {
		o.PartitionKey = cut(key, len(kept))
	}
	return o
}

// append writes what header lineage says: the version that was replaced, since, and the input
// partition that wrote it, a space between them.
func (l *lineage) append(b []byte, source int32) []byte {
	b = append(l.previous.append(b), ' ')
	b = append(strconv.AppendInt(b, l.since, 10), ' ')
	return strconv.AppendInt(b, int64(source), 10)
}

// parseLineage reads what append wrote; the version stands in a header of its own.
func parseLineage(text string) (l lineage, source int32, err error) {
	parts := strings.Split(text, " ")
	if len(parts) != 3 {
		return l, 0, fmt.Errorf("lineage %q: want previous, since and source", text)
	}
	if l.previous, err = ParseVersion(parts[0]); err != nil {
		return l, 0, err
	}
	if l.since, err = strconv.ParseInt(parts[1], 10, 64); err != nil {
		return l, 0, fmt.Errorf("lineage %q: since is no offset", text)
	}
	n, err := strconv.ParseInt(parts[2], 10, 32)
	if err != nil {
		return l, 0, fmt.Errorf("lineage %q: source is no partition", text)
	}
	return l, int32(n), nil
}

// SourceOf is the partition of its room's input that wrote a table record; false when it does
// not say.
func SourceOf(r *Record) (int32, bool) {
	_, source, err := parseLineage(string(r.Header(schemas.HeaderLineage)))
	return source, err == nil
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
