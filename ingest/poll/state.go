package poll

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/redis"
)

// What is known of one subject of one connection stands in one Redis hash, shared by all
// processes; times in it are Redis' own, so that the clocks of the processes do not matter.
// Losing it costs a poll from the beginning of the backfill window: everything in it is
// emitted again, and dropped again by the dedup hop.
type entry struct {
	Cursor json.RawMessage
	// Last is when the last complete poll began; zero: none was, so one is due at once.
	Last time.Time
	// Until is set after a failure: no poll before.
	Until    time.Time
	Failures int64
	// Class and Error of the last poll; empty after a success.
	Class, Error string
	Success      time.Time
	Watermark    time.Time
	Found        int64
}

// update is what one poll changes. A nil cursor and zero times leave the old ones.
type update struct {
	cursor         json.RawMessage
	last           time.Time
	wait           time.Duration // from now; 0 = no failure
	failures       int64
	class, message string
	success        bool
	watermark      time.Time
	found          int64
}

// errFenced: a newer token was handed out; whatever this process was doing is not its own
// work any more.
var errFenced = fmt.Errorf("storing the cursor was refused, a newer lease was handed out: %w", redis.ErrLeaseLost)

// KEYS: hash. Returns Redis' time in ms and the hash.
var loadScript = goredis.NewScript(`
local t = redis.call('TIME')
return {t[1] * 1000 + math.floor(t[2] / 1000), redis.call('HGETALL', KEYS[1])}
`)

// KEYS: fence, hash. ARGV: token, found, wait in ms, 1 on success, field, value, …
// The comparison and the store are one step: a process that slept through the end of its
// lease cannot put an older cursor over a newer one.
var saveScript = goredis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local wait = tonumber(ARGV[3])
redis.call('HSET', KEYS[2], 'until_ms', wait > 0 and string.format('%.0f', now + wait) or '0', unpack(ARGV, 5))
redis.call('HINCRBY', KEYS[2], 'found', ARGV[2])
if ARGV[4] == '1' then redis.call('HSET', KEYS[2], 'success_ms', string.format('%.0f', now)) end
return 1
`)

type store struct {
	client goredis.UniversalClient
}

// load reads an entry, and Redis' clock at that moment.
func (s store) load(ctx context.Context, key string) (entry, time.Time, error) {
	got, err := loadScript.Run(ctx, s.client, []string{key}).Slice()
	if err != nil {
		return entry{}, time.Time{}, fmt.Errorf("reading the cursor %s: %w", key, err)
	}
	fail := func(err error) (entry, time.Time, error) {
		return entry{}, time.Time{}, fmt.Errorf("reading the cursor %s: %w (delete the key to begin with the backfill window)", key, err)
	}
	if len(got) != 2 {
		return fail(errors.New("unexpected answer"))
	}
	ms, ok := got[0].(int64)
	pairs, ok2 := got[1].([]any)
	if !ok || !ok2 || len(pairs)%2 != 0 {
		return fail(errors.New("unexpected answer"))
	}
	var e entry
	for i := 0; i < len(pairs); i += 2 {
		field, _ := pairs[i].(string)
		value, _ := pairs[i+1].(string)
		if err := e.set(field, value); err != nil {
			return fail(err)
		}
	}
	return e, time.UnixMilli(ms), nil
}

func (e *entry) set(field, value string) (err error) {
	at := func(t *time.Time) error {
		ms, err := strconv.ParseInt(value, 10, 64)
		if err == nil && ms != 0 {
			*t = time.UnixMilli(ms)
		}
		return err
	}
	switch field {
	case "cursor":
		if !json.Valid([]byte(value)) {
			return errors.New("the cursor is not JSON")
		}
		e.Cursor = json.RawMessage(value)
	case "class":
		e.Class = value
	case "error":
		e.Error = value
	case "failures":
		e.Failures, err = strconv.ParseInt(value, 10, 64)
	case "found":
		e.Found, err = strconv.ParseInt(value, 10, 64)
	case "last_ms":
		err = at(&e.Last)
	case "until_ms":
		err = at(&e.Until)
	case "success_ms":
		err = at(&e.Success)
	case "watermark_ms":
		err = at(&e.Watermark)
	}
	if err != nil {
		return fmt.Errorf("field %s: %w", field, err)
	}
	return nil
}

// save stores an update if the lease's token is still the newest; otherwise errFenced.
func (s store) save(ctx context.Context, leaseName, key string, lease *redis.Lease, u update) error {
	success := 0
	if u.success {
		success = 1
	}
	args := []any{lease.Token(), u.found, u.wait.Milliseconds(), success,
		"failures", u.failures, "class", u.class, "error", u.message}
	if u.cursor != nil {
		args = append(args, "cursor", string(u.cursor))
	}
	if !u.last.IsZero() {
		args = append(args, "last_ms", u.last.UnixMilli())
	}
	if !u.watermark.IsZero() {
		args = append(args, "watermark_ms", u.watermark.UnixMilli())
	}
	stored, err := saveScript.Run(ctx, s.client, []string{redis.FenceKey(leaseName), key}, args...).Int()
	if err != nil {
		return fmt.Errorf("storing the cursor %s: %w", key, err)
	}
	if stored != 1 {
		return errFenced
	}
	return nil
}

// due is when the next poll may begin, by Redis' clock. A poll that somebody asked for waits
// for nothing but a platform's own wish.
func (e *entry) due(interval time.Duration, asked bool) time.Time {
	switch {
	case !e.Until.IsZero() && (!asked || e.Class == retryAfter):
		return e.Until
	case asked, e.Last.IsZero():
		return time.Time{}
	default:
		return e.Last.Add(interval)
	}
}

// retryAfter is the class of a wish of the platform.
var retryAfter = connectors.Class(&connectors.RetryAfterError{})
