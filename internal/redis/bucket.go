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
// finds tokens however much history is being read. Within a priority the one who waits has
// its turn: a costly call is not starved by cheap ones of another process.
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
	// Class separates the turns: requests of one priority. Waiter names who waits.
	Class, Waiter string
}

// State is a bucket as the system described it. Capacity and PerSecond of 0 were not told.
// With Known, Available is meaningful when it is positive or Capacity was told with it.
type State struct {
	Capacity, Available, PerSecond float64
	RetryAfter                     time.Duration
	Known                          bool
}

// Take takes the units at once (wait 0), or takes nothing and says when to ask again. A cost
// beyond the capacity passes on a full bucket and leaves a debt. A waiter that does not ask
// again in time loses its turn, nothing else.
func (b *Bucket) Take(ctx context.Context, key string, r Request) (wait time.Duration, err error) {
	if err := r.Quota.Validate(); err != nil {
		return 0, fmt.Errorf("quota %s: %w", key, err)
	}
	got, err := takeScript.Run(ctx, b.client, b.keys(key),
		decimal(r.Quota.Capacity), decimal(r.Quota.PerSecond),
		decimal(r.Cost), decimal(r.Reserve), r.Class, r.Waiter).Int64()
	if err != nil {
		return 0, fmt.Errorf("taking quota %s: %w", key, err)
	}
	return time.Duration(got) * time.Microsecond, nil
}

// Observe corrects the bucket by what the system's answer said: capacity, rate and level as
// told, less what is still under way; a Retry-After closes the bucket until then. A system
// that only ever says "too much" is approached from below: each such answer halves the
// assumed rate, which then recovers within ten minutes.
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
		strconv.FormatInt(max(0, s.RetryAfter.Microseconds()), 10)).Err()
	if err != nil {
		return fmt.Errorf("correcting quota %s: %w", key, err)
	}
	return nil
}

func (b *Bucket) keys(key string) []string { return []string{b.prefix + "quota:{" + key + "}"} }

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// Both scripts begin by bringing the bucket up to now. Fields: cap and rate as told; n the
// level; at its time (µs); till the end of a Retry-After; slow the learnt share of the rate;
// fly and calls what was taken and not yet answered (forgotten within half a minute, for
// calls that never answer).
const bucketNow = `
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local h = redis.call('HMGET', KEYS[1], 'cap', 'rate', 'n', 'at', 'till', 'slow', 'fly', 'calls')
local function num(v, default) if v then return tonumber(v) end return default end
local cap, rate = num(h[1], tonumber(ARGV[1])), num(h[2], tonumber(ARGV[2]))
local n, at, till = num(h[3], cap), num(h[4], now), num(h[5], 0)
local slow, fly, calls = num(h[6], 1), num(h[7], 0), num(h[8], 0)
local dt = math.max(0, now - at) / 1000000
slow = math.min(1, slow + dt / 600)
n = math.min(cap * slow, n + dt * rate * slow)
if dt >= 30 then fly, calls = 0, 0 else fly, calls = fly * (1 - dt / 30), calls * (1 - dt / 30) end
local function keep()
  redis.call('HSET', KEYS[1], 'n', string.format('%.6f', n), 'at', string.format('%.0f', math.max(at, now)),
    'slow', string.format('%.6f', slow), 'fly', string.format('%.6f', fly), 'calls', string.format('%.6f', calls))
  redis.call('PEXPIRE', KEYS[1], 604800000)
end
`

var takeScript = goredis.NewScript(bucketNow + `
local cost, class, waiter = tonumber(ARGV[3]), ARGV[5], ARGV[6]
local floor = cap * slow * tonumber(ARGV[4])
local need = math.min(cost, cap * slow - floor)
local wait = math.max(0, till - now, math.ceil((floor + need - n) / (rate * slow) * 1000000))
local turn = redis.call('HMGET', KEYS[1], 'turn' .. class, 'ends' .. class)
local others = turn[1] and turn[1] ~= waiter and num(turn[2], 0) > now
if others then
  wait = math.max(wait, tonumber(turn[2]) - now)
elseif wait > 0 then
  redis.call('HSET', KEYS[1], 'turn' .. class, waiter, 'ends' .. class, string.format('%.0f', now + math.min(wait, 2000000) + 250000))
else
  n, fly, calls = n - cost, fly + cost, calls + 1
  if turn[1] then redis.call('HDEL', KEYS[1], 'turn' .. class, 'ends' .. class) end
end
keep()
return wait`)

var observeScript = goredis.NewScript(bucketNow + `
local known, level, retry = ARGV[3] == '1', tonumber(ARGV[6]), tonumber(ARGV[7])
if calls >= 1 then fly, calls = fly * (calls - 1) / calls, calls - 1 else fly, calls = 0, 0 end
if known then
  local told = tonumber(ARGV[4])
  if told > 0 then cap = told; redis.call('HSET', KEYS[1], 'cap', ARGV[4]) end
  told = tonumber(ARGV[5])
  if told > 0 then rate, slow = told, 1; redis.call('HSET', KEYS[1], 'rate', ARGV[5]) end
  if level >= 0 then n = level - fly end
end
if retry > 0 then
  if not known then
    if till <= now then slow = math.max(0.05, slow / 2) end
    n = math.min(n, 0)
  end
  redis.call('HSET', KEYS[1], 'till', string.format('%.0f', math.max(till, now + retry)))
end
n = math.min(n, cap * slow)
keep()
return 0`)
