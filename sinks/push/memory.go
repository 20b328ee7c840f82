package push

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// Entry is one target that is remembered of a listing.
type Entry struct {
	Target *event.PushTarget
	// Offset at which the target's version was last seen in its partition.
	Offset int64
}

func (e *Entry) version() *event.Version { return e.Target.Version }

// Try is a target that is about to be carried out.
type Try struct {
	Listing string
	Entry   Entry
}

// Known is what is remembered of one listing; each may be nil.
type Known struct {
	// Accepted is the target accepted last, or withdrawn: what the platform is believed to show.
	Accepted *Entry
	// Tried is the newest target that anybody set out for before, whatever became of it.
	Tried *Entry
}

// Write is one entry to be remembered.
type Write struct {
	Listing string
	Entry   Entry
	// Loaded is the version that Load gave before the platform was called; nil = none.
	Loaded *event.Version
}

// Race says that somebody else wrote the same listing between Load and Store.
type Race struct {
	// Newer is the entry that is newer than ours, which was not stored then; nil when ours is the
	// newest and somebody else's older write may have come after it at the platform.
	Newer *Entry
}

// Memory remembers what was accepted, over restarts and for all processes. It never goes back
// to an older version. Losing it is harmless: listings are read before they are written.
type Memory interface {
	// Load returns what is known, and remembers in the same step what is tried now. After a crash
	// between a call and its record, targets older than the one that was tried are offered again
	// before it: they must not be written over it.
	Load(ctx context.Context, account string, tries []Try) ([]Known, error)
	// Store returns nil where nobody else wrote since Load.
	Store(ctx context.Context, account string, writes []Write) ([]*Race, error)
}

// RedisMemory keeps two hashes for each account: accepted, and tried.
type RedisMemory struct {
	client goredis.UniversalClient
	scope  schemas.Scope
	log    *slog.Logger
}

// NewRedisMemory makes the memory of a scope.
func NewRedisMemory(client goredis.UniversalClient, scope schemas.Scope, log *slog.Logger) *RedisMemory {
	return &RedisMemory{client: client, scope: scope, log: log}
}

func (m *RedisMemory) key(account string) string { return m.scope.Key("push:{" + account + "}") }

// KEYS: accepted, tried. ARGV, for each listing: field, value. Returns both values for each. A
// command for many listings, not one for each: that is what a script costs. unpack is bounded by
// Lua's stack: 500 listings at a time.
var loadScript = goredis.NewScript(`
local out, now = {}, {}
for from = 1, #ARGV, 1000 do
  local fields, sets = {}, {}
  for i = from, math.min(from + 999, #ARGV), 2 do fields[#fields + 1] = ARGV[i] end
  local accepted, tried = redis.call('HMGET', KEYS[1], unpack(fields)), redis.call('HMGET', KEYS[2], unpack(fields))
  for n, field in ipairs(fields) do
    local value, last = ARGV[from + 2 * n - 1], now[field] or tried[n]
    out[#out + 1] = accepted[n] or ''
    out[#out + 1] = last or ''
    if not last or string.sub(last, 1, 39) < string.sub(value, 1, 39) then
      now[field] = value
      sets[#sets + 1] = field
      sets[#sets + 1] = value
    end
  end
  if #sets > 0 then redis.call('HSET', KEYS[2], unpack(sets)) end
end
return out`)

// Load implements Memory.
func (m *RedisMemory) Load(ctx context.Context, account string, tries []Try) ([]Known, error) {
	args := make([]any, 0, 2*len(tries))
	for _, t := range tries {
		value, err := encodeEntry(t.Entry)
		if err != nil {
			return nil, fmt.Errorf("remembering %s/%s: %w", account, t.Listing, err)
		}
		args = append(args, t.Listing, value)
	}
	values, err := loadScript.Run(ctx, m.client, []string{m.key(account), m.key(account) + ":tried"}, args...).StringSlice()
	if err == nil && len(values) != 2*len(tries) {
		err = fmt.Errorf("%d answers to %d listings", len(values), len(tries))
	}
	if err != nil {
		return nil, fmt.Errorf("reading what %s accepted: %w", account, err)
	}
	known := make([]Known, len(tries))
	for i := range known {
		known[i].Accepted = m.decode(values[2*i], account, tries[i].Listing)
		known[i].Tried = m.decode(values[2*i+1], account, tries[i].Listing)
	}
	return known, nil
}

func (m *RedisMemory) decode(text, account, listing string) *Entry {
	if text == "" {
		return nil
	}
	e, err := decodeEntry(text)
	if err != nil {
		// As good as lost: the listing is read before it is written.
		m.log.Warn("an entry of the push memory is damaged and is not used", "account", account, "listing", listing, "err", err)
		return nil
	}
	return e
}

// KEYS: hash. ARGV, for each listing: field, loaded version or "", value. The version is the
// value's first 39 characters, so that text compares like numbers. Returns for each: "" or
// what somebody else wrote.
var storeScript = goredis.NewScript(`
local out, now = {}, {}
for from = 1, #ARGV, 1500 do
  local fields, sets = {}, {}
  for i = from, math.min(from + 1499, #ARGV), 3 do fields[#fields + 1] = ARGV[i] end
  local found = redis.call('HMGET', KEYS[1], unpack(fields))
  for n, field in ipairs(fields) do
    local at = from + 3 * (n - 1)
    local cur = now[field] or found[n]
    local had, mine = cur and string.sub(cur, 1, 39) or '', string.sub(ARGV[at + 2], 1, 39)
    if had <= mine then
      now[field] = ARGV[at + 2]
      sets[#sets + 1] = field
      sets[#sets + 1] = ARGV[at + 2]
    end
    if had == ARGV[at + 1] or had == mine or not cur then out[#out + 1] = '' else out[#out + 1] = cur end
  end
  if #sets > 0 then redis.call('HSET', KEYS[1], unpack(sets)) end
end
return out`)

// Store implements Memory.
func (m *RedisMemory) Store(ctx context.Context, account string, writes []Write) ([]*Race, error) {
	args := make([]any, 0, 3*len(writes))
	for _, w := range writes {
		loaded := ""
		if w.Loaded != nil {
			loaded = versionText(w.Loaded)
		}
		value, err := encodeEntry(w.Entry)
		if err != nil {
			return nil, fmt.Errorf("remembering %s/%s: %w", account, w.Listing, err)
		}
		args = append(args, w.Listing, loaded, value)
	}
	answers, err := storeScript.Run(ctx, m.client, []string{m.key(account)}, args...).StringSlice()
	if err == nil && len(answers) != len(writes) {
		err = fmt.Errorf("%d answers to %d writes", len(answers), len(writes))
	}
	if err != nil {
		return nil, fmt.Errorf("remembering what %s accepted: %w", account, err)
	}
	races := make([]*Race, len(writes))
	for i, text := range answers {
		if text == "" {
			continue
		}
		races[i] = &Race{}
		if other, err := decodeEntry(text); err == nil && compare(other.Target.Version, writes[i].Entry.Target.Version) > 0 {
			races[i].Newer = other
		}
	}
	return races, nil
}

// encodeEntry writes "version|offset|" and the target's bytes.
func encodeEntry(e Entry) (string, error) {
	b, err := e.Target.MarshalVTStrict()
	if err != nil {
		return "", err
	}
	return versionText(e.Target.Version) + "|" + strconv.FormatInt(e.Offset, 10) + "|" + string(b), nil
}

func decodeEntry(text string) (*Entry, error) {
	version, offset, value, err := splitEntry(text)
	if err != nil {
		return nil, err
	}
	t := &event.PushTarget{}
	if err := t.UnmarshalVT(value); err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	if t.Version == nil || versionText(t.Version) != version {
		return nil, fmt.Errorf("version %q is not that of the target", version)
	}
	return &Entry{Target: t, Offset: offset}, nil
}

// splitEntry reads "version|offset|" and bytes.
func splitEntry(text string) (version string, offset int64, value []byte, err error) {
	parts := strings.SplitN(text, "|", 3)
	if len(parts) != 3 {
		return "", 0, nil, fmt.Errorf("%d parts instead of 3", len(parts))
	}
	if offset, err = strconv.ParseInt(parts[1], 10, 64); err != nil {
		return "", 0, nil, fmt.Errorf("offset: %w", err)
	}
	return parts[0], offset, []byte(parts[2]), nil
}

func versionText(v *event.Version) string {
	return fmt.Sprintf("%019d.%019d", v.GetEpoch(), v.GetNumber())
}

// compare is negative when a is older than b. A missing version is older than any.
func compare(a, b *event.Version) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	case a.Epoch != b.Epoch:
		return cmpInt(a.Epoch, b.Epoch)
	default:
		return cmpInt(a.Number, b.Number)
	}
}

func cmpInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}
