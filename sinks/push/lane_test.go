package push

import (
	"container/heap"
	"testing"
	"time"
)

// TestIncreasesDoNotStarve: decreases that never end leave one place in ten to increases, but only
// to those that have waited long, and only in calls that have the room.
func TestIncreasesDoNotStarve(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		batch, urgent, calm int
		waited              time.Duration
		failures            int
		wantUrgent, want    int
	}{
		"decreases alone":         {batch: 50, urgent: 80, wantUrgent: 50, want: 50},
		"a moment is not long":    {batch: 50, urgent: 80, calm: 20, waited: longEnough - 1, wantUrgent: 50, want: 50},
		"long enough":             {batch: 50, urgent: 80, calm: 20, waited: longEnough, wantUrgent: 45, want: 50},
		"few increases":           {batch: 50, urgent: 80, calm: 2, waited: time.Hour, wantUrgent: 48, want: 50},
		"few decreases":           {batch: 50, urgent: 10, calm: 60, waited: time.Hour, wantUrgent: 10, want: 50},
		"a small call":            {batch: 3, urgent: 9, calm: 9, waited: time.Hour, wantUrgent: 2, want: 3},
		"one at a time":           {batch: 1, urgent: 9, calm: 9, waited: time.Hour, wantUrgent: 1, want: 1},
		"one that tries the ice":  {batch: 50, urgent: 9, calm: 9, waited: time.Hour, failures: 1, wantUrgent: 1, want: 1},
		"increases alone, waited": {batch: 50, calm: 60, waited: time.Hour, want: 50},
	} {
		t.Run(name, func(t *testing.T) {
			l := &lane{batch: tc.batch, worker: worker{failures: tc.failures}}
			for i := range tc.urgent + tc.calm {
				g := &listing{holding: holding{part: new(partition), ready: now}, urgent: i < tc.urgent}
				if g.urgent {
					heap.Push(&l.urgent, g)
				} else {
					g.ready = now.Add(-tc.waited)
					heap.Push(&l.calm, g)
				}
			}
			batch, _ := l.pick(now)
			urgent := 0
			for _, g := range batch {
				if g.urgent {
					urgent++
				}
			}
			if urgent != tc.wantUrgent || len(batch) != tc.want {
				t.Errorf("%d decreases among %d, want %d among %d", urgent, len(batch), tc.wantUrgent, tc.want)
			}
		})
	}
}
