package stream

import "time"

// expiring remembers which buckets of marks have been given their lifetime, so that Redis is not
// asked about each mark whether its bucket is new. What is forgotten is given it again.
type expiring struct {
	since   time.Time
	periods map[int64]*[dedupBuckets / 64]uint64
}

// What expiring trusts: not longer than a bucket lives, and no more periods than records of one
// time have.
const (
	expiringFor     = 24 * time.Hour
	expiringPeriods = 4
)

// lacks reports whether a bucket may be without a lifetime.
func (e *expiring) lacks(period int64, bucket uint32) bool {
	p := e.periods[period]
	return p == nil || p[bucket/64]>>(bucket%64)&1 == 0
}

// note takes marks that were applied; those that are duplicates changed nothing.
func (e *expiring) note(marks []mark, set []bool) {
	if len(e.periods) > expiringPeriods || time.Since(e.since) > expiringFor {
		e.clear()
	}
	for i := range marks {
		m := &marks[i]
		if !m.expires || !set[i] {
			continue
		}
		p := e.periods[m.period]
		if p == nil {
			if e.periods == nil {
				e.periods, e.since = make(map[int64]*[dedupBuckets / 64]uint64), time.Now()
			}
			p = new([dedupBuckets / 64]uint64)
			e.periods[m.period] = p
		}
		p[m.bucket/64] |= 1 << (m.bucket % 64)
	}
}

func (e *expiring) clear() { e.periods = nil }
