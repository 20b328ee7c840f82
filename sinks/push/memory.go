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

// Entry is what is remembered of one listing: the target accepted last, or withdrawn.
type Entry struct {
	Target *event.PushTarget
	// Offset at which the target's version was last seen in its partition.
	Offset int64
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
	// Load returns nil where nothing is remembered.
	Load(ctx context.Context, account string, listings []string) ([]*Entry, error)
	// Store returns nil where nobody else wrote since Load.
	Store(ctx context.Context, account string, writes []Write) ([]*Race, error)
}

// RedisMemory keeps one hash for each account.
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

// Load implements Memory.
func (m *RedisMemory) Load(ctx context.Context, account string, listings []string) ([]*Entry, error) {
	values, err := m.client.HMGet(ctx, m.key(account), listings...).Result()
	if err != nil {
		return nil, fmt.Errorf("reading what %s accepted: %w", account, err)
	}
	entries := make([]*Entry, len(values))
	for i, v := range values {
		text, ok := v.(string)
		if !ok {
			continue
		}
		if entries[i], err = decodeEntry(text); err != nil {
			// As good as lost: the listing is read before it is written.
			m.log.Warn("an entry of the push memory is damaged and is not used", "account", account, "listing", listings[i], "err", err)
			entries[i] = nil
		}
	}
	return entries, nil
}

// KEYS: hash. ARGV, for each listing: field, loaded version or "", value. The version is the
// value's first 39 characters, so that text compares like numbers. Returns for each: "" or
// what somebody else wrote.
var storeScript = goredis.NewScript(`
local out = {}
for i = 1, #ARGV, 3 do
  local cur = redis.call('HGET', KEYS[1], ARGV[i])
  local had, mine = cur and string.sub(cur, 1, 39) or '', string.sub(ARGV[i + 2], 1, 39)
  if had <= mine then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
  if had == ARGV[i + 1] or had == mine or not cur then out[#out + 1] = '' else out[#out + 1] = cur end
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
	parts := strings.SplitN(text, "|", 3)
	if len(parts) != 3 {
		return nil, fmt.Errorf("%d parts instead of 3", len(parts))
	}
	offset, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("offset: %w", err)
	}
	t := &event.PushTarget{}
	if err := t.UnmarshalVT([]byte(parts[2])); err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	if t.Version == nil || versionText(t.Version) != parts[0] {
		return nil, fmt.Errorf("version %q is not that of the target", parts[0])
	}
	return &Entry{Target: t, Offset: offset}, nil
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
