package fx

import (
	"fmt"
	"strconv"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
	"github.com/helloword/crossdock/schemas/target"
)

// maxSubject bounds a subject's length, and with it an entry's size.
const maxSubject = 512

// chunks of one wanted day's waiting list: one entry would be written again whole with each
// valuable that joins it.
const chunks = 256

// maxChunk bounds one list; 256 × 8192 valuables may wait for one day in one partition.
const maxChunk = 8192

// The decoded records.
type (
	valuable struct {
		*event.Valuable
		exponent int // of its currency
		key      stream.Key
		// wanted is the day whose rates are wanted, window the days around it with their keys;
		// none when there are no rates so early.
		wanted target.Day
		window []windowDay
		// list is where it waits; listNo is the list's chunk, listDay the wanted day as text.
		list, directory stream.Key
		listNo          int
		listDay         string
	}
	windowDay struct {
		day target.Day
		key stream.Key
	}
	rateDay struct {
		*event.RateDay
		day target.Day
		key stream.Key
		// directories of the months within reach.
		directories []stream.Key
		latest      stream.Key
	}
	lookAgain struct{ list stream.Key }
)

// RateID is the id of a day's entry: source/date/partition. Each partition has its own copy,
// because its rewinds repeat its own history, and a rebuild must find it for each.
func RateID(source, date string, partition int32) string {
	return source + "/" + date + "/" + strconv.Itoa(int(partition))
}

func (r *Room) rateKey(source string, day string, partition int32) stream.Key {
	return stream.Key{Table: r.rates, ID: RateID(source, day, partition)}
}

func (r *Room) listKey(partition int32, day string, chunk int) stream.Key {
	return stream.Key{Table: r.waitings, ID: strconv.Itoa(int(partition)) + "/" + day + "/" + strconv.Itoa(chunk)}
}

// directory names the lists of one month's days that are not empty: one for all days would
// grow for ever with currencies that are never quoted.
func (r *Room) directory(partition int32, month string) stream.Key {
	return stream.Key{Table: r.waitings, ID: strconv.Itoa(int(partition)) + "/" + month}
}

// latest holds the newest day of rates that came.
func (r *Room) latest(partition int32) stream.Key {
	return stream.Key{Table: r.waitings, ID: strconv.Itoa(int(partition)) + "/latest"}
}

// monthOf a date: YYYY-MM.
func monthOf(date string) string { return date[:len("2006-01")] }

// Prepare decodes and checks one record; see stream.Handler.
func (r *Room) Prepare(rec *stream.Record) (stream.Input, error) {
	in := new(event.FxInput)
	if err := in.UnmarshalVT(rec.Value); err != nil {
		return stream.Input{}, fmt.Errorf("decoding an input of the fx room: %w: %w", err, connectors.ErrMalformed)
	}
	switch x := in.Input.(type) {
	case *event.FxInput_Valuable:
		return r.prepareValuable(x.Valuable, rec.Partition)
	case *event.FxInput_Rates:
		return r.prepareRates(x.Rates, rec.Partition)
	case *event.FxInput_LookAgain:
		l := x.LookAgain
		if _, err := target.Parse(l.Date); err != nil || l.Chunk < 0 || l.Chunk >= chunks {
			return stream.Input{}, malformed("a note to look again at %q, %d", l.Date, l.Chunk)
		}
		key := r.listKey(rec.Partition, l.Date, int(l.Chunk))
		return stream.Input{Keys: []stream.Key{key}, Value: &lookAgain{key}}, nil
	}
	return stream.Input{}, fmt.Errorf("an input of the fx room of unknown kind: %w: it was written by a newer version", connectors.ErrUnsupported)
}

func (r *Room) prepareValuable(v *event.Valuable, partition int32) (stream.Input, error) {
	if v.Subject == "" || len(v.Subject) > maxSubject {
		return stream.Input{}, malformed("a valuable whose subject has %d bytes, want 1 to %d", len(v.Subject), maxSubject)
	}
	if v.OccurredMs <= 0 || v.OccurredMs > maxMs {
		return stream.Input{}, malformed("valuable %s: it has no time", v.Subject)
	}
	exponent, ok := money.Exponent("", v.Amount.GetCurrency())
	if !ok {
		return stream.Input{}, fmt.Errorf("valuable %s: currency %.8q has no minor unit in ISO 4217: %w", v.Subject, v.Amount.GetCurrency(), connectors.ErrUnsupported)
	}
	p := &valuable{Valuable: v, exponent: exponent, key: stream.Key{Table: r.valuations, ID: v.Subject}}
	keys := make([]stream.Key, 0, 20)
	keys = append(keys, p.key)
	if wanted, ok := r.cfg.Rule.want(target.Of(v.OccurredMs)); ok && v.Amount.Currency != r.cfg.Reporting {
		p.wanted, p.listNo, p.listDay = wanted, chunkOf(v.Subject), wanted.String()
		p.list, p.directory = r.listKey(partition, p.listDay, p.listNo), r.directory(partition, monthOf(p.listDay))
		keys = append(keys, p.list, p.directory)
		for _, d := range window(wanted) {
			w := windowDay{d, r.rateKey(r.cfg.Source, d.String(), partition)}
			p.window = append(p.window, w)
			keys = append(keys, w.key)
		}
	}
	return stream.Input{Keys: keys, Value: p}, nil
}

// maxMs is the beginning of the year 9999: dates have four digits of year, and a window ends
// after its day.
const maxMs = 253370764800000

func (r *Room) prepareRates(d *event.RateDay, partition int32) (stream.Input, error) {
	day, err := target.Parse(d.Date)
	if err != nil {
		return stream.Input{}, malformed("a day of rates: %v", err)
	}
	if d.Source == "" || len(d.Source) > 64 || len(d.Base) != 3 || len(d.Rates) == 0 {
		return stream.Input{}, malformed("rates of %s: no source, base or rates", d.Date)
	}
	seen := make(map[string]bool, len(d.Rates))
	for _, x := range d.Rates {
		if v := x.GetValue(); len(x.GetCurrency()) != 3 || v.GetUnscaled() <= 0 || v.GetScale() < 0 || v.GetScale() > money.MaxScale {
			return stream.Input{}, malformed("rates of %s: currency %.8q, figure %d × 10^-%d", d.Date, x.GetCurrency(), v.GetUnscaled(), v.GetScale())
		}
		if seen[x.Currency] || x.Currency == d.Base {
			return stream.Input{}, malformed("rates of %s: two figures for %s", d.Date, x.Currency)
		}
		seen[x.Currency] = true
	}
	p := &rateDay{RateDay: d, day: day, key: r.rateKey(d.Source, d.Date, partition), latest: r.latest(partition)}
	first, last := monthOf((day - reach).String()), monthOf((day + reach).String())
	p.directories = []stream.Key{r.directory(partition, first)}
	if last != first { // reach is shorter than a month
		p.directories = append(p.directories, r.directory(partition, last))
	}
	return stream.Input{Keys: append([]stream.Key{p.key, p.latest}, p.directories...), Value: p}, nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, connectors.ErrMalformed)...)
}

// chunkOf spreads subjects over the chunks of a list: FNV-1a, which must never change.
func chunkOf(subject string) int {
	h := uint32(2166136261)
	for i := range len(subject) {
		h = (h ^ uint32(subject[i])) * 16777619
	}
	return int(h % chunks)
}
