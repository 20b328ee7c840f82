package push

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// CommandTry is a command that is about to be carried out.
type CommandTry struct {
	Key    string // of the order, or of the listing's price
	Target *event.CommandTarget
	Offset int64
}

func (t CommandTry) version() *event.Version { return t.Target.Version }

// CommandKnown is what stands in a try's way, if anything.
type CommandKnown struct {
	// Held: somebody else is at it right now, or was killed there a moment ago.
	Held bool
	// Newer is a target that was begun before this and is newer; nil = none.
	Newer       *event.CommandTarget
	NewerOffset int64
}

// CommandMemory remembers, for all processes, which target of an order or price was begun last,
// and lets one of them at it at a time. That nothing is done twice does not hang on it: the
// same call has the same name at the platform. It keeps two callers from asking a platform at
// the same moment what was done, and an old price from being set over a newer one.
type CommandMemory interface {
	// Begin makes it our turn, for as long as hold, unless End comes before.
	Begin(ctx context.Context, account string, tries []CommandTry, hold time.Duration) ([]CommandKnown, error)
	End(ctx context.Context, account string, keys []string) error
}

// RedisCommands is the memory in Redis: two keys for each order or price, which go by
// themselves.
type RedisCommands struct {
	client goredis.UniversalClient
	scope  schemas.Scope
	log    *slog.Logger
	owner  string
}

// NewRedisCommands makes the memory of a scope.
func NewRedisCommands(client goredis.UniversalClient, scope schemas.Scope, log *slog.Logger) *RedisCommands {
	return &RedisCommands{client: client, scope: scope, log: log, owner: rand.Text()}
}

// commandsKept is how long it is remembered what was begun: as long as the topics it came from.
const commandsKept = 30 * 24 * time.Hour

func (m *RedisCommands) keys(account, key string) (begun, held string) {
	begun = m.scope.Key("push:{" + account + "}:command:" + key)
	return begun, begun + ":held"
}

// KEYS: begun and held, for each. ARGV: owner, hold in ms, kept in s, and the value of each. The
// version is the value's first 39 characters, so that text compares like numbers. Returns for
// each: "held", "", or the newer value.
var beginScript = goredis.NewScript(`
local out = {}
for n = 1, #KEYS / 2 do
  local begun, held, value = KEYS[2 * n - 1], KEYS[2 * n], ARGV[3 + n]
  local last, owner = redis.call('GET', begun), redis.call('GET', held)
  if last and string.sub(last, 1, 39) > string.sub(value, 1, 39) then
    out[n] = last
  elseif owner and owner ~= ARGV[1] then
    out[n] = 'held'
  else
    redis.call('SET', held, ARGV[1], 'PX', ARGV[2])
    redis.call('SET', begun, value, 'EX', ARGV[3])
    out[n] = ''
  end
end
return out`)

// Begin implements CommandMemory.
func (m *RedisCommands) Begin(ctx context.Context, account string, tries []CommandTry, hold time.Duration) ([]CommandKnown, error) {
	keys := make([]string, 0, 2*len(tries))
	args := []any{m.owner, hold.Milliseconds(), int64(commandsKept / time.Second)}
	for _, t := range tries {
		b, err := t.Target.MarshalVTStrict()
		if err != nil {
			return nil, fmt.Errorf("remembering %s: %w", t.Key, err)
		}
		begun, held := m.keys(account, t.Key)
		keys = append(keys, begun, held)
		args = append(args, versionText(t.Target.Version)+"|"+strconv.FormatInt(t.Offset, 10)+"|"+string(b))
	}
	answers, err := beginScript.Run(ctx, m.client, keys, args...).StringSlice()
	if err == nil && len(answers) != len(tries) {
		err = fmt.Errorf("%d answers to %d commands", len(answers), len(tries))
	}
	if err != nil {
		return nil, fmt.Errorf("beginning commands of %s: %w", account, err)
	}
	known := make([]CommandKnown, len(tries))
	for i, a := range answers {
		switch a {
		case "":
		case "held":
			known[i].Held = true
		default:
			t := &event.CommandTarget{}
			_, offset, value, err := splitEntry(a)
			if err == nil {
				err = t.UnmarshalVT(value)
			}
			if err != nil {
				return nil, fmt.Errorf("what was begun of %s cannot be read: delete its key in Redis: %w", tries[i].Key, err)
			}
			known[i].Newer, known[i].NewerOffset = t, offset
		}
	}
	return known, nil
}

// KEYS: held. ARGV: owner.
var endScript = goredis.NewScript(`
for n = 1, #KEYS do
  if redis.call('GET', KEYS[n]) == ARGV[1] then redis.call('DEL', KEYS[n]) end
end
return 0`)

// End implements CommandMemory.
func (m *RedisCommands) End(ctx context.Context, account string, keys []string) error {
	held := make([]string, len(keys))
	for i, k := range keys {
		_, held[i] = m.keys(account, k)
	}
	if err := endScript.Run(ctx, m.client, held, m.owner).Err(); err != nil {
		return fmt.Errorf("letting go of commands of %s: %w", account, err)
	}
	return nil
}
