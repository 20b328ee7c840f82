package stream

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// buffers lets the client decompress into memory that it had before. Records of a loop are given
// back when their round is finished: nobody may hold on to their bytes.
type buffers struct {
	bytes, records sync.Pool
}

// pooledAtMost bounds what is kept for the next time, in bytes and in records.
const (
	pooledAtMost  = 4 << 20
	recordsAtMost = 8_000
)

// GetDecompressBytes guesses how large the data is: JSON and repeated keys shrink to a quarter
// and less.
func (b *buffers) GetDecompressBytes(compressed []byte, _ kgo.CompressionCodecType) []byte {
	guess := 5 * len(compressed)
	// Not one that is far too large: the client wipes it whole when it comes back.
	if p, _ := b.bytes.Get().(*[]byte); p != nil && cap(*p) >= guess && cap(*p) <= 8*guess {
		return (*p)[:0]
	}
	return make([]byte, 0, guess)
}

// PutDecompressBytes takes a buffer back.
func (b *buffers) PutDecompressBytes(p []byte) {
	if cap(p) <= pooledAtMost {
		b.bytes.Put(&p)
	}
}

// GetRecords returns a slice with room for n.
func (b *buffers) GetRecords(n int) []kgo.Record {
	if p, _ := b.records.Get().(*[]kgo.Record); p != nil && cap(*p) >= n {
		return (*p)[:0]
	}
	return make([]kgo.Record, 0, n)
}

// PutRecords takes a slice back.
func (b *buffers) PutRecords(p []kgo.Record) {
	if cap(p) <= recordsAtMost {
		b.records.Put(&p)
	}
}

// recycle gives the records of a poll back.
func recycle(fetches kgo.Fetches) {
	fetches.EachRecord(func(r *kgo.Record) { r.Recycle() })
}
