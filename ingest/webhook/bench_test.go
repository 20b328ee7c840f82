package webhook

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
)

// order is as long as a realistic order.
var order = append([]byte("order "), bytes.Repeat([]byte("0123456789abcdef"), 280)...)

var acknowledge = publisherFunc(func(context.Context, []kafka.Record) error { return nil })

// bare is the least that a webhook server can do: read and produce.
func bare(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	record := kafka.Record{Topic: schemas.RawOrders, Key: []byte("shop-uk/" + r.Header.Get("X-Object")), Value: body}
	if err := acknowledge.Produce(r.Context(), []kafka.Record{record}); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// BenchmarkWebhook compares the server with the bare handler. Kafka costs nothing here, which
// is the hardest comparison: over loopback TCP, with authentication of the body.
func BenchmarkWebhook(b *testing.B) {
	w := newWorld(b, Config{})
	w.publisher = acknowledge
	for name, h := range map[string]http.Handler{"bare": http.HandlerFunc(bare), "server": w.Handler()} {
		b.Run("tcp/"+name, func(b *testing.B) { overTCP(b, h) })
		b.Run("handler/"+name, func(b *testing.B) { inProcess(b, h) })
	}
}

func overTCP(b *testing.B, h http.Handler) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	defer func() { _ = srv.Close(); <-done }()
	request := []byte(request(string(order)))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		answer := make([]byte, 4096)
		for pb.Next() {
			if _, err := conn.Write(request); err != nil {
				b.Error(err)
				return
			}
			n, err := conn.Read(answer)
			if err != nil || !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 200")) {
				b.Errorf("%v: %s", err, answer[:n])
				return
			}
		}
	})
}

func inProcess(b *testing.B, h http.Handler) {
	signature := sign(order)
	body := bytes.NewReader(order)
	r := httptest.NewRequest(http.MethodPost, uk, io.NopCloser(body))
	r.ContentLength = int64(len(order))
	r.Header.Set("X-Signature", signature)
	r.Header.Set("X-Object", "order-1")
	w := &sink{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(order)
		h.ServeHTTP(w, r)
		if w.status != http.StatusOK {
			b.Fatal(w.status)
		}
	}
}

type sink struct {
	h      http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
