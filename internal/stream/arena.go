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
	byteChunks   = sync.Pool{New: func() any { return newChunk[byte](256 << 10) }}
	headerChunks = sync.Pool{New: func() any { return newChunk[Header](2 << 10) }}
	recordChunks = sync.Pool{New: func() any { return newChunk[kgo.Record](512) }}
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

// take returns n elements, of which it says nothing.
func (p *pile[T]) take(n int, pool *sync.Pool) []T {
	if n > len(p.chunk) {
		c := pool.Get().(*[]T)
		if n > len(*c)/4 {
			pool.Put(c)
			return make([]T, n)
		}
		p.used = append(p.used, c)
		p.chunk = *c
	}
	part := p.chunk[:n:n]
	p.chunk = p.chunk[n:]
	return part
}

// release gives the chunks back: nobody may hold parts of them any more.
func (p *pile[T]) release(pool *sync.Pool, wipe bool) {
	for i, c := range p.used {
		if wipe { // or they would keep alive what they point to
			n := len(*c)
			if i == len(p.used)-1 {
				n -= len(p.chunk)
			}
			clear((*c)[:n])
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
	return a.bytes.take(n, &byteChunks)
}

// header returns n empty headers.
func (a *arena) header(n int) []Header {
	if a == nil {
		return make([]Header, n)
	}
	return a.headers.take(n, &headerChunks)
}

// record returns an empty record.
func (a *arena) record() *kgo.Record { return &a.records.take(1, &recordChunks)[0] }

func (a *arena) release() {
	a.bytes.release(&byteChunks, false)
	a.headers.release(&headerChunks, true)
	a.records.release(&recordChunks, true)
}
