package kafka

// How fetched batches are unpacked, and where their memory comes from: a tenth of what an order
// costs a room, when it is left to the client and the collector.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Reuse are the options of a client whose reader gives every record back (kgo.Record.Recycle)
// once neither it nor its bytes are used any more.
func Reuse() []kgo.Opt {
	p := new(pool)
	return []kgo.Opt{kgo.WithPools(p), kgo.WithDecompressor(newDecompressor(p))}
}

// pool keeps the memory of batches that were given back, by size: what is in a class has its
// size at least. There are four classes between a power of two and the next, because the client
// wipes all of what is given back.
type pool struct {
	bytes, records [128]sync.Pool
}

// class is the smallest class that holds n, and its size.
func class(n int) (c, size int) {
	c = floor(n)
	if size = sizeOf(c); size < n {
		c++
		size = sizeOf(c)
	}
	return c, size
}

// floor is the largest class that n fills.
func floor(n int) int {
	if n < 4 {
		return 8 // of size 4
	}
	power := bits.Len(uint(n)) - 1
	return 4*power + n>>(power-2)&3
}

func sizeOf(c int) int { return (4 + c&3) << (c >> 2) >> 2 }

// GetDecompressBytes implements kgo.PoolDecompressBytes.
func (p *pool) GetDecompressBytes(packed []byte, _ kgo.CompressionCodecType) []byte {
	return p.take(len(packed))
}

// take returns n bytes; what stands in them is anything.
func (p *pool) take(n int) []byte {
	c, size := class(n)
	if b, ok := p.bytes[c].Get().(*[]byte); ok {
		return (*b)[:n]
	}
	return make([]byte, n, size)
}

// PutDecompressBytes implements kgo.PoolDecompressBytes.
func (p *pool) PutDecompressBytes(b []byte) {
	if n := cap(b); n >= 4 {
		p.bytes[floor(n)].Put(&b)
	}
}

// GetRecords implements kgo.PoolRecords.
func (p *pool) GetRecords(n int) []kgo.Record {
	c, size := class(n)
	if r, ok := p.records[c].Get().(*[]kgo.Record); ok {
		return (*r)[:n]
	}
	return make([]kgo.Record, n, size)
}

// PutRecords implements kgo.PoolRecords.
func (p *pool) PutRecords(r []kgo.Record) {
	if n := cap(r); n >= 4 {
		p.records[floor(n)].Put(&r)
	}
}

// decompressor unpacks fetched batches. Most of what a room reads is LZ4 that it wrote itself,
// and the client's way through a stream reader copies every byte twice more: blocks are decoded
// straight into the memory that the records lie in. Whatever is unusual in a frame goes the
// client's way.
type decompressor struct {
	pool  *pool
	other kgo.Decompressor
	// growth is how much larger batches lately were unpacked than packed, in sixteenths.
	growth atomic.Int64
}

// maxBatch bounds what one batch may unpack to: some times the largest that a topic takes.
const maxBatch = 16 * maxMessageBytes

func newDecompressor(p *pool) *decompressor {
	d := &decompressor{pool: p, other: kgo.DefaultDecompressor()}
	d.growth.Store(4 * 16)
	return d
}

// errUnusual: the frame is not of the kind that is decoded here.
var errUnusual = errors.New("unusual LZ4 frame")

// Decompress implements kgo.Decompressor.
func (d *decompressor) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	if codec == kgo.CodecLz4 {
		switch dst, err := d.lz4(src); {
		case err == nil:
			return dst, nil
		case !errors.Is(err, errUnusual):
			return nil, err
		}
	}
	return d.other.Decompress(src, codec)
}

// Bits of a frame's header (LZ4 Frame Format Description 1.6.4, "Frame Descriptor").
const (
	lz4Magic       = 0x184D2204
	lz4VersionMask = 0xC0
	lz4Version     = 0x40
	lz4Independent = 0x20
	lz4BlockSum    = 0x10
	lz4Size        = 0x08
	lz4ContentSum  = 0x04
	lz4Dictionary  = 0x01
	lz4Raw         = 1 << 31 // of a block's size: it is not compressed
)

// lz4 decodes one frame. Its checksums are not looked at: Kafka's own covers the batch, and was
// verified before.
func (d *decompressor) lz4(src []byte) ([]byte, error) {
	const header = 7 // magic, flags, block size, checksum of these
	if len(src) < header || binary.LittleEndian.Uint32(src) != lz4Magic {
		return nil, errUnusual
	}
	flags := src[4]
	if flags&lz4VersionMask != lz4Version || flags&lz4Independent == 0 || flags&(lz4Size|lz4Dictionary) != 0 {
		return nil, errUnusual
	}
	rest := src[header:]
	dst := d.pool.take(int(min(int64(len(src))*d.growth.Load()/16+1024, maxBatch)))
	dst = dst[:cap(dst)]
	n := 0
	for {
		if len(rest) < 4 {
			return nil, errors.New("an LZ4 frame ends before its end mark")
		}
		size := binary.LittleEndian.Uint32(rest)
		rest = rest[4:]
		if size == 0 {
			break
		}
		raw := size&lz4Raw != 0
		size &^= lz4Raw
		if uint64(size) > uint64(len(rest)) {
			return nil, fmt.Errorf("an LZ4 block of %d bytes where %d are left", size, len(rest))
		}
		block := rest[:size]
		rest = rest[size:]
		if flags&lz4BlockSum != 0 {
			if len(rest) < 4 {
				return nil, errors.New("an LZ4 block without its checksum")
			}
			rest = rest[4:]
		}
		for {
			var m int
			var err error
			switch {
			case !raw:
				m, err = lz4.UncompressBlock(block, dst[n:])
			case len(block) > len(dst)-n:
				err = lz4.ErrInvalidSourceShortBuffer
			default:
				m = copy(dst[n:], block)
			}
			if err == nil {
				n += m
				break
			}
			// The block is broken, or there is too little room for it: the same error.
			if len(dst) >= maxBatch {
				return nil, fmt.Errorf("unpacking an LZ4 block of %d bytes: %w", size, err)
			}
			if most := n + 255*len(block); len(dst) > most {
				return nil, fmt.Errorf("unpacking an LZ4 block of %d bytes: it is damaged", size)
			}
			larger := d.pool.take(min(2*len(dst), maxBatch))
			copy(larger, dst[:n])
			d.pool.PutDecompressBytes(dst)
			dst = larger
		}
	}
	d.learn(len(src), n)
	return dst[:n], nil
}

// learn adjusts the guess: up at once, down slowly, and a little above what was seen.
func (d *decompressor) learn(packed, unpacked int) {
	seen := int64(unpacked)*17/int64(packed) + 1
	if old := d.growth.Load(); seen < old {
		seen = old - (old-seen)/8
	}
	d.growth.Store(min(seen, 255*16))
}
