package app

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/ingest/poll"
	"github.com/helloword/crossdock/ingest/webhook"
	"github.com/helloword/crossdock/internal/httpx"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/internal/telemetry"
	"github.com/helloword/crossdock/internal/tokens"
	"github.com/helloword/crossdock/processors/privacy"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/sinks/alert"
	"github.com/helloword/crossdock/sinks/push"
)

// Metric describes one metric of a process.
type Metric struct {
	Name, Help string
	Labels     []string
}

// Metrics describes every metric that the roles register, by letting them register.
func Metrics(log *slog.Logger) ([]Metric, error) {
	reg := &lister{}
	stream.NewMetrics(reg)
	telemetry.RegisterBuild(reg, "")
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:0"})
	defer client.Close()
	scope := schemas.Scope{Tenant: "any", Environment: schemas.Test}
	if _, err := webhook.New(webhook.Config{}, webhook.Deps{Publisher: nobody{}, Log: log, Metrics: reg}); err != nil {
		return nil, err
	}
	if _, err := poll.New(poll.Config{}, poll.Deps{Publisher: nobody{}, Redis: client, Scope: scope, Log: log, Metrics: reg}); err != nil {
		return nil, err
	}
	if _, err := push.New(push.DefaultConfig(), push.Deps{
		Publish: nobody{}, Memory: push.NewRedisMemory(client, scope, log), Commands: push.NewRedisCommands(client, scope, log), Log: log, Now: time.Now, Metrics: reg,
	}); err != nil {
		return nil, err
	}
	if _, err := privacy.NewSweeper(privacy.SweepConfig{Key: []byte("any"), Interval: time.Hour}, privacy.SweepDeps{Metrics: reg}); err != nil {
		return nil, err
	}
	if _, err := alert.New(alert.Config{}, alert.Deps{Log: log, Now: time.Now, HTTP: httpx.NewClient(httpx.Config{}), Metrics: reg}); err != nil {
		return nil, err
	}
	if err := tokens.RegisterMetrics(reg); err != nil {
		return nil, err
	}
	if _, err := newReloadMetrics(reg); err != nil {
		return nil, err
	}
	if _, err := telemetry.NewTracer(telemetry.TraceConfig{}, reg, log); err != nil {
		return nil, err
	}
	return reg.metrics, reg.err
}

// nobody is a Kafka that is not there.
type nobody struct{}

func (nobody) Produce(context.Context, []kafka.Record) error {
	return fmt.Errorf("nothing is produced")
}

// lister is a registerer that only takes note of what is registered.
type lister struct {
	metrics []Metric
	err     error
}

// desc is how client_golang prints a description; it offers no other way to read one.
var desc = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "((?:[^"\\]|\\.)*)"(?:, unit: "[^"]*")?, constLabels: \{[^}]*\}, variableLabels: \{([^}]*)\}\}$`)

func (l *lister) Register(c prometheus.Collector) error {
	ch := make(chan *prometheus.Desc, 64)
	go func() { c.Describe(ch); close(ch) }()
	for d := range ch {
		m := desc.FindStringSubmatch(d.String())
		if m == nil {
			l.err = fmt.Errorf("a metric's description cannot be read: %s", d)
			continue
		}
		var labels []string
		for _, s := range strings.Split(m[3], ",") {
			if s != "" {
				labels = append(labels, s)
			}
		}
		l.metrics = append(l.metrics, Metric{Name: m[1], Help: m[2], Labels: labels})
	}
	return nil
}

func (l *lister) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		_ = l.Register(c) // it keeps its error itself
	}
}

func (l *lister) Unregister(prometheus.Collector) bool { return false }
