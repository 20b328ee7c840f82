package mailroom

import "time"

// Turnstile counts the calls that a simulated platform takes: a bucket that begins full and
// refills by the platform's clock. Its owner guards it.
type Turnstile struct {
	// Rate is how many calls a second come back, Burst how many there are at most. With a Rate
	// of 0 everything passes.
	Rate, Burst float64

	used float64 // of Burst
	at   time.Time
}

// hair is what a call may come too early: less than a clock's rounding.
const hair = 1e-6

// Pass takes one call, or says when there will be one.
func (t *Turnstile) Pass(now time.Time) (ok bool, wait time.Duration) {
	if t.Rate <= 0 {
		return true, 0
	}
	if now.After(t.at) {
		if !t.at.IsZero() {
			t.used = max(0, t.used-now.Sub(t.at).Seconds()*t.Rate)
		}
		t.at = now
	}
	if missing := t.used + 1 - t.Burst; missing > hair {
		return false, time.Duration(missing / t.Rate * float64(time.Second))
	}
	t.used++
	return true, 0
}

// Limit sets rate and burst from now on. What was used stays used.
func (t *Turnstile) Limit(now time.Time, rate, burst float64) {
	if t.Rate > 0 && now.After(t.at) && !t.at.IsZero() {
		t.used = max(0, t.used-now.Sub(t.at).Seconds()*t.Rate)
	}
	t.used = max(0, t.used+burst-max(burst, t.Burst)) // a smaller bucket runs over
	t.Rate, t.Burst, t.at = rate, burst, now
}
