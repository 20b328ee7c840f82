package services

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/helloword/crossdock/internal/embedded"
)

// StartKafka starts Apache Kafka as one node that is broker and controller. Both
// group protocols are there; topics are never created by themselves.
func StartKafka(ctx context.Context, cfg Config) (*Process, error) {
	libs, err := kafkaLibs(cfg.Cache)
	if err != nil {
		return nil, fmt.Errorf("starting Kafka: %w: install the services first", err)
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, errors.New("starting Kafka: java is not on the PATH: install a Java runtime, version 17 or newer")
	}
	addr, err := choosePort(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("starting Kafka: %w", err)
	}
	p, err := newProcess("kafka", cfg, addr)
	if err != nil {
		return nil, err
	}
	classpath := filepath.Join(libs, "*")
	properties := filepath.Join(p.dir, "server.properties")
	plain := ""
	p.build = func(ctx context.Context) (*exec.Cmd, error) {
		// The controller's port is known to nobody else, so each start may choose.
		controller, err := choosePort("")
		if err != nil {
			return nil, err
		}
		data := filepath.Join(p.dir, "data")
		lines := kafkaProperties(addr, controller, data)
		if cfg.Secure != nil {
			// The broker itself, and whoever asks whether it is there, has a port of its own.
			if plain, err = choosePort(plain); err != nil {
				return nil, err
			}
			store := filepath.Join(p.dir, "keystore.pem")
			if err := joinFiles(store, cfg.Secure.KeyFile, cfg.Secure.CertFile); err != nil {
				return nil, fmt.Errorf("starting Kafka: %w", err)
			}
			lines = append(lines, securedKafka(addr, plain, controller, store)...)
		}
		lines = append(lines, cfg.Options...)
		if err := os.WriteFile(properties, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			return nil, fmt.Errorf("starting Kafka: %w", err)
		}
		if err := formatKafka(ctx, java, classpath, properties, data, cfg.Secure); err != nil {
			return nil, err
		}
		cmd := exec.Command(java, "-Xmx1g", "-Xms256m", "-XX:+UseG1GC", "-Djava.awt.headless=true",
			"-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
			"-cp", classpath, "kafka.Kafka", properties)
		cmd.Env = append(os.Environ(), cfg.Env...)
		return cmd, nil
	}
	p.ping = func(ctx context.Context) error {
		c, err := kgo.NewClient(kgo.SeedBrokers(cmp.Or(plain, addr)), kgo.RequestRetries(0))
		if err != nil {
			return err
		}
		defer c.Close()
		return c.Ping(ctx) // asks for the cluster's metadata
	}
	return started(p, p.start(ctx))
}

// kafkaProperties is the configuration of the one node. Everything that a
// cluster keeps three times is kept once, and the internal topics are small, so
// that a test need not wait for fifty partitions to be elected.
func kafkaProperties(addr, controller, data string) []string {
	return []string{
		"process.roles=broker,controller",
		"node.id=1",
		"controller.quorum.bootstrap.servers=" + controller,
		"listeners=PLAINTEXT://" + addr + ",CONTROLLER://" + controller,
		"advertised.listeners=PLAINTEXT://" + addr + ",CONTROLLER://" + controller,
		"controller.listener.names=CONTROLLER",
		"inter.broker.listener.name=PLAINTEXT",
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"log.dirs=" + data,
		"auto.create.topics.enable=false",
		"offsets.topic.num.partitions=8",
		"offsets.topic.replication.factor=1",
		"transaction.state.log.num.partitions=4",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"share.coordinator.state.topic.num.partitions=4",
		"share.coordinator.state.topic.replication.factor=1",
		"share.coordinator.state.topic.min.isr=1",
		"group.coordinator.rebalance.protocols=classic,consumer",
		"group.initial.rebalance.delay.ms=0",
		"group.min.session.timeout.ms=1000",
		"group.consumer.min.session.timeout.ms=1000",
		"group.consumer.min.heartbeat.interval.ms=200",
		"controlled.shutdown.enable=true",
	}
}

// securedKafka overrules the listeners: addr takes TLS and SCRAM, plain is the broker's own.
func securedKafka(addr, plain, controller, keystore string) []string {
	return []string{
		"listeners=SASL_SSL://" + addr + ",PLAINTEXT://" + plain + ",CONTROLLER://" + controller,
		"advertised.listeners=SASL_SSL://" + addr + ",PLAINTEXT://" + plain + ",CONTROLLER://" + controller,
		"listener.security.protocol.map=SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"ssl.keystore.type=PEM",
		"ssl.keystore.location=" + keystore,
		"sasl.enabled.mechanisms=SCRAM-SHA-512",
		"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
	}
}

// formatKafka prepares the data folder at its first use.
func formatKafka(ctx context.Context, java, classpath, properties, data string, secure *Secure) error {
	if _, err := os.Stat(filepath.Join(data, "meta.properties")); err == nil {
		return nil
	}
	if err := os.MkdirAll(data, 0o755); err != nil {
		return fmt.Errorf("starting Kafka: %w", err)
	}
	var id [16]byte
	_, _ = rand.Read(id[:])
	id[0] &= 0x7f // an id that begins with '-' would be read as an option
	args := []string{"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", classpath, "kafka.tools.StorageTool", "format", "--standalone",
		"-t", base64.RawURLEncoding.EncodeToString(id[:]), "-c", properties}
	if secure != nil {
		args = append(args, "--add-scram", "SCRAM-SHA-512=[name="+secure.Username+",password="+secure.Password+"]")
	}
	if err := run(ctx, nil, java, args...); err != nil {
		return fmt.Errorf("formatting Kafka's data folder: %w", err)
	}
	return nil
}

// Redis is a Redis server that can be put back to an earlier state.
type Redis struct {
	*Process
	secure *Secure
}

// StartRedis starts redis-server with an append-only file: what it acknowledged
// survives a kill.
func StartRedis(ctx context.Context, cfg Config) (*Redis, error) {
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("starting Redis: redis-server is not on the PATH: install the services first")
	}
	addr, err := choosePort(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("starting Redis: %w", err)
	}
	p, err := newProcess("redis", cfg, addr)
	if err != nil {
		return nil, err
	}
	host, port, _ := strings.Cut(addr, ":")
	p.build = func(context.Context) (*exec.Cmd, error) {
		args := []string{
			"--bind", host, "--port", port, "--dir", p.dir, "--save", "", "--appendonly", "yes",
			// What a test or a benchmark writes is not worth being compacted.
			"--auto-aof-rewrite-min-size", "2gb",
			"--daemonize", "no", "--maxmemory-policy", "noeviction",
		}
		if s := cfg.Secure; s != nil {
			args = append(args, "--port", "0", "--tls-port", port, "--tls-auth-clients", "no",
				"--tls-cert-file", s.CertFile, "--tls-key-file", s.KeyFile, "--tls-ca-cert-file", s.CAFile,
				"--user", "default", "off")
			args = append(append(args, "--user", s.Username, "on", ">"+s.Password), s.Rights...)
		}
		cmd := exec.Command(bin, append(args, cfg.Options...)...)
		cmd.Env = append(os.Environ(), cfg.Env...)
		return cmd, nil
	}
	r := &Redis{p, cfg.Secure}
	p.ping = func(ctx context.Context) error {
		c := r.client()
		defer func() { _ = c.Close() }()
		err := c.Ping(ctx).Err()
		if cfg.Secure != nil && redis.HasErrorPrefix(err, "NOPERM") {
			return nil // it answers, and this user may do less
		}
		return err
	}
	return started(r, p.start(ctx))
}

func (r *Redis) client() *redis.Client {
	o := &redis.Options{Addr: r.addr, MaxRetries: -1, DialTimeout: time.Second}
	if r.secure != nil {
		o.Username, o.Password = r.secure.Username, r.secure.Password
		o.TLSConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // asked only whether it answers
	}
	return redis.NewClient(o)
}

// Snapshot writes the content of this moment to path, for Restore.
func (r *Redis) Snapshot(ctx context.Context, path string) error {
	c := r.client()
	defer func() { _ = c.Close() }()
	if err := c.Save(ctx).Err(); err != nil {
		return fmt.Errorf("snapshot of Redis: %w", err)
	}
	if err := copyFile(filepath.Join(r.dir, "dump.rdb"), path); err != nil {
		return fmt.Errorf("snapshot of Redis: %w", err)
	}
	return nil
}

// Restore stops Redis, puts an earlier snapshot in the place of its data and
// starts it again on the same port: a Redis that has fallen back.
func (r *Redis) Restore(ctx context.Context, path string) error {
	if err := r.Kill(); err != nil {
		return err
	}
	// With an append-only file Redis ignores the dump at start; but the base of
	// such a file may itself be a dump.
	aof := filepath.Join(r.dir, "appendonlydir")
	if err := os.RemoveAll(aof); err != nil {
		return fmt.Errorf("restoring Redis: %w", err)
	}
	if err := os.MkdirAll(aof, 0o755); err != nil {
		return fmt.Errorf("restoring Redis: %w", err)
	}
	if err := copyFile(path, filepath.Join(aof, "appendonly.aof.1.base.rdb")); err != nil {
		return fmt.Errorf("restoring Redis: %w", err)
	}
	for name, text := range map[string]string{
		"appendonly.aof.1.incr.aof": "",
		"appendonly.aof.manifest":   "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n",
	} {
		if err := os.WriteFile(filepath.Join(aof, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("restoring Redis: %w", err)
		}
	}
	return r.start(ctx)
}

// StartClickHouse starts the ClickHouse engine in a process of its own, which is
// the crossdock binary itself.
func StartClickHouse(ctx context.Context, cfg Config) (*Process, error) {
	lib, err := embedded.FindLibrary(cfg.Cache)
	if err != nil {
		return nil, fmt.Errorf("starting ClickHouse: %w: install the services first", err)
	}
	if cfg.Self == "" {
		return nil, errors.New("starting ClickHouse: the path of the crossdock binary is not given")
	}
	addr, err := choosePort(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("starting ClickHouse: %w", err)
	}
	p, err := newProcess("clickhouse", cfg, addr)
	if err != nil {
		return nil, err
	}
	p.build = func(context.Context) (*exec.Cmd, error) {
		cmd := exec.Command(cfg.Self, "embedded", "clickhouse", "--dir", filepath.Join(p.dir, "data"), "--addr", addr, "--library", lib)
		cmd.Env = append(os.Environ(), cfg.Env...)
		return cmd, nil
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	p.ping = func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/ping", nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("/ping answered %s", res.Status)
		}
		return nil
	}
	return started(p, p.start(ctx))
}

// started returns the engine, or nothing if it did not come up.
func started[E any](engine *E, err error) (*E, error) {
	if err != nil {
		return nil, err
	}
	return engine, nil
}

// joinFiles writes files behind each other into a new one that only we may read.
func joinFiles(to string, from ...string) error {
	var all []byte
	for _, f := range from {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		all = append(all, b...)
	}
	return os.WriteFile(to, all, 0o600)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}
