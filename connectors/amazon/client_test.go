package amazon

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/amazon/simulator"
	"github.com/helloword/crossdock/connectors/connectortest"
)

// TestBadAnswers: what a strange answer to a read leads to, and that it ends nothing else.
func TestBadAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"HTML instead of JSON", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, "transient"},
		{"nothing", func(http.ResponseWriter, *http.Request) {}, "transient"},
		{"half an answer", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"orders":[{"orderId":"1"`) }, "transient"},
		{"truncated gzip", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, strings.Repeat(`{"orders":[]}`, 100))
			_ = z.Flush() // and no end
		}, "transient"},
		{"redirect to another host", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
		}, "permanent"},
		{"a gigabyte", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1073741824")
			_, _ = io.WriteString(w, `{"orders":[`)
		}, "permanent"},
		{"a gigabyte in a few bytes", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			block := strings.Repeat(" ", 1<<20)
			for range maxAnswer>>20 + 2 {
				_, _ = io.WriteString(z, block)
			}
			_ = z.Close()
		}, "permanent"},
		{"400", status400, "permanent"},
		{"403 with a role missing", func(w http.ResponseWriter, _ *http.Request) {
			fail(w, 403, unauthorised, "Access to requested resource is denied.")
		}, "needs-authorisation"},
		{"403 with a token", func(w http.ResponseWriter, _ *http.Request) {
			fail(w, 403, unauthorised, "The access token you provided has expired.")
		}, "needs-authorisation"},
		{"429", func(w http.ResponseWriter, _ *http.Request) { fail(w, 429, "QuotaExceeded", "slow") }, "retry-after"},
		{"503", func(w http.ResponseWriter, _ *http.Request) { fail(w, 503, "ServiceUnavailable", "away") }, "transient"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, simulator.Config{}, func(cfg *Config) { cfg.QueueURL = "" })
			s.between = answering(s.Simulator, "/orders/", c.answer)
			_, _, err := s.once(nil, nil)
			if got := connectors.Class(err); got != c.want {
				t.Errorf("got %s (%v), want %s", got, err, c.want)
			}
		})
	}
}

// TestLimits: each call asks the limiter by its operation's name, and the rates that answers
// tell reach it.
func TestLimits(t *testing.T) {
	s := open(t, simulator.Config{Limits: true}, func(c *Config) { c.QueueURL = "" })
	stocked(s)
	s.place(t, "85123A", 1, true)
	s.clock.Add(5 * time.Minute)
	s.poll(t, connectors.Orders, connectors.PollRequest{})
	l := s.deps.Limiter.(*connectortest.Limiter)
	if asked := l.Asked(); len(asked) != 1 || asked[0].Operation != "searchOrders" {
		t.Errorf("asked for %v, want searchOrders", asked)
	}
	if got := l.Told("searchOrders"); got.PerSecond != 0.0056 || !got.Known || got.Capacity != 0 {
		t.Errorf("the limiter was told %+v, want the rate and no burst", got)
	}
	for range 19 {
		if _, _, err := s.once(nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := s.once(nil, nil)
	var retry *connectors.RetryAfterError
	if !errors.As(err, &retry) || retry.After != opSearchOrders.pause {
		t.Errorf("the 21st call: %v, want to wait for %s", err, opSearchOrders.pause)
	}
	if got := l.Told("searchOrders"); got.RetryAfter != opSearchOrders.pause {
		t.Errorf("the limiter was told %+v", got)
	}
}

// TestPageTokenThatDied: the window is read again from its begin, and nothing of it is lost.
func TestPageTokenThatDied(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { c.QueueURL, c.PageSize, c.MaxPages = "", 2, 1 })
	stocked(s)
	seen := map[string]bool{}
	for range 5 {
		s.place(t, "85123A", 1, true)
	}
	s.clock.Add(5 * time.Minute)
	req := connectors.PollRequest{}
	for n := 0; ; n++ {
		res, err := s.conn.Poll[connectors.Orders].Poll(context.Background(), req, func(r connectors.Raw) error {
			seen[r.Object] = true
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if !res.More {
			if res.Watermark.IsZero() {
				t.Error("the window was read, and the watermark is zero")
			}
			break
		}
		if n > 10 {
			t.Fatal("it does not end")
		}
		req.Cursor = res.Cursor
		if n == 0 {
			s.clock.Add(25 * time.Hour)
		}
	}
	if len(seen) != 5 {
		t.Errorf("%d orders, want 5", len(seen))
	}
}

// TestABrokenOrderDoesNotEndItsPage: it is emitted as it is, and so are the others.
func TestABrokenOrderDoesNotEndItsPage(t *testing.T) {
	s := open(t, simulator.Config{}, func(c *Config) { c.QueueURL = "" })
	s.between = answering(s.Simulator, "/orders/", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"orders":[{"orderId":7},`+orderOf()+`,"?",null]}`)
	})
	var objects []string
	wrong := 0
	_, _, err := s.once(nil, func(r connectors.Raw) error {
		objects = append(objects, r.Object)
		if _, err := s.conn.Translate.Translate(s.record(r)); errors.Is(err, connectors.ErrMalformed) {
			wrong++
		}
		return nil
	})
	if err != nil || len(objects) != 4 || objects[1] != "202-1-1" || wrong != 3 {
		t.Errorf("%v, %v, %d malformed, want four records of which three are malformed", objects, err, wrong)
	}
}

// TestCursorThatCannotBeRead is permanent, for each poller.
func TestCursorThatCannotBeRead(t *testing.T) {
	s := open(t, simulator.Config{}, nil)
	for subject, p := range s.conn.Poll {
		_, err := p.Poll(context.Background(), connectors.PollRequest{Cursor: []byte(`{"until":7}`)}, func(connectors.Raw) error { return nil })
		if !errors.Is(err, connectors.ErrPermanent) {
			t.Errorf("%s: %v, want ErrPermanent", subject, err)
		}
	}
}
