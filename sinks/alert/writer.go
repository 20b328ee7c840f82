package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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
	// Metrics is where the counters are registered.
	Metrics prometheus.Registerer
}

// Writer tells people of facts. It may be called concurrently.
type Writer struct {
	deps    Deps
	metrics *metrics
	config  atomic.Pointer[Config]
	// channels by name; replaced as a whole.
	channels atomic.Pointer[[]*channel]
	// changed holds a signal for Run after Reload.
	changed chan struct{}

	mu sync.Mutex
	// counted is the last offset by partition whose fact was counted: a batch that comes again
	// because nobody could be told counts once.
	counted map[string]int64
}

var _ stream.BatchWriter = (*Writer)(nil)

// New makes a Writer. It validates and connects to nobody. Without anybody to tell it counts.
func New(cfg Config, deps Deps) (*Writer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.HTTP == nil || deps.Now == nil || deps.Metrics == nil {
		return nil, errors.New("alert: an HTTP client, a clock and metrics are needed")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	w := &Writer{deps: deps, changed: make(chan struct{}, 1), counted: make(map[string]int64)}
	var err error
	if w.metrics, err = newMetrics(deps.Metrics); err != nil {
		return nil, fmt.Errorf("alert: %w", err)
	}
	w.route(cfg)
	return w, nil
}

// Reload changes whom to tell, and how often, of a running Writer; a configuration that is
// wrong changes nothing. A way that stays keeps what it knows: nothing is told twice for it.
func (w *Writer) Reload(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("reloading: %w", err)
	}
	w.route(cfg)
	select {
	case w.changed <- struct{}{}:
	default: // a signal is waiting already
	}
	return nil
}

// route takes up a configuration.
func (w *Writer) route(cfg Config) {
	cfg = cfg.withDefaults()
	w.config.Store(&cfg)
	var old, all []*channel
	if p := w.channels.Load(); p != nil {
		old = *p
	}
	add := func(name string, set bool, send func(context.Context, string, []Notification) error) {
		if !set {
			return
		}
		for _, c := range old {
			if c.name == name {
				all = append(all, c)
				return
			}
		}
		all = append(all, newChannel(name, w.cfg, w.watched(name, send)))
	}
	add("webhook", cfg.Webhook.URL != "", w.sendWebhook)
	add("mail", cfg.Mail.Server != "", w.sendMail)
	w.channels.Store(&all)
}

func (w *Writer) cfg() *Config { return w.config.Load() }

func (w *Writer) watched(name string, send func(context.Context, string, []Notification) error) func(context.Context, string, []Notification) error {
	return func(ctx context.Context, id string, ns []Notification) error {
		err := send(ctx, id, ns)
		w.metrics.sent(name, err)
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
	var facts, seen []fact
	var rejected []stream.Rejected
	for i, r := range b.Records {
		f, err := readFact(b.Topic, r)
		if err != nil {
			rejected = append(rejected, stream.Rejected{Index: i, Err: fmt.Errorf("%s/%d@%d: %w", b.Topic, b.Partition, r.Offset, err)})
			continue
		}
		seen = append(seen, f)
		if f.severity.rank() < w.cfg().MinSeverity.rank() {
			f.kind = "" // told to nobody; what it clears counts
		}
		facts = append(facts, f)
	}
	partition := fmt.Sprintf("%s/%d", b.Topic, b.Partition)
	w.count(partition, seen)
	var errs []error
	for _, c := range *w.channels.Load() {
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

// count counts the facts of a batch that were not counted before.
func (w *Writer) count(partition string, facts []fact) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, known := w.counted[partition]
	for _, f := range facts {
		if !known || f.offset > last {
			w.metrics.fact(f)
			last, known = f.offset, true
		}
	}
	if known {
		w.counted[partition] = last
	}
}

// Run tells the counts of windows that have ended, until ctx ends. Counts of windows still open
// are lost then; what they count was told when the window began.
func (w *Writer) Run(ctx context.Context) error {
	every := func() time.Duration { return max(w.cfg().Window/4, time.Second) }
	tick := time.NewTicker(every())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.changed:
			tick.Reset(every())
		case <-tick.C:
			for _, c := range *w.channels.Load() {
				if err := c.flush(ctx, w.deps.Now()); err != nil && ctx.Err() == nil {
					// The counts stay and are tried at the next tick.
					w.deps.Log.Warn("telling the counts of alerts failed", "channel", c.name, "error", err)
				}
			}
		}
	}
}
