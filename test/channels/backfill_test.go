package channels

// History: how fast a connector reads all orders of a shop through its poller and translator,
// and that it keeps nothing of them.

import (
	"errors"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
)

// history is how many orders are read: CROSSDOCK_BACKFILL, by default few enough for every run.
func history(tb testing.TB, otherwise int) int {
	text := os.Getenv("CROSSDOCK_BACKFILL")
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1000 {
		tb.Fatalf("CROSSDOCK_BACKFILL: %q: give a number of orders, 1000 or more", text)
	}
	return n
}

// nowhere takes no webhook.
type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("nobody listens")
}

// timed is a shop that knows how long it worked.
type timed struct {
	player
	took time.Duration
}

func (p *timed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	p.player.ServeHTTP(w, r)
	p.took += time.Since(began)
}

// filled is a shop with n orders, one each seven seconds.
func filled(tb testing.TB, platform string, n int) *shop {
	tb.Helper()
	c := &clock{t: begin}
	s := open(tb, platform, "GBP", setup{clock: c, limiter: free{}, day: true, mail: nowhere{}})
	for _, sku := range skus {
		s.offer(sku, 10_000_000)
	}
	sales := script(tb)
	s.numbers = make(map[string]int, n)
	for i := range n {
		sl := *sales[i%len(sales)]
		sl.n, sl.currency, sl.life = i, "GBP", shipped
		id, err := s.place(&sl)
		if err != nil {
			tb.Fatal(err)
		}
		s.numbers[id] = i
		c.set(c.now().Add(7 * time.Second))
	}
	c.set(c.now().Add(time.Hour))
	s.player = &timed{player: s.player}
	return s
}

// read polls everything there is and translates it, and says how many different orders it was.
// at is called after a quarter, a half, and all.
func (s *shop) read(tb testing.TB, n int, at func(done int)) (orders int) {
	tb.Helper()
	seen := make([]bool, n)
	req := connectors.PollRequest{Start: begin.Add(-time.Hour), Overlap: time.Minute, Settle: time.Second}
	for more := true; more; {
		res, err := s.conn.Poll[connectors.Orders].Poll(tb.Context(), req, func(r connectors.Raw) error {
			facts, err := s.conn.Translate.Translate(&connectors.Record{Subject: r.Subject, Account: s.account, Object: r.Object, Format: r.Format, Body: r.Body, SourceTime: r.SourceTime})
			if err != nil {
				return err
			}
			for _, o := range facts.Orders {
				i, ok := s.numbers[o.Id]
				if !ok {
					return errors.New("nobody placed order " + o.Id)
				}
				if seen[i] {
					continue
				}
				seen[i] = true
				if orders++; orders == n/4 || orders == n/2 || orders == n {
					at(orders)
				}
			}
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
		req.Cursor, more = res.Cursor, res.More
	}
	return orders
}

// live is how many bytes are in use.
func live() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkBackfill reads the orders of a shop without limits; ours/s is without the time that
// the simulated shop took to answer. By default 5,000 orders, make bench reads 100,000.
func BenchmarkBackfill(b *testing.B) {
	n := history(b, 5000)
	for _, platform := range platforms {
		b.Run(platform, func(b *testing.B) {
			s := filled(b, platform, n)
			for b.Loop() {
				s.player.(*timed).took = 0
				var paused time.Duration
				began := time.Now()
				s.asked = nil
				got := s.read(b, n, func(done int) {
					stop := time.Now()
					b.ReportMetric(float64(live())/1e6, "MB-at-"+strconv.Itoa(done*100/n)+"%")
					paused += time.Since(stop)
				})
				took := time.Since(began) - paused
				if got < n {
					b.Fatalf("%d orders of %d were read", got, n)
				}
				b.ReportMetric(float64(n)/took.Seconds(), "orders/s")
				b.ReportMetric(float64(n)/(took-s.player.(*timed).took).Seconds(), "ours/s")
			}
		})
	}
}

// TestBackfillKeepsNothing: what is in use after all orders were read is what was in use after a
// quarter of them.
func TestBackfillKeepsNothing(t *testing.T) {
	few := 4000
	if testing.Short() {
		few = 1000 // one reads, alone: what is measured is shown without -short
	}
	n := history(t, few)
	for _, platform := range platforms {
		t.Run(platform, func(t *testing.T) {
			s := filled(t, platform, n)
			used := map[int]int64{}
			if got := s.read(t, n, func(done int) {
				s.asked = nil
				used[done] = live()
			}); got != n {
				t.Fatalf("%d orders of %d were read", got, n)
			}
			t.Logf("in use after a quarter %d kB, after all %d kB", used[n/4]>>10, used[n]>>10)
			// A page is held, of whatever size; not a bit of each order: 1 MB would be 350 bytes of each.
			if more := used[n] - used[n/4]; more > 1<<20 {
				t.Errorf("%d kB more were in use in the end than after a quarter", more>>10)
			}
		})
	}
}
