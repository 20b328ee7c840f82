package stream

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/schemas"
)

//go:embed apply.lua
var applyScript string

// redisStore keeps a room's state in Redis. All keys of one partition share a hash tag, so
// that one script call is atomic and a fail-over cuts a consistent prefix.
type redisStore struct {
	client redis.UniversalClient
	scope  schemas.Scope
	room   string
	tables []*Table
	number map[*Table]int
	apply_ *redis.Script
	// limit of one call: an answer that does not come in time is asked for again.
	timeout time.Duration
}

func newRedisStore(client redis.UniversalClient, scope schemas.Scope, room string, tables []*Table) *redisStore {
	s := &redisStore{
		client: client, scope: scope, room: room, tables: tables,
		number: make(map[*Table]int), apply_: redis.NewScript(applyScript), timeout: 10 * time.Second,
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

// apply is step Apply. Dedup marks need a script, which reads them and decides; entries alone
// go in a transaction on the watched watermark, which says the same and costs Redis half.
func (s *redisStore) apply(ctx context.Context, p partition, r *applyRequest) (applyAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	apply := s.transact
	if len(r.marks) > 0 {
		apply = s.script
	}
	a, err := apply(ctx, p, r)
	if err != nil {
		return applyAnswer{}, fmt.Errorf("applying a batch to %s: %w", p, err)
	}
	return a, nil
}

// transact applies a request without marks.
func (s *redisStore) transact(ctx context.Context, p partition, r *applyRequest) (a applyAnswer, err error) {
	cmds := make([]*redis.IntCmd, 0, 2*len(s.tables))
	for _, t := range s.tables {
		key := s.tableKey(t, p)
		sets, dels := []any{"hset", key}, []any{"hdel", key}
		for i := range r.writes {
			switch w := &r.writes[i]; {
			case w.key.Table != t:
			case w.stored == nil:
				dels = append(dels, w.key.ID)
			default:
				if len(sets) == 2 {
					sets = append(make([]any, 0, 2+2*len(r.writes)), sets...)
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
	key := s.watermarkKey(p)
	err = s.client.Watch(ctx, func(tx *redis.Tx) error {
		wm, err := tx.Get(ctx, key).Int64()
		switch {
		case errors.Is(err, redis.Nil):
			wm = -1
		case err != nil:
			return err
		}
		a.watermark = wm
		if wm != r.base {
			return nil
		}
		_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, c := range cmds {
				_ = pipe.Process(ctx, c)
			}
			if r.last > r.base {
				pipe.Set(ctx, key, r.last, 0)
			} else {
				pipe.Get(ctx, key)
			}
			return nil
		})
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
	return a, err
}

// script applies a request in one call of apply.lua.
func (s *redisStore) script(ctx context.Context, p partition, r *applyRequest) (applyAnswer, error) {
	keys := make([]string, 1, 1+len(s.tables)+4)
	keys[0] = s.watermarkKey(p)
	for _, t := range s.tables {
		keys = append(keys, s.tableKey(t, p))
	}
	args := make([]any, 0, 4+3*len(r.writes)+len(s.tables)*2+3*len(r.marks)+8)
	args = append(args, r.base, r.last, len(s.tables), (2 * dedupPeriod).Milliseconds())
	for _, t := range s.tables {
		at := len(args)
		args = append(args, 0, 0)
		sets, dels := 0, 0
		for i := range r.writes {
			if w := &r.writes[i]; w.key.Table == t && w.stored != nil {
				args = append(args, w.key.ID, w.stored)
				sets++
			}
		}
		for i := range r.writes {
			if w := &r.writes[i]; w.key.Table == t && w.stored == nil {
				args = append(args, w.key.ID)
				dels++
			}
		}
		args[at], args[at+1] = sets, dels
	}
	// Marks name the generations of their buckets by the numbers of key prefixes, once for each run
	// of marks of one period: their own, the one before, and the one after where a record's time is
	// so near to it that another machine's clock may have put the same event there.
	prefixes := make(map[int64]int)
	prefix := func(period int64) int {
		n, ok := prefixes[period]
		if !ok {
			keys = append(keys, s.dedupKey(p, period))
			n = len(keys)
			prefixes[period] = n
		}
		return n
	}
	for rest := r.marks; len(rest) > 0; {
		period, late := rest[0].period, rest[0].late
		n := slices.IndexFunc(rest, func(m mark) bool { return m.period != period || m.late != late })
		if n < 0 {
			n = len(rest)
		}
		after := 0
		if late {
			after = prefix(period + 1)
		}
		args = append(args, prefix(period), prefix(period-1), after, n)
		for i := range rest[:n] {
			m := &rest[i]
			bucket := strconv.FormatUint(uint64(m.bucket), 10)
			if m.expires {
				bucket = "+" + bucket
			}
			args = append(args, bucket, m.field[:], m.coord)
		}
		rest = rest[n:]
	}

	v, err := s.apply_.Run(ctx, s.client, keys, args...).Slice()
	if err != nil {
		return applyAnswer{}, err
	}
	if len(v) != 3 {
		return applyAnswer{}, fmt.Errorf("an answer of %d parts", len(v))
	}
	applied, _ := v[0].(int64)
	wm, _ := v[1].(int64)
	duplicates, _ := v[2].([]any)
	a := applyAnswer{watermark: wm, applied: applied == 1}
	if !a.applied {
		return a, nil
	}
	a.emit = make([]bool, len(r.marks))
	for i := range a.emit {
		a.emit[i] = true
	}
	for _, d := range duplicates {
		n, _ := d.(int64)
		if n < 1 || n > int64(len(a.emit)) {
			return applyAnswer{}, fmt.Errorf("a verdict on mark %v of %d", d, len(a.emit))
		}
		a.emit[n-1] = false
	}
	return a, nil
}
