package dev

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// say prints a line for the person who watches.
func (s *stage) say(format string, args ...any) {
	fmt.Fprintf(s.opts.Progress, "\r\033[K"[:clearLen(s.opts.Live)]+format+"\n", args...)
}

// clearLen: only a terminal's line is cleared.
func clearLen(live bool) int {
	if live {
		return 4
	}
	return 0
}

// drain waits until every reader, or those of the groups named, has handled everything, and
// stays so for a moment: nothing is on its way from one to the next.
func (s *stage) drain(ctx context.Context, groups ...string) error {
	type reading struct{ end, behind int64 }
	var last reading
	quiet := 0
	for {
		lags, err := s.app.Lags(ctx)
		if err != nil {
			return err
		}
		var now reading
		for _, l := range lags {
			if len(groups) == 0 || slices.Contains(groups, l.Group) {
				now.end += l.End
				now.behind += l.Records
			}
		}
		if now.behind == 0 && now == last {
			quiet++
		} else {
			quiet = 0
		}
		if quiet >= 3 {
			return nil
		}
		last = now
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(150 * time.Millisecond):
		}
	}
}

// watch shows the year's progress.
func (y *year) watch(ctx context.Context) (stop func()) { return y.show(ctx, y.progress) }

// watchTrade shows how made-up trade goes.
func (y *year) watchTrade(ctx context.Context) (stop func()) { return y.show(ctx, y.trading) }

// show prints a line until the returned function is called: one that moves on a terminal, a
// new one every ten seconds elsewhere.
func (y *year) show(ctx context.Context, line func(context.Context, time.Duration) (string, error)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	every := 10 * time.Second
	if y.opts.Live {
		every = 300 * time.Millisecond
	}
	began := time.Now()
	wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(every):
			}
			text, err := line(ctx, time.Since(began))
			if err != nil {
				continue // the engines are busy or going down; the next look tells
			}
			if y.opts.Live {
				text = "\r\033[K" + text
			} else {
				text += "\n"
			}
			fmt.Fprint(y.opts.Progress, text)
		}
	})
	return func() {
		cancel()
		wg.Wait()
		if y.opts.Live {
			fmt.Fprint(y.opts.Progress, "\r\033[K")
		}
	}
}

// behind says which readers have work left.
func (s *stage) behind(ctx context.Context) (string, error) {
	lags, err := s.app.Lags(ctx)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, l := range lags {
		if l.Records > 0 {
			parts = append(parts, l.Group+" "+thousands(l.Records))
		}
	}
	if len(parts) == 0 {
		return "all caught up", nil
	}
	return "behind: " + strings.Join(parts, ", "), nil
}

func (y *year) progress(ctx context.Context, since time.Duration) (string, error) {
	behind, err := y.behind(ctx)
	if err != nil {
		return "", err
	}
	played, total := y.played.Load(), max(y.total.Load(), 1)
	const width = 24
	full := int(played * width / total)
	return fmt.Sprintf("%5.1fs  %s%s %s of %s  %s", since.Seconds(),
		strings.Repeat("█", full), strings.Repeat("░", width-full), thousands(played), thousands(total), behind), nil
}

func (y *year) trading(ctx context.Context, since time.Duration) (string, error) {
	behind, err := y.behind(ctx)
	if err != nil {
		return "", err
	}
	f, err := y.reader.Figures(ctx)
	if err != nil {
		return "", err
	}
	var accepted int64
	for _, sh := range y.shops {
		accepted += sh.Stats().PushesAccepted
	}
	return fmt.Sprintf("%6.0fs  placed %s  in ClickHouse %s  worth EUR %s.%02d  stock writes %s  dead letters %d  %s", since.Seconds(),
		thousands(y.played.Load()), thousands(f.Orders), thousands(f.GrossReportingMinor/100), f.GrossReportingMinor%100, thousands(accepted), f.DeadLetters, behind), nil
}

// thousands writes 12345 as 12,345.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// peakRSS is the most memory that the process has had resident, in MB; 0 where the system
// does not tell.
func peakRSS() int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb / 1024
		}
	}
	return 0
}
