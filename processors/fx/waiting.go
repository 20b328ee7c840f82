package fx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// What waits stands in lists by wanted day and chunk, because the two records that need it
// know only that much: a valuable knows its own list, a day of rates knows which days it may
// help. A directory entry per month says which lists there are, so that a day of rates reads
// two entries and not hundreds. An emptied list stays as an empty entry: removing it would write a
// tombstone, which cannot be written again after a crash.

// join puts a valuable on its list, in place of an older version of its subject.
func join(tx *stream.Tx, v *valuable) error {
	list, _ := tx.Get(v.list).(*event.FxWaiting)
	at, found := position(list, v.Subject)
	if found && list.Valuables[at].EqualVT(v.Valuable) {
		return nil
	}
	if !found && len(list.GetValuables()) >= maxChunk {
		return fmt.Errorf("valuable %s: %d others wait for the rates of %s in its list already: see why these rates do not come, then redrive it from the dead letters", v.Subject, maxChunk, v.listDay)
	}
	now := &event.FxWaiting{Valuables: slices.Clone(list.GetValuables())}
	if found {
		now.Valuables[at] = v.Valuable
	} else {
		now.Valuables = slices.Insert(now.Valuables, at, v.Valuable)
	}
	tx.Put(v.list, now)
	if len(list.GetValuables()) == 0 {
		mark(tx, v, true)
	}
	return nil
}

// leave takes a subject off its list, if it is there.
func leave(tx *stream.Tx, v *valuable) {
	if v.window == nil {
		return
	}
	list, _ := tx.Get(v.list).(*event.FxWaiting)
	at, found := position(list, v.Subject)
	if !found || stream.VersionOf(v.Version).Before(stream.VersionOf(list.Valuables[at].Version)) {
		return
	}
	now := &event.FxWaiting{Valuables: slices.Delete(slices.Clone(list.Valuables), at, at+1)}
	tx.Put(v.list, now)
	if len(now.Valuables) == 0 {
		mark(tx, v, false)
	}
}

// position of a subject in a list, which is kept in the order of subjects.
func position(list *event.FxWaiting, subject string) (int, bool) {
	return slices.BinarySearchFunc(list.GetValuables(), subject, func(v *event.Valuable, s string) int {
		return strings.Compare(v.Subject, s)
	})
}

// mark writes into the directory whether a list holds anything.
func mark(tx *stream.Tx, v *valuable, waits bool) {
	old, _ := tx.Get(v.directory).(*event.FxWaiting)
	now := &event.FxWaiting{Days: slices.Clone(old.GetDays())}
	at, found := slices.BinarySearchFunc(now.Days, v.listDay, byDate)
	day := &event.WaitingDay{Date: v.listDay, Chunks: make([]uint64, chunks/64)}
	if found {
		copy(day.Chunks, now.Days[at].Chunks)
	} else {
		now.Days = slices.Insert(now.Days, at, day)
	}
	now.Days[at] = day
	bit := uint64(1) << (v.listNo % 64)
	if waits {
		day.Chunks[v.listNo/64] |= bit
	} else {
		day.Chunks[v.listNo/64] &^= bit
		if !slices.ContainsFunc(day.Chunks, func(c uint64) bool { return c != 0 }) {
			now.Days = slices.Delete(now.Days, at, at+1)
		}
	}
	tx.Put(v.directory, now)
}

func byDate(d *event.WaitingDay, date string) int { return strings.Compare(d.Date, date) }

// seen remembers the newest day.
func seen(tx *stream.Tx, d *rateDay) {
	if old, _ := tx.Get(d.latest).(*event.FxWaiting); old.GetLatest() < d.Date {
		tx.Put(d.latest, &event.FxWaiting{Latest: d.Date})
	}
}

// wake sends a note for each list that the day may help: those that want this very day;
// those that wanted a day shortly before, which turns out to have been a closing; and, when
// it comes late or corrected, those that want a day shortly after which is known to be one.
func (r *Room) wake(tx *stream.Tx, rec *stream.Record, d *rateDay) {
	if d.Source != r.cfg.Source {
		return
	}
	latest, _ := tx.Get(d.latest).(*event.FxWaiting)
	first, last := (d.day - reach).String(), (d.day + reach).String()
	for _, key := range d.directories {
		directory, _ := tx.Get(key).(*event.FxWaiting)
		for _, waiting := range directory.GetDays() {
			if waiting.Date < first || waiting.Date > last {
				continue
			}
			if waiting.Date > d.Date && latest.GetLatest() < waiting.Date {
				continue // its own day is still to come
			}
			wakeDay(tx, rec, waiting)
		}
	}
}

// wakeDay sends a note for each list of one wanted day.
func wakeDay(tx *stream.Tx, rec *stream.Record, waiting *event.WaitingDay) {
	for chunk := range chunks {
		if chunk/64 >= len(waiting.Chunks) || waiting.Chunks[chunk/64]>>(chunk%64)&1 == 0 {
			continue
		}
		tx.Emit(stream.Output{
			Topic: schemas.FxIn, Key: []byte(waiting.Date), Partition: rec.Partition, ByPartition: true,
			Value: &event.FxInput{Input: &event.FxInput_LookAgain{LookAgain: &event.LookAgain{Date: waiting.Date, Chunk: int32(chunk)}}},
		})
	}
}
