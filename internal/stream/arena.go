package stream

import "sync"

// arena hands out bytes that live as long as one emission: encoded entries and outputs. Its
// chunks are used again once every record in them has been acknowledged.
type arena struct {
	chunk []byte // what is left of the newest
	used  []*[arenaChunk]byte
}

const arenaChunk = 256 << 10

var arenaChunks = sync.Pool{New: func() any { return new([arenaChunk]byte) }}

// take returns n bytes of any content; without an arena they are the caller's own.
func (a *arena) take(n int) []byte {
	if a == nil || n > arenaChunk/4 {
		return make([]byte, n)
	}
	if n > len(a.chunk) {
		c := arenaChunks.Get().(*[arenaChunk]byte)
		a.used = append(a.used, c)
		a.chunk = c[:]
	}
	b := a.chunk[:n:n]
	a.chunk = a.chunk[n:]
	return b
}

// release gives the chunks back: nobody may hold bytes of the arena any more.
func (a *arena) release() {
	for _, c := range a.used {
		arenaChunks.Put(c)
	}
	a.used, a.chunk = nil, nil
}
