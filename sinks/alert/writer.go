package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
)

// Deps is what a Writer is handed.
type Deps struct {
	Log  *slog.Logger
	HTTP *http.Client
	Now  func() time.Time
	// Sent, when set, is told of every message, with its channel ("webhook", "mail").
	Sent func(channel string, notifications int, err error)
}

// Writer tells people of facts. It may be called concurrently.
type Writer struct {
	cfg      Config
	deps     Deps
	channels []*channel
}

var _ stream.BatchWriter = (*Writer)(nil)

// New makes a Writer. It validates and connects to nobody.
func New(cfg Config, deps Deps) (*Writer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.HTTP == nil || deps.Now == nil {
		return nil, errors.New("alert: an HTTP client and a clock are needed")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	w := &Writer{cfg: cfg.withDefaults(), deps: deps}
	if cfg.Webhook.URL != "" {
		w.channels = append(w.channels, newChannel("webhook", w.cfg, w.counted("webhook", w.sendWebhook)))
	}
	if cfg.Mail.Server != "" {
		w.channels = append(w.channels, newChannel("mail", w.cfg, w.counted("mail", w.sendMail)))
	}
	return w, nil
}

func (w *Writer) counted(name string, send func(context.Context, string, []Notification) error) func(context.Context, string, []Notification) error {
	return func(ctx context.Context, id string, ns []Notification) error {
		err := send(ctx, id, ns)
		if w.deps.Sent != nil {
			w.deps.Sent(name, len(ns), err)
		}
		return err
	}
}

// Topics are what people are told of.
func (w *Writer) Topics() []schemas.Topic { return Topics() }

// Topics are what people are told of.
func Topics() []schemas.Topic {
	all := []schemas.Topic{schemas.Alerts, schemas.StockAlarms}
	for _, s := range schemas.Stages {
		all = append(all, schemas.DeadLetters(s))
	}
	return all
}

// Write returns after everything that is due has been taken by every channel. An error other
// than *stream.RejectedError is transient: what a channel took is not told there again when the
// batch comes back.
func (w *Writer) Write(ctx context.Context, b *stream.Batch) error {
	var facts []fact
	var rejected []stream.Rejected
	for i, r := range b.Records {
		f, err := readFact(b.Topic, r)
		if err != nil {
			rejected = append(rejected, stream.Rejected{Index: i, Err: fmt.Errorf("%s/%d@%d: %w", b.Topic, b.Partition, r.Offset, err)})
			continue
		}
		if f.severity.rank() < w.cfg.MinSeverity.rank() {
			f.kind = "" // told to nobody; what it clears counts
		}
		facts = append(facts, f)
	}
	partition := fmt.Sprintf("%s/%d", b.Topic, b.Partition)
	var errs []error
	for _, c := range w.channels {
		errs = append(errs, c.tell(ctx, partition, b.Token, b.Last, facts, w.deps.Now()))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if len(rejected) > 0 {
		return &stream.RejectedError{Records: rejected}
	}
	return nil
}

// Run tells the counts of windows that have ended, until ctx ends. Counts of windows still open
// are lost then; what they count was told when the window began.
func (w *Writer) Run(ctx context.Context) error {
	tick := time.NewTicker(max(w.cfg.Window/4, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			for _, c := range w.channels {
				if err := c.flush(ctx, w.deps.Now()); err != nil && ctx.Err() == nil {
					// The counts stay and are tried at the next tick.
					w.deps.Log.Warn("telling the counts of alerts failed", "channel", c.name, "error", err)
				}
			}
		}
	}
}
