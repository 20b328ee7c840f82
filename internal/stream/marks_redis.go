package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// The dedup memory in Redis: a hash for each bucket of a partition and generation, with event
// ids as fields and coordinates as values. A mark is set in the generation of its record's time
// and looked for in those beside it: in the one before, and in the one after while the record's
// time is so near to it that another machine's clock may have put the same event there.
//
// Only who moves the watermark sets marks, and a mark never changes: what was found while the
// watermark is watched still holds when the transaction goes through.

// dedup is the way of a batch's marks: asked for, judged, set.
type dedup struct {
	marks []mark
	keys  []string // of the marks' own buckets
	// before and after are what the generations beside have of each mark; after can be nil.
	before, after []*redis.StringCmd
	// put sets the marks that no generation beside has; nil for the others.
	put []*redis.BoolCmd
	// known is the coordinate that is remembered of each mark's event; unknown: none.
	known []int64
}

const unknown = -1

// askMarks asks for what the generations beside have.
func (s *redisStore) askMarks(ctx context.Context, p partition, marks []mark, pipe redis.Pipeliner) *dedup {
	n := len(marks)
	d := &dedup{
		marks: marks, keys: make([]string, n), known: make([]int64, n),
		before: make([]*redis.StringCmd, n), after: make([]*redis.StringCmd, n), put: make([]*redis.BoolCmd, n),
	}
	prefixes := make(map[int64]string, 4)
	key := func(period int64, bucket uint32) string {
		prefix, ok := prefixes[period]
		if !ok {
			prefix = s.dedupKey(p, period)
			prefixes[period] = prefix
		}
		return prefix + strconv.FormatUint(uint64(bucket), 10)
	}
	for i := range marks {
		m := &marks[i]
		d.keys[i] = key(m.period, m.bucket)
		d.before[i] = pipe.HGet(ctx, key(m.period-1, m.bucket), string(m.field[:]))
		if m.late {
			d.after[i] = pipe.HGet(ctx, key(m.period+1, m.bucket), string(m.field[:]))
		}
	}
	return d
}

// judge takes the answers. Marks of one batch can be each other's neighbours.
func (d *dedup) judge() error {
	type place struct {
		period int64
		bucket uint32
		field  [12]byte
	}
	var own map[place]int64 // what the batch itself sets; needed where it spans generations
	for i := range d.marks {
		if d.marks[i].period != d.marks[0].period {
			own = make(map[place]int64, len(d.marks))
			break
		}
	}
	for i := range d.marks {
		m := &d.marks[i]
		d.known[i] = unknown
		for _, beside := range []struct {
			cmd    *redis.StringCmd
			period int64
		}{{d.before[i], m.period - 1}, {d.after[i], m.period + 1}} {
			if beside.cmd == nil || d.known[i] != unknown {
				continue
			}
			coord, err := coordOf(beside.cmd)
			if err != nil {
				return err
			}
			if c, ok := own[place{beside.period, m.bucket, m.field}]; ok && coord == unknown {
				coord = c
			}
			d.known[i] = coord
		}
		at := place{m.period, m.bucket, m.field}
		if _, ok := own[at]; own != nil && !ok && d.known[i] == unknown {
			own[at] = m.coord
		}
	}
	return nil
}

// set the marks of events that no generation beside knows.
func (d *dedup) set(ctx context.Context, pipe redis.Pipeliner) {
	for i := range d.marks {
		if d.known[i] != unknown {
			continue
		}
		m := &d.marks[i]
		d.put[i] = pipe.HSetNX(ctx, d.keys[i], string(m.field[:]), m.coord)
		if m.expires {
			pipe.PExpire(ctx, d.keys[i], 2*dedupPeriod)
		}
	}
}

// verdicts says of each mark whether it is new, or was set by the same record before. Those that
// were there in their own generation are asked for now.
func (d *dedup) verdicts(ctx context.Context, tx *redis.Tx) ([]bool, error) {
	pipe := tx.Pipeline()
	there := make(map[int]*redis.StringCmd)
	for i, put := range d.put {
		if put != nil && !put.Val() {
			there[i] = pipe.HGet(ctx, d.keys[i], string(d.marks[i].field[:]))
		}
	}
	if len(there) > 0 {
		if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
			return nil, err
		}
	}
	emit := make([]bool, len(d.marks))
	for i := range d.marks {
		known := d.known[i]
		if cmd := there[i]; cmd != nil {
			var err error
			if known, err = coordOf(cmd); err != nil {
				return nil, err
			}
			if known == unknown {
				return nil, fmt.Errorf("a mark in %s was there and is gone", d.keys[i])
			}
		}
		emit[i] = known == unknown || known == d.marks[i].coord
	}
	return emit, nil
}

// coordOf is a mark's coordinate, unknown when there is no such mark.
func coordOf(cmd *redis.StringCmd) (int64, error) {
	coord, err := cmd.Int64()
	if errors.Is(err, redis.Nil) {
		return unknown, nil
	}
	return coord, err
}
