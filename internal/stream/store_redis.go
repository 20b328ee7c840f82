package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/schemas"
)

// redisStore keeps a room's state in Redis. All keys of one partition share a hash tag, so
// that a transaction can hold them and a fail-over cuts a consistent prefix.
type redisStore struct {
	client redis.UniversalClient
	scope  schemas.Scope
	room   string
	tables []*Table
	number map[*Table]int
	// limit of one call: an answer that does not come in time is asked for again.
	timeout time.Duration
}

func newRedisStore(client redis.UniversalClient, scope schemas.Scope, room string, tables []*Table) *redisStore {
	s := &redisStore{
		client: client, scope: scope, room: room, tables: tables,
		number: make(map[*Table]int), timeout: 10 * time.Second,
	}
	for i, t := range tables {
		s.number[t] = i
	}
	return s
}

// tag is the hash tag that holds all of a partition's keys together.
func (s *redisStore) tag(p partition) string { return "{" + s.room + "/" + p.String() + "}" }

func (s *redisStore) watermarkKey(p partition) string { return s.scope.Key("wm:" + s.tag(p)) }

func (s *redisStore) tableKey(t *Table, p partition) string {
	return s.scope.Key("st:" + t.Name + ":" + s.tag(p))
}

func (s *redisStore) dedupKey(p partition, period int64) string {
	return s.scope.Key("d:" + s.tag(p) + ":" + strconv.FormatInt(period, 10) + ":")
}

// watermark returns -1 when there is none.
func (s *redisStore) watermark(ctx context.Context, p partition) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	wm, err := s.client.Get(ctx, s.watermarkKey(p)).Int64()
	if errors.Is(err, redis.Nil) {
		return -1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the watermark of %s: %w", p, err)
	}
	return wm, nil
}

func (s *redisStore) load(ctx context.Context, p partition, keys []Key) (int64, [][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	byTable := make([][]string, len(s.tables))
	place := make([]int, len(keys))
	for i, k := range keys {
		n, ok := s.number[k.Table]
		if !ok {
			return 0, nil, fmt.Errorf("table %s does not belong to room %s", k.Table.Name, s.room)
		}
		place[i] = len(byTable[n])
		byTable[n] = append(byTable[n], k.ID)
	}
	// MULTI: the watermark and the entries are of one moment.
	pipe := s.client.TxPipeline()
	wmCmd := pipe.Get(ctx, s.watermarkKey(p))
	cmds := make([]*redis.SliceCmd, len(s.tables))
	for n, ids := range byTable {
		if len(ids) > 0 {
			cmds[n] = pipe.HMGet(ctx, s.tableKey(s.tables[n], p), ids...)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return 0, nil, err
	}
	wm, err := wmCmd.Int64()
	if errors.Is(err, redis.Nil) {
		wm = -1
	} else if err != nil {
		return 0, nil, err
	}
	stored := make([][]byte, len(keys))
	for i, k := range keys {
		if v := cmds[s.number[k.Table]].Val()[place[i]]; v != nil {
			stored[i] = []byte(v.(string))
		}
	}
	return wm, stored, nil
}

// apply is step Apply: a transaction on the watched watermark, which is the fence for the
// entries and for the marks.
func (s *redisStore) apply(ctx context.Context, p partition, r *applyRequest) (applyAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	cmds, key := s.changes(ctx, p, r.writes), s.watermarkKey(p)
	var a applyAnswer
	err := s.client.Watch(ctx, func(tx *redis.Tx) error {
		ask := tx.Pipeline()
		watermark := ask.Get(ctx, key)
		dedup := s.askMarks(ctx, p, r.marks, ask)
		if _, err := ask.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		var err error
		if a.watermark, err = watermark.Int64(); errors.Is(err, redis.Nil) {
			a.watermark = -1
		} else if err != nil {
			return err
		}
		if a.watermark != r.base {
			return nil
		}
		if err := dedup.judge(); err != nil {
			return err
		}
		_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, c := range cmds {
				_ = pipe.Process(ctx, c)
			}
			dedup.set(ctx, pipe)
			if r.last > r.base {
				pipe.Set(ctx, key, r.last, 0)
			} else {
				pipe.Get(ctx, key)
			}
			return nil
		})
		if err != nil {
			return err
		}
		a.emit, err = dedup.verdicts(ctx, tx)
		a.applied = err == nil
		return err
	}, key)
	if errors.Is(err, redis.TxFailedErr) {
		// Somebody moved the watermark in between: what it is now decides.
		a.watermark, err = s.watermark(ctx, p)
		if err == nil && a.watermark == r.base {
			err = errors.New("the watermark was touched and stands where it stood")
		}
	}
	if err != nil {
		return applyAnswer{}, fmt.Errorf("applying a batch to %s: %w", p, err)
	}
	return a, nil
}

// changes are the commands that write entries.
func (s *redisStore) changes(ctx context.Context, p partition, writes []write) []*redis.IntCmd {
	cmds := make([]*redis.IntCmd, 0, 2*len(s.tables))
	for _, t := range s.tables {
		key := s.tableKey(t, p)
		sets, dels := []any{"hset", key}, []any{"hdel", key}
		for i := range writes {
			switch w := &writes[i]; {
			case w.key.Table != t:
			case w.stored == nil:
				dels = append(dels, w.key.ID)
			default:
				if len(sets) == 2 {
					sets = append(make([]any, 0, 2+2*len(writes)), sets...)
				}
				sets = append(sets, w.key.ID, w.stored)
			}
		}
		for _, args := range [...][]any{sets, dels} {
			if len(args) > 2 {
				cmds = append(cmds, redis.NewIntCmd(ctx, args...))
			}
		}
	}
	return cmds
}
