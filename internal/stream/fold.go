package stream

import (
	"errors"
	"fmt"
	"slices"

	"github.com/helloword/crossdock/internal/crash"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// Fold is what a processor package provides: its handler and what the loop must know of it.
type Fold interface {
	Handler
	// Name is the room's name: part of its consumer group, Redis keys and dead-letter topic.
	Name() string
	Inputs() []schemas.Topic
	Tables() []*Table
}

// Room is a fold made ready for the loop.
type Room struct {
	name    string
	version string
	handler Handler
	inputs  []schemas.Topic
	tables  []*Table
	// refusals, by offset, are the records that went to the dead letters, until that is
	// committed: a repeat must say the same, also when the program or its configuration is
	// another one by then.
	refusals *Table

	// cacheBytes bounds the entries kept in memory, per partition and generation.
	cacheBytes int
	points     func(step string) *crash.Point
}

// NewRoom checks a fold and makes it ready. version is the program's, for dead letters.
func NewRoom(f Fold, version string) (*Room, error) {
	r := &Room{
		name: f.Name(), version: version, handler: f, inputs: f.Inputs(), tables: f.Tables(),
		cacheBytes: 2 << 20, points: crash.Points(f.Name()),
		refusals: &Table{Name: "refused", New: func() Message { return new(event.DeadLetter) }},
	}
	if len(r.inputs) == 0 {
		return nil, fmt.Errorf("room %s: no input topic", r.name)
	}
	if len(r.tables) > 0 && len(r.inputs) > 1 {
		return nil, fmt.Errorf("room %s: it keeps tables and reads %d topics; a rewind repeats the same history only with one", r.name, len(r.inputs))
	}
	for _, t := range r.inputs {
		if !t.Stateful {
			return nil, fmt.Errorf("room %s: input %s is not declared stateful, its partition count is not pinned", r.name, t.Name)
		}
	}
	return r, nil
}

// stored is everything of the room that Redis holds by key.
func (r *Room) stored() []*Table { return append(slices.Clone(r.tables), r.refusals) }

func newSession(r *Room, p partition, input schemas.Topic, st store, base int64) *session {
	return &session{
		room: r, part: p, input: input, store: st, base: base, cache: newCache(r.cacheBytes), refused: make(map[int64]bool),
		load: r.points("Load"), apply: r.points("Apply"),
	}
}

// prepare keeps one record's panic from taking the line down: outside bytes never stop it.
func (r *Room) prepare(rec *Record) (in Input, err error) {
	defer caught(rec, &err)
	return r.handler.Prepare(rec)
}

// handle lets the handler apply or repeat a record, with the same care.
func (r *Room) handle(tx *Tx, rec *Record, in Input) (err error) {
	defer caught(rec, &err)
	if tx.repeat {
		return r.handler.Repeat(tx, rec, in)
	}
	return r.handler.Apply(tx, rec, in)
}

// caught makes an error of a panic, unless the handler broke its contract: that is nothing a
// record could be blamed for.
func caught(rec *Record, err *error) {
	switch p := recover().(type) {
	case nil:
	case misuse:
		panic(p)
	default:
		*err = panicked{fmt.Sprintf("handling %s/%d@%d: panic: %v", rec.Topic.Name, rec.Partition, rec.Offset, p)}
	}
}

// misuse is what a handler is told that breaks the contract of Tx.
type misuse string

// panicked is the error of a record that made its handler panic.
type panicked struct{ text string }

func (p panicked) Error() string        { return p.text }
func (panicked) DeadLetterCode() string { return "panic" }

func asGap(err error) (*gapError, bool) {
	var gap *gapError
	ok := errors.As(err, &gap)
	return gap, ok
}
