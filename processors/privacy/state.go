package privacy

import (
	"slices"
	"time"

	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// Done reports whether a request is carried out: what was asked for was handed over, or a look
// after the last order that was forgotten found nothing left.
func Done(s *event.PrivacyState) bool { return s.DoneMs > s.ForgottenMs }

// Asked reports whether the entry is a request: it may be heard of before it comes.
func Asked(s *event.PrivacyState) bool { return s.Kind != event.PrivacyKind_PRIVACY_KIND_UNSPECIFIED }

// Overdue reports whether a request is open after its time.
func Overdue(s *event.PrivacyState, now time.Time) bool {
	return Asked(s) && !Done(s) && now.UnixMilli() > s.DueMs
}

// Remaining is where copies of personal data remain of a request that is carried out, and until
// when: topics whose records end by age, or by compaction.
type Remaining struct {
	Topic string    `json:"topic"`
	Until time.Time `json:"until"`
}

// Remains lists what remains at a time. The topics' own declarations say how long.
func Remains(s *event.PrivacyState, now time.Time) []Remaining {
	if !Done(s) || s.Kind == event.PrivacyKind_PRIVACY_KIND_DATA_REQUEST {
		return nil
	}
	var all []Remaining
	for _, t := range schemas.Topics() {
		if !t.Personal {
			continue
		}
		life := t.Retention
		if t.Cleanup == schemas.Compact {
			life = t.MaxCompactionLag
		}
		if until := time.UnixMilli(s.DoneMs).Add(life).UTC(); until.After(now) {
			all = append(all, Remaining{t.Name, until})
		}
	}
	slices.SortStableFunc(all, func(a, b Remaining) int { return a.Until.Compare(b.Until) })
	return all
}
