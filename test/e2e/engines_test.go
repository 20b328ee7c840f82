package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/helloword/crossdock/cmd/crossdock/app"
	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/internal/services"
	"github.com/helloword/crossdock/internal/testkit"
	"github.com/helloword/crossdock/schemas"
)

// The engines as production has them: encrypted and with a log-in, Redis as a cluster, and
// behind Sentinel. Each is a real server on loopback, and a market trades on it.

// real fetches the engines, or skips.
func real(t *testing.T) {
	t.Helper()
	if !testkit.Required() {
		t.Skip("NOTICE: not tried on the real engines: set REQUIRE_SERVICES=1")
	}
	if err := services.Install(t.Context(), "", t.Output()); err != nil {
		t.Fatal(err)
	}
}

// TestSecuredEngines: Kafka takes TLS and SCRAM-SHA-512 only, Redis TLS and one ACL user that
// may do what the runbook says and nothing else.
func TestSecuredEngines(t *testing.T) {
	real(t)
	s := engines(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	const password = "correct-horse-battery"
	secure := certificate(t)
	secure.Username, secure.Password = "crossdock", password
	secure.Rights = rights(t, schemas.Scope{Tenant: "dev", Environment: schemas.Test})
	k, err := services.StartKafka(ctx, services.Config{Dir: t.TempDir(), DieWithParent: true, Secure: secure})
	if err != nil {
		t.Fatal(err)
	}
	stops(t, k)
	r, err := services.StartRedis(ctx, services.Config{Dir: t.TempDir(), DieWithParent: true, Secure: secure})
	if err != nil {
		t.Fatal(err)
	}
	stops(t, r.Process)
	t.Setenv("CROSSDOCK_E2E_PASSWORD", password)
	t.Setenv("CROSSDOCK_E2E_WRONG", password+"!")
	s.kafka, s.redis = k.Addr(), r.Addr()
	keys := func(secret string) {
		tls := fmt.Sprintf("tls: {enabled: true, ca_file: %q}", secure.CAFile)
		s.kafkaKeys = fmt.Sprintf(", %s, sasl: {mechanism: SCRAM-SHA-512, username: crossdock, password: \"env:%s\"}", tls, secret)
		s.redisKeys = fmt.Sprintf(", %s, username: crossdock, password: \"env:%s\"", tls, secret)
	}

	// With another password the first answer says what to look at, and no password.
	keys("CROSSDOCK_E2E_WRONG")
	t.Setenv("CROSSDOCK_E2E_BUYER", strings.Repeat("k", 40))
	file := filepath.Join(t.TempDir(), "crossdock.yaml")
	if err := os.WriteFile(file, []byte(s.settings("127.0.0.1:0")), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := app.Open(ctx, cfg, "test", slog.New(slog.NewTextHandler(s.logs, nil))); err == nil {
		a.Close()
		t.Error("a wrong password opens")
	} else if !strings.Contains(err.Error(), "check user and password") || strings.Contains(err.Error(), password) {
		t.Errorf("a wrong password: %v", err)
	}

	keys("CROSSDOCK_E2E_PASSWORD")
	m := s.market(ctx, t, "shopify", "woocommerce")
	for _, c := range m.app.Check(ctx) {
		if !c.OK && (strings.HasPrefix(c.Subject, "kafka") || strings.HasPrefix(c.Subject, "redis")) {
			t.Errorf("crossdock check: %s: %s (%s)", c.Subject, c.Detail, c.Advice)
		}
	}
	m.sellEverywhere(ctx, t)
	if strings.Contains(string(s.logs.Bytes()), password) {
		t.Error("the password stands in the log")
	}
}

// TestRedisCluster: three masters, each with a part of the slots. What one script or transaction
// touches lies together, and what does not is spread.
func TestRedisCluster(t *testing.T) {
	real(t)
	s := engines(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var nodes []*redis.Client
	var addrs, buses []string
	for range 3 {
		_, bus, _ := strings.Cut(freeAddress(t), ":")
		r, err := services.StartRedis(ctx, services.Config{Dir: t.TempDir(), DieWithParent: true, Options: []string{
			"--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "5000",
		}})
		if err != nil {
			t.Fatal(err)
		}
		stops(t, r.Process)
		c := redis.NewClient(&redis.Options{Addr: r.Addr()})
		defer c.Close()
		nodes, addrs, buses = append(nodes, c), append(addrs, r.Addr()), append(buses, bus)
	}
	const slots = 16384
	host, port, _ := strings.Cut(addrs[0], ":")
	for i, c := range nodes {
		if err := c.Do(ctx, "cluster", "addslotsrange", i*slots/3, (i+1)*slots/3-1).Err(); err != nil {
			t.Fatal(err)
		}
		if err := c.Do(ctx, "cluster", "meet", host, port, buses[0]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s.eventually(ctx, t, "the cluster to be whole", func() string {
		for _, c := range nodes {
			info, err := c.ClusterInfo(ctx).Result()
			if err != nil || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
				return fmt.Sprintf("%s %v", info, err)
			}
		}
		return ""
	})
	s.redis = strings.Join(addrs, ",")
	m := s.market(ctx, t, "shopify", "woocommerce")
	m.sellEverywhere(ctx, t)
	for i, c := range nodes {
		if n, err := c.DBSize(ctx).Result(); err != nil || n == 0 {
			t.Errorf("node %d holds %d keys (%v): nothing is spread", i, n, err)
		}
	}
}

// TestRedisSentinel: the master dies while shops sell; Sentinel makes the replica master, the
// rooms read again what it did not get, and nothing is lost or counted twice.
func TestRedisSentinel(t *testing.T) {
	real(t)
	s := engines(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	master, err := services.StartRedis(ctx, services.Config{Dir: t.TempDir(), DieWithParent: true})
	if err != nil {
		t.Fatal(err)
	}
	stops(t, master.Process)
	host, port, _ := strings.Cut(master.Addr(), ":")
	replica, err := services.StartRedis(ctx, services.Config{Dir: t.TempDir(), DieWithParent: true, Options: []string{"--replicaof", host, port}})
	if err != nil {
		t.Fatal(err)
	}
	stops(t, replica.Process)
	second := redis.NewClient(&redis.Options{Addr: replica.Addr()})
	defer second.Close()
	s.eventually(ctx, t, "the replica to follow", func() string {
		info, err := second.Info(ctx, "replication").Result()
		if err != nil || !strings.Contains(info, "master_link_status:up") {
			return fmt.Sprint(info, err)
		}
		return ""
	})
	t.Setenv("CROSSDOCK_E2E_SENTINEL", watchword)
	s.redis, s.redisKeys = s.sentinel(ctx, t, host, port), `, master: main, sentinel_password: "env:CROSSDOCK_E2E_SENTINEL"`
	m := s.market(ctx, t, "shopify", "woocommerce")
	m.sellEverywhere(ctx, t)
	if err := master.Kill(); err != nil {
		t.Fatal(err)
	}
	m.sellEverywhere(ctx, t)
	if info, err := second.Info(ctx, "replication").Result(); err != nil || !strings.Contains(info, "role:master") {
		t.Errorf("the replica was not made master: %s %v", info, err)
	}
}

// watchword is what the sentinel asks for.
const watchword = "halt-who-goes-there"

// sentinel starts one that watches a master, and returns its address.
func (s *stage) sentinel(ctx context.Context, t *testing.T, host, port string) string {
	t.Helper()
	addr := freeAddress(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf(`bind 127.0.0.1
port %s
requirepass %s
sentinel monitor main %s %s 1
sentinel down-after-milliseconds main 1000
sentinel failover-timeout main 5000
`, addr[strings.LastIndexByte(addr, ':')+1:], watchword, host, port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil { // it keeps in it what it learns
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "redis-server", conf, "--sentinel")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	c := redis.NewSentinelClient(&redis.Options{Addr: addr, Password: watchword})
	defer c.Close()
	s.eventually(ctx, t, "the sentinel to know the replica", func() string {
		known, err := c.Replicas(ctx, "main").Result()
		if err != nil || len(known) != 1 {
			return fmt.Sprintf("%v %v", known, err)
		}
		return ""
	})
	return addr
}

// rights are those that docs/runbook.md gives the ACL user, for the keys of a scope.
func rights(t *testing.T, scope schemas.Scope) []string {
	t.Helper()
	book, err := os.ReadFile(filepath.Join("..", "..", "docs", "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(book)) {
		if _, rest, found := strings.Cut(line, "ACL SETUSER crossdock on >PASSWORD "); found {
			words := strings.Fields(rest)
			if words[0] != "~acme.production.*" {
				t.Fatalf("docs/runbook.md gives the keys %q", words[0])
			}
			return append([]string{"~" + scope.Key("*")}, words[1:]...)
		}
	}
	t.Fatal("docs/runbook.md has no line ACL SETUSER crossdock on >PASSWORD …")
	return nil
}

// certificate makes an authority and what it signs for loopback.
func certificate(t *testing.T) *services.Secure {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "engines of a test"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := write("cert.pem", "CERTIFICATE", cert)
	return &services.Secure{CertFile: ca, CAFile: ca, KeyFile: write("key.pem", "PRIVATE KEY", private)}
}

// stops an engine when the test is over, and after the program that a later step starts: that ends
// with what it took, and waits for Kafka to take it.
func stops(t *testing.T, p *services.Process) {
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
}
