package ebay

import (
	"sync"
	"time"
)

// "Each listing can be revised up to 250 times in one calendar day. If this revision
// threshold is reached, the seller will be blocked from revising the item until the next
// calendar day." (bulkUpdatePriceQuantity, 2026-11.) Coalescing keeps below that; where it
// does not, the last revisions of a day are kept for what must not wait: showing less.

const (
	revisionsADay = 250
	// revisionsKept is how many of them only decreases may use.
	revisionsKept = 50
	maxListings   = 200_000
)

// revisions counts, in this process. Another process or a restart knows nothing of it: then
// eBay says so itself, and is believed.
type revisions struct {
	mu     sync.Mutex
	day    string
	counts map[string]int
}

func newRevisions() *revisions { return &revisions{counts: map[string]int{}} }

// take counts one revision of each listing; it is false, and counts nothing, when one of them
// has none left.
func (v *revisions) take(now time.Time, listings []string, decrease bool) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if day := pacific(now).Format(time.DateOnly); day != v.day || len(v.counts) > maxListings {
		v.day = day
		clear(v.counts)
	}
	most := revisionsADay
	if !decrease {
		most -= revisionsKept
	}
	for _, l := range listings {
		if v.counts[l] >= most {
			return false
		}
	}
	for _, l := range listings {
		v.counts[l]++
	}
	return true
}

// pacific is a time as eBay's days count it. The zone data of a machine may be missing, and
// an hour more does no harm where one less would: winter time all year ends a day later than
// or together with eBay's.
func pacific(t time.Time) time.Time { return t.In(time.FixedZone("PST", -8*3600)) }

// untilNextDay is how long the day of eBay still lasts.
func untilNextDay(now time.Time) time.Duration {
	at := pacific(now)
	next := time.Date(at.Year(), at.Month(), at.Day()+1, 0, 0, 0, 0, at.Location())
	return next.Sub(at)
}
