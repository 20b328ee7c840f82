package chaos

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// disasters lets engines fall, and processes stand still, while trade goes on, and compares
// after each.
func (w *world) disasters(t *testing.T) (v *verdict) {
	t.Helper()
	for _, d := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"Redis put back to an older state under live rooms", w.redisFallsBack},
		{"the broker killed and started again", w.brokerKilled},
		{"ClickHouse killed and away", w.clickhouseAway},
		{"roles stopped for longer than their group waits", w.standStill},
		{"Redis wiped, and rebuilt", w.redisWiped},
	} {
		began := time.Now()
		w.during(func() { d.do(t) })
		v = w.settle(t, d.name)
		fmt.Printf("%s: %v, %.0fs\n", d.name, v, time.Since(began).Seconds())
	}
	return v
}

func (w *world) redisFallsBack(t *testing.T) {
	older := filepath.Join(w.dir, "older.rdb")
	if err := w.redis.Snapshot(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	w.goOn(t, 80)
	if err := w.redis.Restore(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	w.goOn(t, 40)
}

func (w *world) brokerKilled(t *testing.T) {
	w.goOn(t, 20)
	if err := w.kafka.Kill(); err != nil {
		t.Fatal(err)
	}
	w.goOn(t, 30)
	if err := w.kafka.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.goOn(t, 30)
}

func (w *world) clickhouseAway(t *testing.T) {
	w.goOn(t, 20)
	if err := w.house.Kill(); err != nil {
		t.Fatal(err)
	}
	w.goOn(t, 120)
	if err := w.house.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.goOn(t, 20)
}

// standStill stops roles for longer than their session lasts while others take over, and lets
// them go on where they stood.
func (w *world) standStill(t *testing.T) {
	names := []string{"translate", "orders", "stock", "commands", "push", "clickhouse"}
	var seconds []*role
	for _, name := range names {
		seconds = append(seconds, w.newRole(name, name+"-second"))
	}
	defer func() {
		for _, r := range seconds {
			r.close()
		}
	}()
	w.goOn(t, 60)
	for _, name := range names {
		if err := w.roles[name].signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	w.goOn(t, 120) // twelve seconds; the session is six
	for _, name := range names {
		if err := w.roles[name].signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	w.goOn(t, 60)
}

func (w *world) redisWiped(t *testing.T) {
	w.goOn(t, 20)
	if err := w.wipe(t); err != nil {
		t.Fatal(err)
	}
	until(t, 2*time.Minute, "every room has stopped and asks for a rebuild", func() bool {
		for _, name := range rooms {
			if !w.roles[name].stopped() {
				return false
			}
		}
		return true
	})
	command := []string{"rebuild", "--json"}
	for _, name := range rooms {
		command = append(command, "--room", name)
	}
	var out string
	until(t, 2*time.Minute, "the rooms are rebuilt", func() bool {
		var err error
		if out, err = w.try(command...); err != nil {
			t.Logf("not yet: %v", err)
		}
		return err == nil
	})
	var rebuilt []struct {
		Room    string
		Entries int
		Seconds float64
	}
	if err := json.Unmarshal([]byte(strings.TrimSpace(out)), &rebuilt); err != nil {
		t.Fatal(err)
	}
	var entries int
	var seconds float64
	for _, r := range rebuilt {
		entries += r.Entries
		seconds += r.Seconds
	}
	fmt.Printf("rebuilt %d entries of %d rooms in %.2fs: %.0fs per million (so few keys that starting dominates)\n", entries, len(rebuilt), seconds, seconds/float64(entries)*1e6)
	for _, name := range rooms {
		w.roles[name].release()
	}
	w.goOn(t, 40)
}

// wipe empties Redis under everybody's feet.
func (w *world) wipe(t *testing.T) error {
	c := goredis.NewClient(&goredis.Options{Addr: w.redis.Addr()})
	defer c.Close()
	return c.FlushAll(t.Context()).Err()
}
