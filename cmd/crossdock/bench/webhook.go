package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/connectors/shopify"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
)

// callers call at the same time, each on a connection of its own.
const callers = 64

// webhook compares the webhook server with the least that a server can do: read the body and
// produce it. Both answer 200 after Kafka's acknowledgement by the same producer; the bare
// one checks no signature.
func (r *runner) webhook(ctx context.Context) error {
	r.say("webhook: bare net/http and the server")
	addr, err := freeAddress()
	if err != nil {
		return err
	}
	w, err := r.open(ctx, "web", func(c *config.Config) error { c.Webhook.Listen = addr; return nil })
	if err != nil {
		return err
	}
	defer func() { _ = w.close() }()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	bare := &http.Server{Handler: bareHandler(w.Producer), ReadHeaderTimeout: time.Second}
	served := make(chan struct{})
	go func() { defer close(served); _ = bare.Serve(l) }()
	defer func() { _ = bare.Close(); <-served }()

	calls := makeCalls(addr)
	err = w.roles(ctx, []string{"webhook"}, func(ctx context.Context) error {
		if err := waitFor(ctx, addr); err != nil {
			return err
		}
		// In turns, because the machine has other work; the first turn warms up.
		var n [2]int64
		var took [2]time.Duration
		return r.profiled("webhook", func() error {
			for turn := range 5 {
				for i, to := range []string{l.Addr().String(), addr} {
					began := time.Now()
					done, err := call(ctx, to, calls, r.For/8)
					if err != nil {
						return err
					}
					if turn > 0 {
						n[i], took[i] = n[i]+done, took[i]+time.Since(began)
					}
				}
			}
			r.out.WebhookBare, r.out.WebhookPerS = perSecond(int(n[0]), took[0]), perSecond(int(n[1]), took[1])
			r.out.WebhookRatio = ratio(r.out.WebhookPerS, r.out.WebhookBare)
			r.say("  %.0f and %.0f calls/s", r.out.WebhookBare, r.out.WebhookPerS)
			return nil
		})
	})
	return err
}

func bareHandler(p *kafka.Client) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		rec := kafka.Record{Topic: schemas.RawOrders, Key: []byte(account + "/" + r.Header.Get("X-Shopify-Order-Id")), Value: body}
		if err := p.Produce(r.Context(), []kafka.Record{rec}); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	})
}

// makeCalls makes signed calls, whole as they go over the wire.
func makeCalls(host string) [][]byte {
	now := time.Now()
	calls := make([][]byte, 2048)
	for n := range calls {
		body := orderBody(n, now)
		calls[n] = fmt.Appendf(nil, "POST /webhooks/%s/%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"+
			"X-Shopify-Topic: orders/create\r\nX-Shopify-Order-Id: %d\r\nX-Shopify-Shop-Domain: %s\r\nX-Shopify-Webhook-Id: bench-%d\r\nX-Shopify-Triggered-At: %s\r\nX-Shopify-Hmac-Sha256: %s\r\n\r\n%s",
			shopify.Name, account, host, len(body), orderID(n), shopDomain, n, now.UTC().Format(time.RFC3339Nano), shopify.Sign(secret, body), body)
	}
	return calls
}

// call makes calls until the time is up, and counts those that were answered 200. Anything
// else is an error: a refusal is quick.
func call(ctx context.Context, addr string, calls [][]byte, during time.Duration) (int64, error) {
	var done, next atomic.Int64
	until := time.Now().Add(during)
	g, ctx := errgroup.WithContext(ctx)
	for range callers {
		g.Go(func() error {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err != nil {
				return err
			}
			defer conn.Close()
			answer := make([]byte, 4096)
			for time.Now().Before(until) && ctx.Err() == nil {
				if _, err := conn.Write(calls[int(next.Add(1))%len(calls)]); err != nil {
					return err
				}
				n, err := conn.Read(answer)
				if err != nil {
					return err
				}
				if !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 200")) {
					return fmt.Errorf("a call was answered %.200q", answer[:n])
				}
				done.Add(1)
			}
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	if done.Load() == 0 {
		return 0, errors.New("no call was answered in time")
	}
	return done.Load(), nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// waitFor waits until somebody listens.
func waitFor(ctx context.Context, addr string) error {
	var d net.Dialer
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
