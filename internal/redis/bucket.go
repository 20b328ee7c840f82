package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Bucket hands out quotas that several processes share: one token bucket per key, kept in
// Redis so that a restart does not start with a full one. Time is the server's, so that
// clocks of processes do not matter. A wiped Redis starts full; the platform's next answer
// corrects it.
//
// Priorities: each leaves a share of the bucket to those more urgent, so that an urgent call
// finds tokens however much history is being read. Within a priority who waits stands in line:
// a costly call is not starved by cheap ones, nor one process by another.
type Bucket struct {
	client goredis.UniversalClient
	prefix string
}

// NewBucket keeps its buckets below prefix, which ends with the scope ("acme.test.").
func NewBucket(client goredis.UniversalClient, prefix string) *Bucket {
	return &Bucket{client: client, prefix: prefix}
}

// Quota is what is assumed of a system until it tells more.
type Quota struct {
	Capacity  float64 // units
	PerSecond float64 // units restored each second
}

// Validate reports a quota that would never let anything pass.
func (q Quota) Validate() error {
	if !(q.Capacity > 0) || !(q.PerSecond > 0) {
		return fmt.Errorf("quota of %g units, %g per second: both must be positive", q.Capacity, q.PerSecond)
	}
	return nil
}

// Request is one wish for units.
type Request struct {
	Quota Quota
	Cost  float64
	// Reserve is the share of the capacity (0 to below 1) that must stay for others.
	Reserve float64
	// Class separates the lines: requests of one priority. Waiter names who waits.
	Class, Waiter string
}

// Nap is how long one who was told to wait may sleep before it asks again: a limit that was
// raised meanwhile, or a call that cost less than was taken for it, is noticed. Who stays away
// longer loses its place in the line.
func Nap(wait time.Duration) time.Duration {
	return min(wait, max(250*time.Millisecond, min(wait/10, time.Minute)))
}

// State is a bucket as the system described it. Capacity and PerSecond of 0 were not told.
// With Known, Available is meaningful when it is positive or Capacity was told with it.
type State struct {
	Capacity, Available, PerSecond float64
	RetryAfter                     time.Duration
	Known                          bool
	// Spent is what was taken for the call that this answers; 0 = not known.
	Spent float64
}

// Take takes the units at once (wait 0), or takes nothing and says when to ask again. A cost
// beyond the capacity passes on a full bucket and leaves a debt. A waiter that does not ask
// again in time (Nap) loses its place, nothing else.
func (b *Bucket) Take(ctx context.Context, key string, r Request) (wait time.Duration, err error) {
	if err := r.Quota.Validate(); err != nil {
		return 0, fmt.Errorf("quota %s: %w", key, err)
	}
	got, err := takeScript.Run(ctx, b.client, b.keys(key, ":line"+r.Class, ":until"+r.Class),
		decimal(r.Quota.Capacity), decimal(r.Quota.PerSecond),
		decimal(r.Cost), decimal(r.Reserve), r.Class, r.Waiter).Int64()
	if err != nil {
		return 0, fmt.Errorf("taking quota %s: %w", key, err)
	}
	return time.Duration(got) * time.Microsecond, nil
}

// Observe corrects the bucket by what the system's answer said: capacity, rate and level as
// told, less what is still under way; a Retry-After closes the bucket until then.
//
// Of a system that only ever says "too much" the limit is measured: between two such answers
// it was empty, so that what passed meanwhile is its rate. The assumed rate becomes a little
// less than that, stays there for a while, and is what was assumed first again after five
// minutes (Window) without a refusal: a limit that was raised is found, and one that was not is
// touched a few times an hour.
func (b *Bucket) Observe(ctx context.Context, key string, q Quota, s State) error {
	if err := q.Validate(); err != nil {
		return fmt.Errorf("quota %s: %w", key, err)
	}
	level := -1.0
	if s.Known && (s.Capacity > 0 || s.Available > 0) {
		level = max(0, s.Available)
	}
	known := "0"
	if s.Known {
		known = "1"
	}
	err := observeScript.Run(ctx, b.client, b.keys(key),
		decimal(q.Capacity), decimal(q.PerSecond), known,
		decimal(max(0, s.Capacity)), decimal(max(0, s.PerSecond)), decimal(level),
		strconv.FormatInt(max(0, s.RetryAfter.Microseconds()), 10), decimal(max(0, s.Spent))).Err()
	if err != nil {
		return fmt.Errorf("correcting quota %s: %w", key, err)
	}
	return nil
}

// Window is within which a limit is found that is told nowhere.
const Window = 5 * time.Minute

// keys are of one slot of a cluster.
func (b *Bucket) keys(key string, more ...string) []string {
	keys := []string{b.prefix + "quota:{" + key + "}"}
	for _, m := range more {
		keys = append(keys, keys[0]+m)
	}
	return keys
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// window is Window in the clock's microseconds.
const window = "300000000"

// Both scripts begin by bringing the bucket up to now. Fields: cap and rate as told; n the
// level; at its time (µs); till the end of a Retry-After; base the share of the rate that was
// measured at since, the last refusal; sum what was taken after it; fly and calls what was taken
// and not yet answered (forgotten within half a minute, for calls that never answer).
const bucketNow = `
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local h = redis.call('HMGET', KEYS[1], 'cap', 'rate', 'n', 'at', 'till', 'base', 'since', 'sum', 'fly', 'calls')
local function num(v, default) if v then return tonumber(v) end return default end
local cap, rate = num(h[1], tonumber(ARGV[1])), num(h[2], tonumber(ARGV[2]))
local n, at, till = num(h[3], cap), num(h[4], now), num(h[5], 0)
local base, since, sum, fly, calls = num(h[6], 1), num(h[7], 0), num(h[8], 0), num(h[9], 0), num(h[10], 0)
local dt = math.max(0, now - at) / 1000000
local slow = base
if base < 1 then slow = base + (1 - base) * math.min(1, math.max(0, now - since) / ` + window + `) ^ 3 end
n = math.min(cap * slow, n + dt * rate * slow)
if dt >= 30 then fly, calls = 0, 0 else fly, calls = fly * (1 - dt / 30), calls * (1 - dt / 30) end
local function keep()
  redis.call('HSET', KEYS[1], 'n', string.format('%.9f', n), 'at', string.format('%.0f', math.max(at, now)),
    'base', string.format('%.9f', base), 'since', string.format('%.0f', since), 'sum', string.format('%.9f', sum),
    'fly', string.format('%.9f', fly), 'calls', string.format('%.9f', calls))
  redis.call('PEXPIRE', KEYS[1], 604800000)
end
`

// The line is two sorted sets: KEYS[2] has who waits by when it came, KEYS[3] by until when it
// has to ask again. Who has others ahead does not reckon with their costs: many turn out to be
// far less than was taken for them.
var takeScript = goredis.NewScript(bucketNow + `
local cost, waiter = tonumber(ARGV[3]), ARGV[6]
local floor = cap * slow * tonumber(ARGV[4])
local need = math.min(cost, cap * slow - floor)
local line = redis.call('ZCARD', KEYS[2])
local ahead = line
if line > 0 then
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now))) do
    if gone ~= waiter then redis.call('ZREM', KEYS[2], gone); redis.call('ZREM', KEYS[3], gone) end
  end
  ahead = redis.call('ZRANK', KEYS[2], waiter) or redis.call('ZCARD', KEYS[2])
end
local wait = math.max(0, till - now, math.ceil((floor + need - n) / (rate * slow) * 1000000))
if ahead > 0 then wait = math.max(wait, 50000) end
if wait > 0 then
  local nap = math.min(wait, math.max(250000, math.min(wait / 10, 60000000)))
  redis.call('ZADD', KEYS[2], 'NX', string.format('%.0f', now), waiter)
  redis.call('ZADD', KEYS[3], string.format('%.0f', now + nap + 250000), waiter)
  redis.call('PEXPIRE', KEYS[2], 120000)
  redis.call('PEXPIRE', KEYS[3], 120000)
else
  n, fly, calls, sum = n - cost, fly + cost, calls + 1, sum + cost
  if line > 0 then redis.call('ZREM', KEYS[2], waiter); redis.call('ZREM', KEYS[3], waiter) end
end
keep()
return wait`)

var observeScript = goredis.NewScript(bucketNow + `
local known, level, retry, spent = ARGV[3] == '1', tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
if calls < 1 then fly, calls = 0, 0
elseif spent > 0 then fly, calls = math.max(0, fly - spent), calls - 1
else fly, calls = fly * (calls - 1) / calls, calls - 1 end
if known then
  local told = tonumber(ARGV[4])
  if told > 0 then cap = told; redis.call('HSET', KEYS[1], 'cap', ARGV[4]) end
  told = tonumber(ARGV[5])
  if told > 0 then rate, base, slow = told, 1, 1; redis.call('HSET', KEYS[1], 'rate', ARGV[5]) end
  if level >= 0 then n = level - fly end
end
if retry > 0 then
  if not known then
    if till <= now then
      local passed = slow
      if since > 0 and now > since then passed = math.min(slow, math.max(0, sum - math.max(spent, 1)) / (now - since) * 1000000 / rate) end
      base = math.max(0.02, slow / 2, math.min(slow * 0.95, passed * 0.97))
      slow, sum = base, 0
      since = now + math.max(0, retry - cap / rate * 1000000)
    end
    n = math.min(n, 0)
  end
  redis.call('HSET', KEYS[1], 'till', string.format('%.0f', math.max(till, now + retry)))
end
n = math.min(n, cap * slow)
keep()
return 0`)
