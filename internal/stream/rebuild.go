package stream

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
)

// Rebuilt tells what Rebuild did.
type Rebuilt struct {
	Room       string  `json:"room"`
	Partitions int     `json:"partitions"`
	Records    int     `json:"records"`
	Entries    int     `json:"entries"`
	Seconds    float64 `json:"seconds"`
}

// Rebuild makes a room's state in Redis anew from its tables' topics: for each key the
// highest version below what the group has committed, and the watermark there. What came
// after is handled again by the loop, as after any crash. The room must not be running.
//
// Dedup marks are not rebuilt: a duplicate that arrives after it passes the first hop once
// and changes nothing in the rooms behind, which compare content.
func Rebuild(ctx context.Context, f Fold, d Deps, progress func(records int)) (Rebuilt, error) {
	began := time.Now()
	room, err := NewRoom(f, d.Version)
	if err != nil {
		return Rebuilt{}, err
	}
	res := Rebuilt{Room: room.name}
	c, err := kafka.Open(d.Kafka, d.Scope, d.Log)
	if err != nil {
		return res, err
	}
	defer c.Close()
	if err := c.Idle(ctx, room.name); err != nil {
		return res, err
	}
	lags, err := c.Lag(ctx, room.name, room.inputs)
	if err != nil {
		return res, err
	}
	// cut[partition] is the first offset that the state must not contain.
	cut := make(map[partition]int64)
	for _, p := range lags {
		name, _ := d.Scope.Base(p.Topic)
		cut[partition{name, p.Partition}] = max(p.Committed, 0)
	}
	st := newRedisStore(d.Redis, d.Scope, room.name, room.tables)
	for p := range cut {
		if err := st.wipe(ctx, p); err != nil {
			return res, err
		}
	}
	if err := d.Redis.Del(ctx, d.Scope.Key("meta:{"+room.name+"}")).Err(); err != nil {
		return res, fmt.Errorf("forgetting the pinned topics of %s: %w", room.name, err)
	}
	for _, t := range room.tables {
		n, err := restoreTable(ctx, room, t, d, st, cut, &res, progress)
		if err != nil {
			return res, err
		}
		res.Entries += n
	}
	for p, at := range cut {
		if at == 0 {
			continue
		}
		if err := st.setWatermark(ctx, p, at-1); err != nil {
			return res, err
		}
		res.Partitions++
	}
	res.Seconds = time.Since(began).Seconds()
	return res, nil
}

// kept is the best version seen of one key.
type kept struct {
	version Version
	stored  []byte // nil: deleted
	part    partition
	// oldest version seen above the cut, and what it replaced: proof that the key was new.
	above    bool
	previous Version
}

func restoreTable(ctx context.Context, room *Room, t *Table, d Deps, st *redisStore, cut map[partition]int64, res *Rebuilt, progress func(int)) (int, error) {
	input := room.inputs[0]
	best := make(map[string]*kept)
	err := kafka.Scan(ctx, d.Kafka, d.Scope, d.Log, []schemas.Topic{t.Topic}, time.Time{}, func(r *kafka.Scanned) error {
		res.Records++
		if progress != nil && res.Records%10_000 == 0 {
			progress(res.Records)
		}
		version, err := ParseVersion(string(r.Header(schemas.HeaderVersion)))
		if err != nil {
			return fmt.Errorf("%s/%d@%d: %w", t.Topic.Name, r.Partition, r.Offset, err)
		}
		previous, err := ParseVersion(string(r.Header(schemas.HeaderPrevious)))
		if err != nil {
			return fmt.Errorf("%s/%d@%d: previous: %w", t.Topic.Name, r.Partition, r.Offset, err)
		}
		source, err := strconv.ParseInt(string(r.Header(schemas.HeaderSource)), 10, 32)
		if err != nil {
			return fmt.Errorf("%s/%d@%d: header %s: %w", t.Topic.Name, r.Partition, r.Offset, schemas.HeaderSource, err)
		}
		part := partition{input.Name, int32(source)}
		k := best[string(r.Key)]
		if k == nil {
			k = &kept{part: part, version: Version{Number: -1}}
			best[string(r.Key)] = k
		}
		if version.Number >= cut[part] {
			if !k.above || previous.Before(k.previous) {
				k.above, k.previous = true, previous
			}
			return nil
		}
		if version.Before(k.version) {
			return nil
		}
		k.version, k.part, k.stored = version, part, nil
		if r.Value != nil {
			if k.stored, err = restoredEntry(t, version, r.Value); err != nil {
				return fmt.Errorf("%s/%d@%d: %w", t.Topic.Name, r.Partition, r.Offset, err)
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	n := 0
	chunks := make(map[partition][]any)
	for id, k := range best {
		if k.version.Number < 0 {
			if k.above && k.previous.Number >= 0 {
				return 0, fmt.Errorf("%s, key %s: the version below offset %d was compacted away (%s replaced it): this table cannot be cut there; raise min.compaction.lag.ms and replay room %s from the beginning",
					t.Topic.Name, id, cut[k.part], k.previous, room.name)
			}
			continue
		}
		if k.stored == nil {
			continue
		}
		chunks[k.part] = append(chunks[k.part], id, k.stored)
		n++
		if len(chunks[k.part]) >= 2000 {
			if err := st.putEntries(ctx, t, k.part, chunks[k.part]); err != nil {
				return 0, err
			}
			chunks[k.part] = nil
		}
	}
	for p, c := range chunks {
		if len(c) > 0 {
			if err := st.putEntries(ctx, t, p, c); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// restoredEntry is a table record's value in the form that Redis keeps.
func restoredEntry(t *Table, v Version, value []byte) ([]byte, error) {
	m := t.New()
	if err := m.UnmarshalVT(value); err != nil {
		return nil, fmt.Errorf("decoding an entry of %s: %w", t.Name, err)
	}
	stored, _, err := encodeEntry(entry{m, v})
	return stored, err
}

// wipe removes the watermark and entries of one partition.
func (s *redisStore) wipe(ctx context.Context, p partition) error {
	keys := []string{s.watermarkKey(p)}
	for _, t := range s.tables {
		keys = append(keys, s.tableKey(t, p))
	}
	for _, k := range keys {
		if err := s.client.Unlink(ctx, k).Err(); err != nil {
			return fmt.Errorf("wiping the state of %s: %w", p, err)
		}
	}
	return nil
}

func (s *redisStore) setWatermark(ctx context.Context, p partition, at int64) error {
	if err := s.client.Set(ctx, s.watermarkKey(p), at, 0).Err(); err != nil {
		return fmt.Errorf("setting the watermark of %s: %w", p, err)
	}
	return nil
}

func (s *redisStore) putEntries(ctx context.Context, t *Table, p partition, pairs []any) error {
	if err := s.client.HSet(ctx, s.tableKey(t, p), pairs...).Err(); err != nil {
		return fmt.Errorf("restoring table %s of %s: %w", t.Name, p, err)
	}
	return nil
}
