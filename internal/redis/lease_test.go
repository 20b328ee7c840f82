package redis

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/internal/testkit"
)

const leaseName = "acme.test.poll:{shop-uk}"

// leaseServer is a Redis of the test's own whose clock and expiry the test drives.
func leaseServer(t *testing.T) (*miniredis.Miniredis, func(owner string, ttl time.Duration) Leases) {
	t.Helper()
	mr := miniredis.RunT(t)
	client := goredis.NewClient(&goredis.Options{Addr: mr.Addr(), MaxRetries: -1, DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	return mr, func(owner string, ttl time.Duration) Leases {
		return Leases{Client: client, Owner: owner, TTL: ttl}
	}
}

func mustAcquire(t *testing.T, l Leases) *Lease {
	t.Helper()
	lease, err := l.Acquire(t.Context(), leaseName)
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func number(t *testing.T, l *Lease) int64 {
	t.Helper()
	n, err := strconv.ParseInt(l.Token(), 10, 64)
	if err != nil {
		t.Fatalf("token %q: %v", l.Token(), err)
	}
	return n
}

func TestLeaseIsExclusive(t *testing.T) {
	mr, leases := leaseServer(t)
	a, b := leases("a", 20*time.Second), leases("b", 20*time.Second)
	first := mustAcquire(t, a)

	_, err := b.Acquire(t.Context(), leaseName)
	var held *HeldError
	if !errors.As(err, &held) || held.Owner != "a/"+first.Token() || held.Remaining <= 0 || held.Remaining > 20*time.Second {
		t.Fatalf("second owner got %v", err)
	}
	if _, err := a.Acquire(t.Context(), leaseName); !errors.As(err, &held) {
		t.Fatalf("the same owner got it twice: %v", err)
	}
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := mustAcquire(t, b)
	if number(t, second) <= number(t, first) {
		t.Errorf("token %s does not follow %s", second.Token(), first.Token())
	}
	// A late release and a late renewal of the old owner must not touch the new one's.
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Renew(t.Context()); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("late renewal: %v", err)
	}
	if err := second.Renew(t.Context()); err != nil {
		t.Errorf("the new owner lost it: %v", err)
	}
	if got, _ := mr.Get(FenceKey(leaseName)); got != second.Token() {
		t.Errorf("fence is %s, want %s", got, second.Token())
	}
}

// kill -9 of the owner: nothing is released; the TTL alone frees the lease, within 30 s.
func TestLeaseIsTakenOverAfterItsTTL(t *testing.T) {
	mr, leases := leaseServer(t)
	dead := mustAcquire(t, leases("dead", 20*time.Second))
	mr.FastForward(19 * time.Second)
	var held *HeldError
	if _, err := leases("next", 20*time.Second).Acquire(t.Context(), leaseName); !errors.As(err, &held) {
		t.Fatalf("before the TTL: %v", err)
	}
	mr.FastForward(held.Remaining)
	next := mustAcquire(t, leases("next", 20*time.Second))
	if number(t, next) <= number(t, dead) {
		t.Errorf("token %s does not follow %s", next.Token(), dead.Token())
	}
}

// A Redis that was wiped, or fell back to an old snapshot, hands out greater tokens all the same.
func TestLeaseTokensGrowOverALossOfRedis(t *testing.T) {
	mr, leases := leaseServer(t)
	l := leases("a", time.Second)
	mr.SetTime(time.Unix(1_700_000_000, 0))
	last := number(t, mustAcquire(t, l))
	for i, lose := range []func(){
		func() { mr.FlushAll() },
		func() { mr.Del(leaseKey(leaseName)); _ = mr.Set(FenceKey(leaseName), "5") },
	} {
		lose()
		mr.SetTime(time.Unix(1_700_000_000, int64(i+1)*int64(time.Microsecond)))
		next := number(t, mustAcquire(t, l))
		if next <= last {
			t.Errorf("loss %d: token %d after %d", i, next, last)
		}
		last = next
	}
	// And when its clock goes backwards, as long as it remembers.
	mr.Del(leaseKey(leaseName))
	mr.SetTime(time.Unix(1_600_000_000, 0))
	if next := number(t, mustAcquire(t, l)); next != last+1 {
		t.Errorf("clock set back: token %d after %d", next, last)
	}
}

func TestLeaseKeep(t *testing.T) {
	t.Run("renews", func(t *testing.T) {
		mr, leases := leaseServer(t)
		const ttl = 4 * time.Second
		l := mustAcquire(t, leases("a", ttl))
		kept, stop := l.Keep(t.Context())
		defer stop()
		for range 2 {
			// Nearly the whole TTL passes at once; the next renewal makes it whole again.
			mr.FastForward(ttl - time.Millisecond)
			eventually(t, "renewal", func() bool { return mr.TTL(leaseKey(leaseName)) == ttl })
		}
		if kept.Err() != nil {
			t.Error(context.Cause(kept))
		}
	})
	t.Run("stops when somebody else has it", func(t *testing.T) {
		mr, leases := leaseServer(t)
		l := mustAcquire(t, leases("a", 200*time.Millisecond))
		kept, stop := l.Keep(t.Context())
		defer stop()
		if err := mr.Set(leaseKey(leaseName), "b/7"); err != nil {
			t.Fatal(err)
		}
		<-kept.Done()
		if !errors.Is(context.Cause(kept), ErrLeaseLost) {
			t.Errorf("cause %v", context.Cause(kept))
		}
	})
	t.Run("stops before its end when Redis is away", func(t *testing.T) {
		mr, leases := leaseServer(t)
		l := mustAcquire(t, leases("a", 400*time.Millisecond))
		began := l.confirmed
		kept, stop := l.Keep(t.Context())
		defer stop()
		mr.SetError("LOADING Redis is loading the dataset in memory")
		<-kept.Done()
		if !errors.Is(context.Cause(kept), ErrLeaseLost) {
			t.Errorf("cause %v", context.Cause(kept))
		}
		if l.confirmed != began {
			t.Error("a failed renewal counted")
		}
	})
	t.Run("forgives a short absence", func(t *testing.T) {
		mr, leases := leaseServer(t)
		l := mustAcquire(t, leases("a", 2*time.Second))
		mr.SetError("LOADING")
		if err := l.renewInTime(t.Context()); err != nil {
			t.Fatalf("one failure: %v", err)
		}
		mr.SetError("")
		if err := l.renewInTime(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("ends with its parent", func(t *testing.T) {
		_, leases := leaseServer(t)
		ctx, cancel := context.WithCancel(t.Context())
		kept, stop := mustAcquire(t, leases("a", time.Second)).Keep(ctx)
		cancel()
		<-kept.Done()
		stop()
		stop() // twice is harmless
		if errors.Is(context.Cause(kept), ErrLeaseLost) {
			t.Error("a clean stop looks like a loss")
		}
	})
}

func TestLeaseErrors(t *testing.T) {
	mr, leases := leaseServer(t)
	if _, err := leases("a", 0).Acquire(t.Context(), leaseName); err == nil {
		t.Error("no TTL was accepted")
	}
	l := mustAcquire(t, leases("a", time.Second))
	mr.SetError("MASTERDOWN")
	for name, err := range map[string]error{
		"acquire": func() error { _, err := leases("b", time.Second).Acquire(t.Context(), leaseName); return err }(),
		"renew":   l.Renew(t.Context()), "release": l.Release(t.Context()),
	} {
		if err == nil || errors.Is(err, ErrLeaseLost) {
			t.Errorf("%s with Redis away: %v", name, err)
		}
	}
}

// The scripts on the real engine: many takers, never two at once, tokens strictly growing.
func TestLeaseOnRealRedis(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{Addr: testkit.Redis(t), DisableIdentity: true})
	defer func() { _ = client.Close() }()
	name := "lease.test." + strconv.FormatInt(time.Now().UnixNano(), 36) + ":{x}"
	defer client.Del(context.WithoutCancel(t.Context()), leaseKey(name), FenceKey(name))
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		inside int
		last   int64
	)
	for i := range 8 {
		wg.Go(func() {
			l := Leases{Client: client, Owner: strconv.Itoa(i), TTL: 10 * time.Second}
			for range 20 {
				lease, err := l.Acquire(t.Context(), name)
				var held *HeldError
				if errors.As(err, &held) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				token, _ := strconv.ParseInt(lease.Token(), 10, 64)
				mu.Lock()
				inside++
				if inside != 1 || token <= last {
					t.Errorf("%d inside, token %d after %d", inside, token, last)
				}
				last = token
				mu.Unlock()
				if err := lease.Renew(t.Context()); err != nil {
					t.Error(err)
				}
				mu.Lock()
				inside--
				mu.Unlock()
				if err := lease.Release(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// eventually polls a condition that another goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s did not happen", what)
		}
		time.Sleep(time.Millisecond)
	}
}
