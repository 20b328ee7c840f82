package stream

import (
	"errors"
	"fmt"

	"github.com/helloword/crossdock/internal/crash"
	"github.com/helloword/crossdock/schemas"
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

	// cacheEntries bounds the entries kept in memory, per partition.
	cacheEntries int
	points       func(step string) *crash.Point
}

// NewRoom checks a fold and makes it ready. version is the program's, for dead letters.
func NewRoom(f Fold, version string) (*Room, error) {
	r := &Room{
		name: f.Name(), version: version, handler: f, inputs: f.Inputs(), tables: f.Tables(),
		cacheEntries: 50_000, points: crash.Points(f.Name()),
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

func newSession(r *Room, p partition, input schemas.Topic, st store, base int64) *session {
	return &session{
		room: r, part: p, input: input, store: st, base: base, cache: newCache(r.cacheEntries),
		load: r.points("Load"), apply: r.points("Apply"),
	}
}

// prepare keeps one record's panic from taking the line down: outside bytes never stop it.
func (r *Room) prepare(rec *Record) (in Input, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("preparing %s/%d@%d: panic: %v", rec.Topic.Name, rec.Partition, rec.Offset, p)
		}
	}()
	return r.handler.Prepare(rec)
}

func asGap(err error) (*gapError, bool) {
	var gap *gapError
	ok := errors.As(err, &gap)
	return gap, ok
}
