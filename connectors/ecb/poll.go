package ecb

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/target"
)

// recheck is how often the whole history is read again to find corrected days.
const recheck = 24 * time.Hour

type poller struct {
	*client
	history bool
	log     *slog.Logger
}

// Poll emits the days that are new or changed since the cursor, oldest first. The daily file
// is read each time; the history on the first poll, when the daily file is more than one
// publication ahead, and once a day for corrections. Both are read and checked whole before
// the first day is emitted. Overlap and Settle have no meaning here: a day appears at once
// and complete.
func (p *poller) Poll(ctx context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (connectors.PollResult, error) {
	cur, err := readCursor(req.Cursor)
	if err != nil {
		return connectors.PollResult{}, err
	}
	latest, now, err := p.daily(ctx)
	if err != nil {
		return connectors.PollResult{}, err
	}
	pages := 1
	var days []day
	if p.wantsHistory(cur, latest, now) {
		var all []day
		if all, now, err = p.client.history(ctx); err != nil {
			return connectors.PollResult{}, err
		}
		pages++
		if days, err = p.among(all, cur, req.Start); err != nil {
			return connectors.PollResult{}, err
		}
		// A history that is further behind may lack a day that the daily file has already
		// passed: it is read again at the next poll.
		if before, _ := latest.date.Before(); all[len(all)-1].date >= before {
			cur.Checked = now
		}
	}
	// The daily file may be ahead of the history, or the other way round while the bank
	// publishes; the figures decide whether it is news.
	if at, found := slices.BinarySearchFunc(days, latest.date, byDate); !found {
		if latest.date >= cur.last() || cur.hash(latest.date) != nil {
			days = slices.Insert(days, at, latest)
		}
	}
	objects := 0
	for _, d := range days {
		if bytes.Equal(cur.hash(d.date), d.hash()) {
			continue
		}
		raw := connectors.Raw{Subject: connectors.RateDays, Object: d.date.String(), Body: d.body, Format: d.format}
		if err := emit(raw); err != nil {
			return connectors.PollResult{}, fmt.Errorf("emitting the rates of %s: %w", d.date, err)
		}
		if cur.hash(d.date) != nil {
			p.log.Info("the bank corrected a day's rates", "date", d.date.String())
		}
		cur.set(d.date, d.hash())
		objects++
	}
	cursor, err := cur.marshal()
	if err != nil {
		return connectors.PollResult{}, err
	}
	return connectors.PollResult{Cursor: cursor, Watermark: now, Objects: objects, Pages: pages}, nil
}

func (p *poller) wantsHistory(cur *cursor, latest day, now time.Time) bool {
	if len(cur.days) == 0 {
		return p.history
	}
	missed := latest.date > cur.last().After()
	return missed || now.Sub(cur.Checked) >= recheck
}

// among leaves out of the history what the connection never wanted: days before its first.
// A history that lost days is not believed: a cut-off file must not pass for news. That it is
// behind the daily file is normal while the bank publishes.
func (p *poller) among(all []day, cur *cursor, start time.Time) ([]day, error) {
	from := target.Day(0)
	if !start.IsZero() {
		from = target.Of(start.UnixMilli())
	}
	if len(cur.days) > 0 {
		from = cur.days[0]
		newest := all[len(all)-1].date
		for _, d := range cur.days {
			if _, there := slices.BinarySearchFunc(all, d, byDate); !there && d <= newest {
				return nil, fmt.Errorf("reading %s of %s: the rates of %s, known so far, are not in it: a damaged copy, nothing of it was used (if the bank really withdrew that day, delete the cursor)", historyFile, p.base.Host, d)
			}
		}
	}
	at, _ := slices.BinarySearchFunc(all, from, byDate)
	return all[at:], nil
}

func byDate(d day, date target.Day) int { return int(d.date) - int(date) }

// hash is of what the day says, not of its bytes: both files of one day have one hash, and a
// new currency's column does not change all days before it. A day that cannot be read is
// hashed as it is.
func (d day) hash() []byte {
	h := sha256.New()
	if rates, err := d.rates(); err == nil {
		for _, r := range rates {
			fmt.Fprintf(h, "%s %d %d\n", r.Currency, r.Value.Unscaled, r.Value.Scale)
		}
	} else {
		for _, f := range d.figures {
			fmt.Fprintf(h, "%s %q\n", f.currency, f.text)
		}
	}
	return h.Sum(nil)[:hashSize]
}

// hashSize: 48 bits, so that a correction goes unseen once in 10^14.
const hashSize = 6

// cursor is what was emitted: each day and the hash of its figures, in some 65 kB for all days
// since 1999.
type cursor struct {
	// Last is for people who look at it.
	Last string `json:"last,omitempty"`
	// Checked is the server's time of the last look at the whole history.
	Checked time.Time `json:"checked"`
	// Days: for each, the distance from the day before (varint; from 1970-01-01 for the first)
	// and its hash, in base64.
	Days string `json:"days,omitempty"`

	days   []target.Day // ascending
	hashes map[target.Day][]byte
}

func readCursor(text json.RawMessage) (*cursor, error) {
	c := &cursor{hashes: make(map[target.Day][]byte)}
	if len(text) == 0 || string(text) == "null" {
		return c, nil
	}
	broken := func(err error) (*cursor, error) {
		return nil, fmt.Errorf("reading the ecb cursor: %w: delete it to read the whole history again", errors.Join(err, connectors.ErrPermanent))
	}
	if err := json.Unmarshal(text, c); err != nil {
		return broken(err)
	}
	b, err := base64.StdEncoding.DecodeString(c.Days)
	if err != nil {
		return broken(err)
	}
	var date int64
	for len(b) > 0 {
		step, n := binary.Uvarint(b)
		if n <= 0 || len(b) < n+hashSize || step == 0 || step > 1<<20 {
			return broken(errors.New("its list of days is damaged"))
		}
		date += int64(step)
		c.days = append(c.days, target.Day(date))
		c.hashes[target.Day(date)] = b[n : n+hashSize]
		b = b[n+hashSize:]
	}
	return c, nil
}

func (c *cursor) marshal() (json.RawMessage, error) {
	b := make([]byte, 0, len(c.days)*(hashSize+1)+4)
	var before target.Day
	for _, d := range c.days {
		b = binary.AppendUvarint(b, uint64(d-before))
		b = append(b, c.hashes[d]...)
		before = d
	}
	c.Days = base64.StdEncoding.EncodeToString(b)
	c.Last = ""
	if len(c.days) > 0 {
		c.Last = c.last().String()
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("writing the ecb cursor: %w", err)
	}
	return text, nil
}

// last is the newest day; 1970-01-01 when there is none.
func (c *cursor) last() target.Day {
	if len(c.days) == 0 {
		return 0
	}
	return c.days[len(c.days)-1]
}

func (c *cursor) hash(d target.Day) []byte { return c.hashes[d] }

func (c *cursor) set(d target.Day, hash []byte) {
	if _, known := c.hashes[d]; !known {
		at, _ := slices.BinarySearch(c.days, d)
		c.days = slices.Insert(c.days, at, d)
	}
	c.hashes[d] = hash
}
