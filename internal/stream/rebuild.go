package stream

import (
	"context"
	"fmt"
	"slices"
	"sort"
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
// With fromInput nothing is taken from the tables: the group's offsets are forgotten, and the
// loop folds the whole input again, as far back as it is retained.
//
// Dedup marks are not rebuilt: a duplicate that arrives after it passes the first hop once
// and changes nothing in the rooms behind, which compare content.
func Rebuild(ctx context.Context, f Fold, d Deps, fromInput bool, progress func(records int)) (Rebuilt, error) {
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
	if !fromInput {
		if err := lowerCuts(ctx, room, d, cut); err != nil {
			return res, err
		}
	}
	// All is read and judged before anything is wiped: a refusal leaves Redis as it was.
	entries := make(map[*Table]map[partition][]any)
	for _, t := range room.tables {
		if fromInput {
			break
		}
		if entries[t], err = readTable(ctx, room, t, d, cut, &res, progress); err != nil {
			return res, err
		}
	}
	st := newRedisStore(d.Redis, d.Scope, room.name, room.stored())
	for p := range cut {
		if err := st.wipe(ctx, p); err != nil {
			return res, err
		}
	}
	if err := d.Redis.Del(ctx, d.Scope.Key("meta:{"+room.name+"}")).Err(); err != nil {
		return res, fmt.Errorf("forgetting the pinned topics of %s: %w", room.name, err)
	}
	if fromInput {
		// Nothing is restored: the loop folds the whole input again.
		return res, c.ForgetGroup(ctx, room.name)
	}
	for t, parts := range entries {
		for p, pairs := range parts {
			for chunk := range slices.Chunk(pairs, 2000) {
				if err := st.putEntries(ctx, t, p, chunk); err != nil {
					return res, err
				}
			}
			res.Entries += len(pairs) / 2
		}
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

// span is the offsets that one version of an entry covers.
type span struct{ since, version int64 }

// lowerCuts moves each cut below the versions that span it: records of one batch are written
// as one version, and half a version cannot be rebuilt. What lies between is handled again.
func lowerCuts(ctx context.Context, room *Room, d Deps, cut map[partition]int64) error {
	topics := make([]schemas.Topic, 0, len(room.tables))
	for _, t := range room.tables {
		topics = append(topics, t.Topic)
	}
	if len(topics) == 0 {
		return nil
	}
	spans := make(map[partition][]span)
	err := kafka.Scan(ctx, d.Kafka, d.Scope, d.Log, topics, time.Time{}, func(r *kafka.Scanned) error {
		h, err := tableHeaders(r)
		if err != nil {
			return err
		}
		if h.since != h.version.Number {
			p := partition{room.inputs[0].Name, h.source}
			spans[p] = append(spans[p], span{h.since, h.version.Number})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for p, ss := range spans {
		sort.Slice(ss, func(i, j int) bool { return ss[i].version > ss[j].version })
		for moved := true; moved; {
			moved = false
			for _, s := range ss {
				if s.since < cut[p] && s.version >= cut[p] {
					cut[p], moved = s.since, true
				}
			}
		}
	}
	return nil
}

// tableHead is what the headers of a table record say.
type tableHead struct {
	lineage
	source int32
}

func tableHeaders(r *kafka.Scanned) (h tableHead, err error) {
	bad := func(name string, err error) error {
		return fmt.Errorf("%s/%d@%d: header %s: %w", r.Topic.Name, r.Partition, r.Offset, name, err)
	}
	if h.version, err = ParseVersion(string(r.Header(schemas.HeaderVersion))); err != nil {
		return h, bad(schemas.HeaderVersion, err)
	}
	version := h.version
	if h.lineage, h.source, err = parseLineage(string(r.Header(schemas.HeaderLineage))); err != nil {
		return h, bad(schemas.HeaderLineage, err)
	}
	h.version = version
	return h, nil
}

// kept is the best version seen of one key below the cut, and the lowest above it, which must
// name it as the one it replaced: else the right one was compacted away.
type kept struct {
	part   partition
	best   lineage
	stored []byte // nil: deleted
	above  *lineage
}

// readTable returns the entries of a table at the cut: pairs of id and stored form, by partition.
func readTable(ctx context.Context, room *Room, t *Table, d Deps, cut map[partition]int64, res *Rebuilt, progress func(int)) (map[partition][]any, error) {
	input := room.inputs[0]
	keys := make(map[string]*kept)
	err := kafka.Scan(ctx, d.Kafka, d.Scope, d.Log, []schemas.Topic{t.Topic}, time.Time{}, func(r *kafka.Scanned) error {
		res.Records++
		if progress != nil && res.Records%10_000 == 0 {
			progress(res.Records)
		}
		h, err := tableHeaders(r)
		if err != nil {
			return err
		}
		part := partition{input.Name, h.source}
		k := keys[string(r.Key)]
		if k == nil {
			k = &kept{part: part, best: noEntry.lineage}
			keys[string(r.Key)] = k
		}
		if h.version.Number >= cut[part] {
			if k.above == nil || h.version.Before(k.above.version) {
				k.above = &h.lineage
			}
			return nil
		}
		if h.version.Before(k.best.version) {
			return nil
		}
		k.best, k.part, k.stored = h.lineage, part, nil
		if r.Value == nil {
			return nil
		}
		m := t.New()
		if err := m.UnmarshalVT(r.Value); err != nil {
			return fmt.Errorf("%s/%d@%d: decoding an entry: %w", t.Topic.Name, r.Partition, r.Offset, err)
		}
		k.stored, _, err = encodeEntry(&entry{m, h.lineage}, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	entries := make(map[partition][]any)
	for id, k := range keys {
		// What follows a deleted entry names no predecessor: Redis forgets a deleted one's lineage.
		fresh := k.stored == nil && k.above != nil && k.above.previous == noEntry.version
		if k.above != nil && !fresh && k.above.previous != k.best.version {
			return nil, fmt.Errorf("%s, key %s: version %s is needed and was compacted away (%s replaced it): keep min.compaction.lag.ms above the longest pause; here only handling the input again from its beginning helps: wipe the room with `crossdock rebuild --room %s --from-input`",
				t.Topic.Name, id, k.above.previous, k.above.version, room.name)
		}
		if k.stored != nil {
			entries[k.part] = append(entries[k.part], id, k.stored)
		}
	}
	return entries, nil
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
