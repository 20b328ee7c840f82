package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// Options of a run.
type Options struct {
	// Kafka, Redis and ClickHouse (HTTP) are addresses, host:port.
	Kafka, Redis, ClickHouse string
	// Orders that go through the rooms; Known events that Redis remembers at the larger of the
	// two measurements of growth.
	Orders, Known int
	// For how long the parts that run for a time do so.
	For time.Duration
	// Turns of the parts that are measured turn by turn; 0 = three.
	Turns int
	// Only names the parts to run; empty: all.
	Only []string
	// Profile is a folder for a CPU profile of each part; empty: none.
	Profile  string
	Version  string
	Log      *slog.Logger
	Progress io.Writer
}

// Latency in milliseconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// Result is what was measured; 0 for a part that was not run.
type Result struct {
	CopyPerS     float64 `json:"copy_per_s"`
	FirstHopPerS float64 `json:"first_hop_per_s"`
	PipelinePerS float64 `json:"pipeline_per_s"`
	// Ratio of the pipeline to the copy.
	Ratio float64 `json:"ratio"`

	ClickHouseBare  float64 `json:"clickhouse_bare_rows_per_s"`
	ClickHouseSink  float64 `json:"clickhouse_sink_rows_per_s"`
	ClickHouseRatio float64 `json:"clickhouse_ratio"`

	WebhookBare  float64 `json:"webhook_bare_per_s"`
	WebhookPerS  float64 `json:"webhook_per_s"`
	WebhookRatio float64 `json:"webhook_ratio"`

	E2E Latency `json:"e2e_ms"`
	// RSS is the most memory that the process had resident while the pipeline ran, MB.
	RSS int64 `json:"rss_mb"`
	// CostGrowth is the first hop's throughput with many known events, over that with few.
	CostGrowth float64 `json:"cost_growth"`

	Orders     int     `json:"orders"`
	OrderBytes int     `json:"order_bytes"`
	Known      int     `json:"known"`
	CPUs       int     `json:"cpus"`
	Load       string  `json:"load_average"`
	Seconds    float64 `json:"seconds"`
}

// part is one thing that is measured.
type part struct {
	name string
	run  func(*runner, context.Context) error
	// turns: it is measured turn by turn with the others that are, on engines that have done the
	// like before, and the median counts: a machine has other work now and then.
	turns bool
}

const defaultTurns = 3

func parts() []part {
	return []part{
		{"copy", (*runner).copy, true},
		{"first_hop", (*runner).firstHop, true},
		{"pipeline", (*runner).pipeline, true},
		{"growth", (*runner).growth, false},
		{"clickhouse", (*runner).clickhouse, false},
		{"webhook", (*runner).webhook, false},
		{"e2e", (*runner).endToEnd, false},
	}
}

// Parts are the names for Options.Only.
func Parts() (names []string) {
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return names
}

type runner struct {
	Options
	out   Result
	stamp string
	// orders a second, turn by turn
	copied, hopped, piped []float64
}

// Run measures.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Orders < 1 || o.Known < 1 || o.For <= 0 || o.Turns < 0 {
		return nil, errors.New("bench: orders, known and the time of a part must be above 0, and turns not below")
	}
	for _, name := range o.Only {
		if !slices.Contains(Parts(), name) {
			return nil, fmt.Errorf("bench: part %q is not known: use %s", name, strings.Join(Parts(), ", "))
		}
	}
	began := time.Now()
	r := &runner{Options: o, stamp: fmt.Sprintf("%x", began.UnixMilli())}
	r.out = Result{Orders: o.Orders, Known: o.Known, CPUs: runtime.NumCPU(), OrderBytes: meanBytes(o.Orders)}
	var inTurns, once []part
	for _, p := range parts() {
		switch {
		case len(o.Only) > 0 && !slices.Contains(o.Only, p.name):
		case p.turns:
			inTurns = append(inTurns, p)
		default:
			once = append(once, p)
		}
	}
	if len(inTurns) > 0 {
		if err := r.warm(ctx); err != nil {
			return nil, fmt.Errorf("bench: warming up: %w", err)
		}
	}
	for _, p := range append(slices.Repeat(inTurns, cmp.Or(o.Turns, defaultTurns)), once...) {
		if err := p.run(r, ctx); err != nil {
			return nil, fmt.Errorf("bench %s: %w", p.name, err)
		}
	}
	r.out.CopyPerS, r.out.FirstHopPerS, r.out.PipelinePerS = median(r.copied), median(r.hopped), median(r.piped)
	r.out.Ratio = ratio(r.out.PipelinePerS, r.out.CopyPerS)
	r.out.Load = loadAverage()
	r.out.Seconds = time.Since(began).Seconds()
	return &r.out, nil
}

func (r *runner) say(format string, args ...any) { fmt.Fprintf(r.Progress, format+"\n", args...) }

// profiled runs what is measured, with a profile when one is wanted.
func (r *runner) profiled(name string, f func() error) error {
	runtime.GC() // what was made before is not this part's garbage
	if r.Profile == "" {
		return f()
	}
	if err := os.MkdirAll(r.Profile, 0o750); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(r.Profile, name+".pprof"))
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return errors.Join(err, file.Close())
	}
	err = f()
	pprof.StopCPUProfile()
	heap, herr := os.Create(filepath.Join(r.Profile, name+".heap.pprof"))
	if herr != nil {
		return errors.Join(err, file.Close(), herr)
	}
	// As of the last collection while it ran.
	return errors.Join(err, file.Close(), pprof.Lookup("heap").WriteTo(heap, 0), heap.Close())
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// median is 0 of nothing.
func median(figures []float64) float64 {
	if len(figures) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(figures))
	return s[len(s)/2]
}

func perSecond(n int, took time.Duration) float64 { return float64(n) / took.Seconds() }

// loadAverage tells what else the machine did; empty where the system does not say.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	f := strings.Fields(string(b))
	return strings.Join(f[:min(3, len(f))], " ")
}

// residentMB is the process's memory now; 0 where the system does not say.
func residentMB() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(b), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize()) >> 20
}

// peak watches the memory until it is stopped.
func peak(ctx context.Context) (stop func() int64) {
	ctx, cancel := context.WithCancel(ctx)
	most := make(chan int64)
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		m := residentMB()
		for {
			select {
			case <-ctx.Done():
				most <- m
				return
			case <-tick.C:
				m = max(m, residentMB())
			}
		}
	}()
	return func() int64 { cancel(); return <-most }
}
