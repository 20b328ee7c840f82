package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/helloword/crossdock/cmd/crossdock/app"
	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/schemas"
)

// settings is the part of a configuration that says which engines, and how fast: polls come
// when a test asks for them. CROSSDOCK_E2E_BUYER must be set.
func (s *stage) settings(webhook string) string {
	return fmt.Sprintf(`tenant: dev
environment: test
kafka: {brokers: [%q]%s, replicas: 1, min_in_sync: 0, partitions: {wide: 2, narrow: 1}}
redis: {addrs: [%s]%s}
clickhouse: {addrs: [%q], compression: none, buyer_key: "env:CROSSDOCK_E2E_BUYER", batch_age: 200ms}
webhook: {listen: %q}
telemetry: {listen: ""}
poll: {interval: 1h, overlap: 5s, settle: 1ms}
`, s.kafka, s.kafkaKeys, quoted(s.redis), s.redisKeys, s.clickhouse, webhook)
}

// program runs every role on a configuration, as a person would write it, until stop.
func (s *stage) program(ctx context.Context, t *testing.T, yaml string) (a *app.App, stop func()) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "crossdock.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, yaml)
	}
	log := slog.New(slog.NewTextHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelInfo}))
	if a, err = app.Open(ctx, cfg, "test", log); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Producer.ApplyTopics(ctx, schemas.Topics(), cfg.Layout()); err != nil {
		a.Close()
		t.Fatal(err)
	}
	run, cancel := context.WithCancel(ctx)
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- a.Run(run, nil, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		cancel()
		a.Close()
		t.Fatal(err)
	}
	return a, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		a.Close()
	}
}

// quoted makes a list of YAML of addresses with commas between them.
func quoted(addrs string) string { return `"` + strings.ReplaceAll(addrs, ",", `", "`) + `"` }
