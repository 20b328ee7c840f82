package embedded

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// BrokerConfig says where the broker keeps its topics and where it listens.
type BrokerConfig struct {
	Dir  string // "" keeps everything in memory, gone at Close
	Addr string // loopback host:port; "" or port 0 chooses a free port
	// RetentionBytes caps each partition of every topic that names no retention
	// of its own and is not compacted. 0 means 512 MiB, negative no cap.
	RetentionBytes int64
	// CleanEvery is how often compaction and retention run; 0 means ten minutes.
	// The broker stands still while they do.
	CleanEvery time.Duration
	Log        *slog.Logger
}

const defaultRetentionBytes = 512 << 20

// Broker is one Kafka broker in this process (kfake): classic and KIP-848
// groups, idempotent producers, compaction, retention. Topics are never created
// by themselves. Not for transactions that have to outlive a kill -9.
type Broker struct {
	cluster *kfake.Cluster
	addr    string
	lock    *os.File
	stop    chan struct{}
	cleaner sync.WaitGroup
	once    sync.Once
	err     error
}

// NewBroker starts the broker on its data, which it reads back after a restart
// and after a kill -9: topics, records, committed offsets.
func NewBroker(cfg BrokerConfig) (*Broker, error) {
	addr, err := loopback("broker", cfg.Addr)
	if err != nil {
		return nil, err
	}
	if cfg.RetentionBytes == 0 {
		cfg.RetentionBytes = defaultRetentionBytes
	}
	if cfg.CleanEvery <= 0 {
		cfg.CleanEvery = 10 * time.Minute
	}
	log := logger(cfg.Log)
	b := &Broker{stop: make(chan struct{})}
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID("crossdock-embedded"),
		kfake.WithLogger(kfakeLog{log}),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) { return net.Listen(network, addr) }),
		kfake.BrokerConfigs(map[string]string{"log.retention.bytes": strconv.FormatInt(max(cfg.RetentionBytes, -1), 10)}),
	}
	if cfg.Dir != "" {
		if b.lock, err = lockDir("broker", cfg.Dir); err != nil {
			return nil, err
		}
		opts = append(opts, kfake.DataDir(filepath.Join(cfg.Dir, "kafka")))
	}
	b.cluster, err = kfake.NewCluster(opts...)
	if err != nil {
		if b.lock != nil {
			_ = b.lock.Close()
		}
		return nil, fmt.Errorf("embedded broker: starting on %s: %w", addr, err)
	}
	b.addr = b.cluster.ListenAddrs()[0]
	b.cluster.ControlKey(int16(kmsg.CreateTopics), keepCompacted)
	b.cluster.ControlKey(int16(kmsg.IncrementalAlterConfigs), keepCompacted)
	// kfake has a ticker of its own, but starts it when a topic is created and
	// not when topics are read back from disk.
	b.cleaner.Go(func() {
		tick := time.NewTicker(cfg.CleanEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				b.cluster.Compact()
			case <-b.stop:
				return
			}
		}
	})
	log.Info("embedded Kafka broker started: for development, not for production", "addr", b.addr, "dir", cfg.Dir)
	return b, nil
}

// Addr is the host:port to give to clients as seed.
func (b *Broker) Addr() string { return b.addr }

// Close stops the broker and writes down what it keeps.
func (b *Broker) Close() error {
	b.once.Do(func() {
		close(b.stop)
		b.cleaner.Wait()
		b.cluster.Close()
		if b.lock != nil {
			b.err = b.lock.Close()
		}
	})
	return b.err
}

// keepCompacted switches off deletion by age and size for topics that are only
// compacted. Kafka does not apply retention to those; kfake does, and would
// forget the keys that have not changed for a week.
func keepCompacted(req kmsg.Request) (kmsg.Response, error, bool) {
	off := "-1"
	limits := []string{"retention.ms", "retention.bytes"}
	switch r := req.(type) {
	case *kmsg.CreateTopicsRequest:
		for i := range r.Topics {
			t := &r.Topics[i]
			var policy *string
			for _, c := range t.Configs {
				if c.Name == "cleanup.policy" {
					policy = c.Value
				}
			}
			if !onlyCompacted(policy) {
				continue
			}
			for _, name := range limits {
				c := kmsg.NewCreateTopicsRequestTopicConfig()
				c.Name, c.Value = name, &off
				t.Configs = append(t.Configs, c) // the last one of a name wins
			}
		}
	case *kmsg.IncrementalAlterConfigsRequest:
		for i := range r.Resources {
			res := &r.Resources[i]
			if res.ResourceType != kmsg.ConfigResourceTypeTopic {
				continue
			}
			var policy *string
			for _, c := range res.Configs {
				if c.Name == "cleanup.policy" && c.Op == kmsg.IncrementalAlterConfigOpSet {
					policy = c.Value
				}
			}
			if !onlyCompacted(policy) {
				continue
			}
			for _, name := range limits {
				c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
				c.Name, c.Op, c.Value = name, kmsg.IncrementalAlterConfigOpSet, &off
				res.Configs = append(res.Configs, c)
			}
		}
	}
	return nil, nil, false
}

func onlyCompacted(policy *string) bool {
	return policy != nil && strings.Contains(*policy, "compact") && !strings.Contains(*policy, "delete")
}

// kfakeLog passes on what the broker finds wrong; its chatter stays at debug.
type kfakeLog struct{ log *slog.Logger }

func (l kfakeLog) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.log.Error("embedded broker: " + fmt.Sprintf(format, args...))
	case kfake.LogLevelWarn:
		l.log.Warn("embedded broker: " + fmt.Sprintf(format, args...))
	}
}
