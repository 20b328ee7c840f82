package chaos

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/template"
	"time"

	"github.com/helloword/crossdock/cmd/crossdock/config"
	ecbsim "github.com/helloword/crossdock/connectors/ecb/simulator"
	shopsim "github.com/helloword/crossdock/connectors/shopify/simulator"
	depotsim "github.com/helloword/crossdock/connectors/warehouse/simulator"
	"github.com/helloword/crossdock/internal/services"
	"github.com/helloword/crossdock/internal/testkit"
	"github.com/helloword/crossdock/sinks/clickhouse"
)

// roleNames are the roles that run, in the order of an order's way.
var roleNames = append(slices.Clone(mortal), "alert")

// mortal are those that are killed. What alert tells people is not compared: it only has to keep
// up, as all readers.
var mortal = []string{"webhook", "poll", "translate", "catalog", "orders", "stock", "fx", "commands", "privacy", "push", "clickhouse"}

// rooms keep state in Redis.
var rooms = []string{"translate", "catalog", "orders", "stock", "fx", "commands", "privacy"}

// world is everything around the roles, and the roles.
type world struct {
	t           *testing.T
	dir         string
	bin, config string
	cfg         *config.Config

	kafka  *services.Process
	redis  *services.Redis
	house  *services.Process
	reader *clickhouse.Reader
	roles  map[string]*role

	*trade
}

// secrets of the simulated world, by the names under which the configuration refers to them.
var secrets = map[string]string{
	"CROSSDOCK_CHAOS_SHOP": "a-shop-secret-of-the-chaos-test", "CROSSDOCK_CHAOS_DEPOT": "a-depot-secret-of-the-chaos-test",
	"CROSSDOCK_CHAOS_BUYER": "a-buyer-key-of-the-chaos-test",
}

// newWorld starts engines, simulators and roles; all end with the test.
func newWorld(t *testing.T) *world {
	t.Helper()
	if !testkit.Required() {
		t.Skip("NOTICE: nothing is killed: set REQUIRE_SERVICES=1 to start real engines")
	}
	for name, value := range secrets {
		t.Setenv(name, value)
	}
	w := &world{t: t, dir: t.TempDir(), roles: make(map[string]*role)}
	w.bin = binary(t, w.dir)
	w.engines()
	webhook := free(t)
	w.trade = newTrade(t, "http://"+webhook)
	w.configure(webhook)
	w.command("topics", "apply")
	w.command("migrate")
	var err error
	if w.cfg, err = config.Load(w.config); err != nil {
		t.Fatal(err)
	}
	if w.reader, err = clickhouse.NewReader(w.cfg.ClickHouseConfig()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.reader.Close() })
	t.Cleanup(w.closeRoles)
	for _, name := range roleNames {
		w.roles[name] = w.newRole(name, name)
	}
	return w
}

func (w *world) closeRoles() {
	var wg sync.WaitGroup
	for _, r := range w.roles {
		wg.Go(r.close)
	}
	wg.Wait()
	if w.t.Failed() {
		for _, name := range roleNames {
			w.t.Logf("the end of what %s printed:\n%s", name, tail(w.roles[name].log, 1500))
		}
	}
}

// binary is the program under test.
func binary(t *testing.T, dir string) string {
	t.Helper()
	if bin := os.Getenv("CROSSDOCK_BIN"); bin != "" {
		return bin
	}
	bin := filepath.Join(dir, "crossdock")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/helloword/crossdock/cmd/crossdock").CombinedOutput()
	if err != nil {
		t.Fatalf("building crossdock: %v\n%s", err, out)
	}
	return bin
}

// engines starts the real engines side by side.
func (w *world) engines() {
	t := w.t
	if err := services.Install(t.Context(), "", t.Output()); err != nil {
		t.Fatal(err)
	}
	cfg := func(name string) services.Config {
		return services.Config{Dir: filepath.Join(w.dir, name), Self: w.bin, DieWithParent: true, Log: slog.New(slog.DiscardHandler)}
	}
	var wg sync.WaitGroup
	var errs [3]error
	wg.Go(func() { w.kafka, errs[0] = services.StartKafka(t.Context(), cfg("kafka")) })
	wg.Go(func() { w.redis, errs[1] = services.StartRedis(t.Context(), cfg("redis")) })
	wg.Go(func() { w.house, errs[2] = services.StartClickHouse(t.Context(), cfg("clickhouse")) })
	wg.Wait()
	t.Cleanup(func() {
		// Their data is thrown away: nobody waits for an orderly end.
		if w.kafka != nil {
			_ = w.kafka.Kill()
		}
		if w.redis != nil {
			_ = w.redis.Kill()
		}
		if w.house != nil {
			_ = w.house.Kill()
		}
	})
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

var configuration = template.Must(template.New("").Parse(`
tenant: chaos
environment: test
kafka:
  brokers: ["{{.Kafka}}"]
  replicas: 1
  min_in_sync: 0
  partitions: {wide: 4, narrow: 2}
  session_timeout: 6s
redis:
  addrs: ["{{.Redis}}"]
clickhouse:
  addrs: ["{{.ClickHouse}}"]
  buyer_key: env:CROSSDOCK_CHAOS_BUYER
  batch_age: 400ms
webhook:
  listen: "{{.Webhook}}"
poll:
  interval: 2s
  overlap: 10s
  settle: 1s
privacy:
  interval: 1s
push:
  call_timeout: 10s # who was killed at a command keeps others from it for that long, and five seconds
telemetry:
  listen: ""
connections:
{{- range .Shops}}
  {{.Account}}:
    connector: shopify
    allow_loopback: true
    shopify:
      shop: {{.Account}}.myshopify.com
      test_base_url: "{{.URL}}"
      client_id: crossdock
      client_secret: env:CROSSDOCK_CHAOS_SHOP
      currency: {{.Currency}}
      location_id: "{{.Location}}"
      page_size: 100
      nested_page_size: 50
{{- end}}
  depot:
    connector: warehouse
    warehouse:
      secret: env:CROSSDOCK_CHAOS_DEPOT
  rates:
    connector: ecb
    allow_loopback: true
    ecb:
      base_url: "{{.Rates}}"
`))

func (w *world) configure(webhook string) {
	type shop struct{ Account, URL, Currency, Location string }
	data := struct {
		Kafka, Redis, ClickHouse, Webhook, Rates string
		Shops                                    []shop
	}{Kafka: w.kafka.Addr(), Redis: w.redis.Addr(), ClickHouse: w.house.Addr(), Webhook: webhook, Rates: w.rates}
	for _, sh := range w.shops {
		data.Shops = append(data.Shops, shop{sh.account, sh.url, sh.Config().Currency, fmt.Sprint(sh.Config().LocationID)})
	}
	var b bytes.Buffer
	if err := configuration.Execute(&b, data); err != nil {
		w.t.Fatal(err)
	}
	w.config = filepath.Join(w.dir, "crossdock.yaml")
	if err := os.WriteFile(w.config, b.Bytes(), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// try runs a command of the program and returns what it printed.
func (w *world) try(args ...string) (stdout string, err error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.bin, append(args, "--config", w.config)...)
	cmd.SysProcAttr = dieWithParent()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("crossdock %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(errs.Bytes()))
	}
	return out.String(), nil
}

func (w *world) command(args ...string) string {
	w.t.Helper()
	out, err := w.try(args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// serve gives a handler an address until the test ends.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return "http://" + l.Addr().String()
}

// free is an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// rateHistory has one rate for every working day of the last weeks: the reporting amounts can
// be told without a calendar.
func rateHistory(now time.Time) []byte {
	var b bytes.Buffer
	b.WriteString("Date,USD,GBP,\n")
	for day := now.UTC(); now.Sub(day) < 21*24*time.Hour; day = day.AddDate(0, 0, -1) {
		if wd := day.Weekday(); wd != time.Saturday && wd != time.Sunday {
			fmt.Fprintf(&b, "%s,1.1,0.85,\n", day.Format(time.DateOnly))
		}
	}
	return b.Bytes()
}

// newTrade opens the shops, the warehouse and the rate source.
func newTrade(t *testing.T, webhook string) *trade {
	t.Helper()
	tr := &trade{t: t, shelf: make(map[string]int64), gate: &gate{to: webhook, taken: make(map[string]int)}}
	gateway := serve(t, tr.gate)
	for i, account := range []string{"shop-uk", "shop-de"} {
		sim := shopsim.New(shopsim.Config{
			Shop: account + ".myshopify.com", Name: account, Currency: []string{"GBP", "EUR"}[i],
			ClientID: "crossdock", ClientSecret: secrets["CROSSDOCK_CHAOS_SHOP"], Seed: uint64(i + 1), LocationID: int64(1000 + i),
			MaximumAvailable: 1e6, RestoreRate: 1e6, MaxQueryCost: 1e6,
			// Eight retries in fourteen seconds.
			RetryScale: 1e-3, Workers: 4, Queue: 1024, KeepSubscriptions: true,
			Faults: shopsim.Faults{
				Duplicate: 0.1, Reorder: 0.2, ReorderBy: 400 * time.Millisecond, Drop: 0.05, Late: 0.05, LateBy: time.Second,
				FailAfter: 0.03, FailBefore: 0.02,
			},
		})
		t.Cleanup(sim.Close)
		l := newLedger(sim, account)
		sim.Subscribe(webhook+"/webhooks/shopify/"+account, "orders/create", "orders/updated", "orders/cancelled", "refunds/create", "products/create", "products/update")
		sim.Subscribe(gateway+"/webhooks/shopify/"+account, topicRedact, topicData)
		tr.shops = append(tr.shops, &shop{ledger: l, url: serve(t, l)})
	}
	var err error
	if tr.depot, err = depotsim.New(depotsim.Config{
		URL: webhook + "/webhooks/warehouse/depot", Secret: secrets["CROSSDOCK_CHAOS_DEPOT"], BatchSize: 20, DuplicateEvery: 3, Attempts: 1000,
	}); err != nil {
		t.Fatal(err)
	}
	bank, err := ecbsim.New(rateHistory(time.Now()), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	tr.rates = serve(t, bank)
	return tr
}
