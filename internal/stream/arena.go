package stream

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// arena hands out what lives as long as one emission: the bytes of encoded entries and outputs,
// headers, and the client's records. Its chunks are used again once every record in them has
// been acknowledged: made anew for each order, they would cost more than what is done in them.
type arena struct {
	bytes   pile[byte]
	headers pile[Header]
	records pile[kgo.Record]
}

// The chunks, each some ten kilobytes and more.
var (
	byteChunks   = sync.Pool{New: func() any { return newChunk[byte](byteChunk) }}
	headerChunks = sync.Pool{New: func() any { return newChunk[Header](headerChunk) }}
	recordChunks = sync.Pool{New: func() any { return newChunk[kgo.Record](512) }}
)

const (
	byteChunk   = 256 << 10
	headerChunk = 2 << 10
)

func newChunk[T any](n int) *[]T {
	c := make([]T, n)
	return &c
}

// pile hands out parts of chunks of one kind.
type pile[T any] struct {
	chunk []T // what is left of the newest
	used  []*[]T
}

// rest returns what is left of the newest chunk, n elements at least. n is small beside a chunk.
func (p *pile[T]) rest(n int, pool *sync.Pool) []T {
	if n > len(p.chunk) {
		c := pool.Get().(*[]T)
		p.used = append(p.used, c)
		p.chunk = *c
	}
	return p.chunk
}

// take returns n elements, of which it says nothing. Chunks are used from their end.
func (p *pile[T]) take(n, most int, pool *sync.Pool) []T {
	if n > most {
		return make([]T, n)
	}
	rest := p.rest(n, pool)
	from := len(rest) - n
	p.chunk = rest[:from]
	return rest[from : from+n : from+n]
}

// release gives the chunks back: nobody may hold parts of them any more.
func (p *pile[T]) release(pool *sync.Pool, wipe bool) {
	for i, c := range p.used {
		if wipe { // or they would keep alive what they point to
			from := 0
			if i == len(p.used)-1 {
				from = len(p.chunk)
			}
			clear((*c)[from:])
		}
		pool.Put(c)
	}
	p.used, p.chunk = nil, nil
}

// take returns n bytes of any content; without an arena they are the caller's own.
func (a *arena) take(n int) []byte {
	if a == nil {
		return make([]byte, n)
	}
	return a.bytes.take(n, byteChunk/4, &byteChunks)
}

// header returns n empty headers.
func (a *arena) header(n int) []Header {
	if a == nil {
		return make([]Header, n)
	}
	return a.headers.take(n, headerChunk/4, &headerChunks)
}

// record returns an empty record.
func (a *arena) record() *kgo.Record { return &a.records.take(1, 1, &recordChunks)[0] }

func (a *arena) release() {
	a.bytes.release(&byteChunks, false)
	a.headers.release(&headerChunks, true)
	a.records.release(&recordChunks, true)
}
