package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// CheckResult is one thing that was asked of the server.
type CheckResult struct {
	Subject string
	OK      bool
	// Detail says what was found; Advice what to do when OK is false, or what would be better.
	Detail, Advice string
}

// Check asks the server whether crossdock can live on it. It writes one key below prefix,
// which ends by itself. A server that hides its configuration (a managed one) is not failed
// for that: Detail says so.
func Check(ctx context.Context, client goredis.UniversalClient, prefix string) []CheckResult {
	if err := client.Ping(ctx).Err(); err != nil {
		return []CheckResult{{Subject: "reachable", Detail: err.Error(), Advice: "check the address, the password and that the server runs" + hint(err)}}
	}
	info, _ := client.Info(ctx).Result()
	fields := parseInfo(info)
	return []CheckResult{
		{Subject: "reachable", OK: true, Detail: "PING answered"},
		checkVersion(fields["redis_version"]),
		checkScripts(ctx, client, prefix),
		checkMemory(ctx, client, fields["maxmemory_policy"]),
		checkPersistence(fields),
	}
}

func checkVersion(v string) CheckResult {
	r := CheckResult{Subject: "version", Detail: "redis " + v}
	major, _, _ := strings.Cut(v, ".")
	n, err := strconv.Atoi(major)
	switch {
	case v == "" || err != nil:
		r.OK, r.Detail = true, "the server does not tell its version"
	case n >= 7:
		r.OK = true
	default:
		r.Advice = "use Redis 7.0 or newer"
	}
	return r
}

// checkScripts runs what the Lua calls of crossdock need, under a key of the real prefix: an
// ACL that forbids the commands or the keys shows here.
func checkScripts(ctx context.Context, client goredis.UniversalClient, prefix string) CheckResult {
	r := CheckResult{Subject: "scripts"}
	var nonce [8]byte
	_, _ = rand.Read(nonce[:])
	key := prefix + "check:{" + hex.EncodeToString(nonce[:]) + "}"
	got, err := checkScript.Run(ctx, client, []string{key}, "1").Text()
	switch {
	case err != nil:
		r.Detail = err.Error()
		r.Advice = fmt.Sprintf("give the user +@scripting +@hash +@string +@keyspace +time and the keys ~%s* (ACL SETUSER)", prefix)
	case got != "1":
		r.Detail = fmt.Sprintf("a script read back %q instead of what it wrote", got)
		r.Advice = "is this a proxy or a replica? Point crossdock to the master"
	default:
		r.OK, r.Detail = true, "EVALSHA may read and write "+prefix+"*"
	}
	return r
}

var checkScript = goredis.NewScript(`
redis.call('TIME')
redis.call('HSET', KEYS[1], 'v', ARGV[1])
redis.call('PEXPIRE', KEYS[1], 1000)
return redis.call('HGET', KEYS[1], 'v')`)

func checkMemory(ctx context.Context, client goredis.UniversalClient, policy string) CheckResult {
	r := CheckResult{Subject: "maxmemory-policy"}
	if policy == "" {
		if m, err := client.ConfigGet(ctx, "maxmemory-policy").Result(); err == nil {
			policy = m["maxmemory-policy"]
		}
	}
	switch policy {
	case "":
		r.OK, r.Detail = true, "the server does not tell it"
		r.Advice = "make sure that it is noeviction: an evicted key is state that is gone"
	case "noeviction":
		r.OK, r.Detail = true, policy
	default:
		r.Detail = policy + ": the server may throw state away when memory is short"
		r.Advice = "CONFIG SET maxmemory-policy noeviction"
	}
	return r
}

// checkPersistence never fails: state can be rebuilt from Kafka. It says what that costs.
func checkPersistence(fields map[string]string) CheckResult {
	r := CheckResult{Subject: "persistence", OK: true}
	switch {
	case fields["aof_enabled"] == "1":
		r.Detail = "append-only file"
	case fields["aof_enabled"] == "":
		r.Detail = "the server does not tell it"
	default:
		r.Detail = "no append-only file"
		r.Advice = "set appendonly yes: without it a restart of Redis means reading Kafka again (`crossdock rebuild`)"
	}
	return r
}

func parseInfo(info string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(info) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[k] = v
		}
	}
	return fields
}
