// Package simulator plays the seller's warehouse: it signs entries and sends them to our
// webhook address as connectors/warehouse/README.md asks of a real one: signed anew for each
// attempt, again until they are taken, in the order in which they were given.
//
// In: entries. Out: HTTP calls, and what became of them. It keeps counters only. On demand it
// sends calls twice, as a warehouse does that lost an answer.
package simulator

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/helloword/crossdock/connectors/warehouse"
)

// Entry is one entry as it goes over the wire. Members that its kind does not have stay empty.
type Entry struct {
	Kind      string `json:"kind"`
	ID        string `json:"id"`
	SKU       string `json:"sku,omitempty"`
	Warehouse string `json:"warehouse,omitempty"`
	Quantity  int64  `json:"quantity,omitempty"`
	// OccurredAt goes out in UTC.
	OccurredAt time.Time `json:"occurred_at"`
	Reference  string    `json:"reference,omitempty"`
	Note       string    `json:"note,omitempty"`
	Amount     *Amount   `json:"amount,omitempty"`
	BuyerID    string    `json:"buyer_id,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	// Request is nil for what only happened to stock.
	*Request
}

// Amount of a return.
type Amount struct {
	Text     string `json:"text"`
	Currency string `json:"currency"`
}

// Config of the warehouse.
type Config struct {
	// URL is our address: http://127.0.0.1:8080/webhooks/warehouse/<account>.
	URL string
	// Secret signs the calls.
	Secret string
	// HTTP sends them; nil = http.DefaultClient.
	HTTP *http.Client
	// Now is the warehouse's clock; nil = the system's.
	Now func() time.Time
	// BatchSize is how many entries one call holds; default 200, at most warehouse.MaxEntries.
	// A call with one entry holds the entry itself.
	BatchSize int
	// DuplicateEvery sends each n-th call twice; 0 = none.
	DuplicateEvery int64
	// Attempts bounds how often one call is tried; default 50.
	Attempts int
	// Pause is the wait after a failure without Retry-After; default 100 ms, doubling to 5 s.
	Pause time.Duration
	// Wait waits; nil = by the clock.
	Wait func(ctx context.Context, d time.Duration) error
}

// Stats count since the start.
type Stats struct {
	// Calls that were taken, with the duplicates; Entries of Send, without.
	Calls, Entries, Duplicates, Retries int64
}

// Warehouse sends entries. Safe for concurrent use; entries of one Send keep their order.
type Warehouse struct {
	cfg                                        Config
	calls, entries, duplicates, retries, batch atomic.Int64
}

const maxPause = 5 * time.Second

// New makes a warehouse.
func New(cfg Config) (*Warehouse, error) {
	if cfg.URL == "" || cfg.Secret == "" {
		return nil, errors.New("warehouse simulator: it needs an address and a secret")
	}
	cfg.BatchSize = cmp.Or(cfg.BatchSize, 200)
	if cfg.BatchSize < 1 || cfg.BatchSize > warehouse.MaxEntries {
		return nil, fmt.Errorf("warehouse simulator: batches of %d entries: use 1 to %d", cfg.BatchSize, warehouse.MaxEntries)
	}
	cfg.Attempts = cmp.Or(cfg.Attempts, 50)
	cfg.Pause = cmp.Or(cfg.Pause, 100*time.Millisecond)
	cfg.HTTP = cmp.Or(cfg.HTTP, http.DefaultClient)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Wait == nil {
		cfg.Wait = wait
	}
	return &Warehouse{cfg: cfg}, nil
}

// Send sends entries, in calls of BatchSize, and returns when all were taken. An error names
// the first entry of the call that was not; those before it were taken.
func (w *Warehouse) Send(ctx context.Context, entries ...Entry) error {
	for len(entries) > 0 {
		n := min(len(entries), w.cfg.BatchSize)
		body, err := encode(entries[:n])
		if err != nil {
			return fmt.Errorf("encoding entry %s and the %d after it: %w", entries[0].ID, n-1, err)
		}
		number := w.batch.Add(1)
		times := 1
		if every := w.cfg.DuplicateEvery; every > 0 && number%every == 0 {
			times = 2
		}
		for i := range times {
			if err := w.deliver(ctx, body, number); err != nil {
				return fmt.Errorf("sending entry %s and the %d after it: %w", entries[0].ID, n-1, err)
			}
			w.calls.Add(1)
			w.duplicates.Add(int64(i))
		}
		w.entries.Add(int64(n))
		entries = entries[n:]
	}
	return nil
}

// Post sends one call with a body of the caller's own, and returns when it was taken.
func (w *Warehouse) Post(ctx context.Context, body []byte) error {
	if err := w.deliver(ctx, body, w.batch.Add(1)); err != nil {
		return err
	}
	w.calls.Add(1)
	return nil
}

// Stats are the counts so far.
func (w *Warehouse) Stats() Stats {
	return Stats{Calls: w.calls.Load(), Entries: w.entries.Load(), Duplicates: w.duplicates.Load(), Retries: w.retries.Load()}
}

func encode(entries []Entry) ([]byte, error) {
	utc := make([]Entry, len(entries))
	for i, e := range entries {
		e.OccurredAt = e.OccurredAt.UTC()
		utc[i] = e
	}
	if len(utc) == 1 {
		return json.Marshal(utc[0])
	}
	return json.Marshal(struct {
		Entries []Entry `json:"entries"`
	}{utc})
}

// deliver tries one call until it is taken or refused for good.
func (w *Warehouse) deliver(ctx context.Context, body []byte, number int64) error {
	pause := w.cfg.Pause
	for attempt := 1; ; attempt++ {
		again, err := w.attempt(ctx, body, number)
		if err == nil {
			return nil
		}
		if again < 0 || attempt == w.cfg.Attempts || ctx.Err() != nil {
			return fmt.Errorf("attempt %d: %w", attempt, err)
		}
		w.retries.Add(1)
		if err := w.cfg.Wait(ctx, max(again, pause)); err != nil {
			return err
		}
		pause = min(2*pause, maxPause)
	}
}

// attempt makes one call. again is negative when trying again is of no use, otherwise the
// wait that the other side asked for.
func (w *Warehouse) attempt(ctx context.Context, body []byte, number int64) (again time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return -1, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(warehouse.SignatureHeader, warehouse.Sign(w.cfg.Secret, w.cfg.Now(), body))
	req.Header.Set(warehouse.DeliveryHeader, "call-"+strconv.FormatInt(number, 10))
	resp, err := w.cfg.HTTP.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	// Read to the end, so that the connection can be used again.
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if resp.StatusCode == http.StatusOK {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	err = fmt.Errorf("HTTP %d: %s", resp.StatusCode, bytes.TrimSpace(answer))
	if resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusRequestTimeout {
		return -1, err
	}
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	return time.Duration(max(seconds, 0)) * time.Second, err
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
