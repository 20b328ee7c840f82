package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/internal/telemetry"
)

// reload is how a running process follows its configuration file: what changes live is taken
// up, all of it or nothing; what needs a restart is named; a wrong file changes nothing.
type reload struct {
	path    string
	hup     <-chan os.Signal
	every   time.Duration
	metrics *reloadMetrics

	mu sync.Mutex
	// applied is what holds now of the live keys; nil: what the process began with.
	applied *config.Config
}

type reloadMetrics struct {
	failures      prometheus.Counter
	last, restart prometheus.Gauge
}

func newReloadMetrics(reg prometheus.Registerer) (*reloadMetrics, error) {
	m := &reloadMetrics{
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "crossdock_config_reload_failures_total", Help: "Changed configurations that were refused, or could not be taken up yet; the old one stays.",
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "crossdock_config_last_reload_timestamp_seconds", Help: "When the configuration was last taken up: at the start, or from a changed file.",
		}),
		restart: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "crossdock_config_restart_needed", Help: "Keys of the file whose change waits for a restart; the log names them.",
		}),
	}
	return m, errors.Join(reg.Register(m.failures), reg.Register(m.last), reg.Register(m.restart))
}

func (m *reloadMetrics) done(restart int) {
	m.last.Set(float64(time.Now().UnixMilli()) / 1000)
	m.restart.Set(float64(restart))
}

// LookEvery is how often the configuration file is looked at.
const LookEvery = 3 * time.Second

// Follow makes Run look at the configuration file every so often, and at each signal. The
// content counts, not the time: a mounted ConfigMap changes by a symbolic link.
func (a *App) Follow(hup <-chan os.Signal, every time.Duration) {
	a.reload.path, a.reload.hup, a.reload.every = a.Config.Path(), hup, every
}

// watchConfig follows the file until ctx ends.
func (a *App) watchConfig(ctx context.Context) {
	w := watch{seen: a.Config.Sum(), found: a.Config.Sum()}
	tick := time.NewTicker(a.reload.every)
	defer tick.Stop()
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-a.reload.hup:
			asked = true
		case <-tick.C:
		}
		a.look(ctx, &w, asked)
	}
}

// watch is what is known of the file.
type watch struct {
	seen    config.Sum // of what was taken up or refused last
	found   config.Sum // at the last look
	missing int        // looks in a row that could not read it
	again   bool       // what was seen could not be taken up yet
}

// look reads the file. Without being asked, only a content that two looks found is taken up:
// an editor may still be writing, and half a file can be a valid one.
func (a *App) look(ctx context.Context, w *watch, asked bool) {
	b, err := os.ReadFile(a.reload.path)
	if err != nil {
		// Between removing and renaming there is a moment without a file.
		if w.missing++; asked || w.missing == 2 {
			a.refused(fmt.Errorf("reading the configuration: %w", err))
		}
		return
	}
	w.missing = 0
	sum := config.SumOf(b)
	settled := sum == w.found
	w.found = sum
	if !asked && (!settled || sum == w.seen && !w.again) {
		return
	}
	w.seen, w.again = sum, false
	next, err := config.Parse(a.reload.path, b)
	if err != nil {
		a.refused(err)
		return
	}
	if err := a.Reload(ctx, next); err != nil && ctx.Err() == nil {
		w.again = true
		a.refused(err)
	}
}

func (a *App) refused(err error) {
	a.reload.metrics.failures.Inc()
	a.Log.Error("the changed configuration is not taken up: the old one stays", "error", err)
}

// rulesTimeout bounds how long Kafka may take to acknowledge changed rules.
const rulesTimeout = 15 * time.Second

// Reload takes up what a running process can of a validated configuration. An error means that
// nothing changed and that the same may succeed later: an engine is away.
func (a *App) Reload(ctx context.Context, next *config.Config) error {
	a.reload.mu.Lock()
	defer a.reload.mu.Unlock()
	old := a.applied()
	var changed, restart []string
	for _, key := range config.Diff(old, next) {
		if config.Live(key) && a.known(key) {
			changed = append(changed, key)
		}
	}
	for _, key := range config.Diff(a.Config, next) {
		if !config.Live(key) {
			restart = append(restart, key)
		}
	}
	// What can fail comes first.
	if a.catalog && slices.ContainsFunc(changed, func(key string) bool { return key == "stock.policies" || key == "catalog.mappings" }) {
		ctx, cancel := context.WithTimeout(ctx, rulesTimeout)
		defer cancel()
		if err := a.sendRules(ctx, old, next); err != nil {
			return err
		}
	}
	if err := a.takeUp(next); err != nil {
		return err
	}
	a.reload.applied = next
	a.reload.metrics.done(len(restart))
	if len(changed) > 0 {
		a.Log.Info("the configuration was taken up", "changed", strings.Join(changed, ", "))
	}
	if len(restart) > 0 {
		a.Log.Warn("some of the configuration waits", "detail", "needs a restart: "+strings.Join(restart, ", "))
	}
	if len(changed)+len(restart) == 0 {
		a.Log.Info("the configuration is as it was")
	}
	return nil
}

// takeUp hands a configuration to what runs here. It was validated: an error is a mistake of
// ours.
func (a *App) takeUp(next *config.Config) error {
	var errs []error
	if a.Poller != nil {
		errs = append(errs, a.Poller.Reload(a.pollConfig(next)))
	}
	if a.push != nil {
		errs = append(errs, a.push.Reload(next.PushConfig()))
	}
	if a.alert != nil {
		errs = append(errs, a.alert.Reload(next.AlertConfig()))
	}
	if a.Level != nil {
		errs = append(errs, telemetry.SetLevel(a.Level, next.Telemetry.LogLevel))
	}
	a.tracer.SetRatio(next.Telemetry.Traces.SampleRatio)
	return errors.Join(errs...)
}

// applied is what holds of the live keys. reload.mu is held.
func (a *App) applied() *config.Config {
	if a.reload.applied != nil {
		return a.reload.applied
	}
	return a.Config
}

// known reports whether a key is of a connection that runs here, or of none: those of a
// connection that waits for a restart change nothing.
func (a *App) known(key string) bool {
	rest, ok := strings.CutPrefix(key, "connections.")
	if !ok {
		return true
	}
	name, _, _ := strings.Cut(rest, ".")
	_, ok = a.Config.Connections[name]
	return ok
}
