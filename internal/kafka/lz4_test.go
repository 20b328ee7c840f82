package kafka

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

// orders is like a batch of orders: a third of it is new.
func orders(n int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, `{"id":%d,"admin_graphql_api_id":"gid://shopify/Order/%d","currency":"GBP","total_price":"%d.%02d","token":"%x"}`,
			rng.Int64(), rng.Int64(), rng.IntN(1000), rng.IntN(100), rng.Uint64())
	}
	return b.Bytes()[:n]
}

func noise(n int) []byte {
	rng := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func packed(t testing.TB, src []byte, opts ...lz4.Option) []byte {
	t.Helper()
	var b bytes.Buffer
	w := lz4.NewWriter(&b)
	if err := w.Apply(opts...); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(src); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestUnpack: what any writer of the frame format makes comes back, whatever was guessed of
// its size, and memory of two batches is never shared.
func TestUnpack(t *testing.T) {
	sources := map[string][]byte{
		"nothing": {}, "short": []byte("a"), "text": orders(700_000), "noise": noise(300_000),
		"the same byte": bytes.Repeat([]byte{7}, 5<<20), "several blocks": orders(9 << 20),
	}
	options := map[string][]lz4.Option{
		"the client's":    nil,
		"small blocks":    {lz4.BlockSizeOption(lz4.Block64Kb)},
		"block checksums": {lz4.BlockChecksumOption(true), lz4.BlockSizeOption(lz4.Block256Kb)},
		"no checksum":     {lz4.ChecksumOption(false)},
		"with its size":   {lz4.SizeOption(1)}, // another writer's: goes the client's way, which checks nothing
	}
	for name, src := range sources {
		for kind, opts := range options {
			if kind == "with its size" {
				opts = []lz4.Option{lz4.SizeOption(uint64(len(src)))}
			}
			d := newDecompressor(new(pool))
			b := packed(t, src, opts...)
			first, err := d.Decompress(b, kgo.CodecLz4)
			if err != nil || !bytes.Equal(first, src) {
				t.Errorf("%s, %s: %d bytes of %d: %v", name, kind, len(first), len(src), err)
				continue
			}
			second, err := d.Decompress(b, kgo.CodecLz4)
			if err != nil || !bytes.Equal(second, src) {
				t.Errorf("%s, %s, again: %d bytes of %d: %v", name, kind, len(second), len(src), err)
			}
			if len(second) > 0 {
				second[0]++
				if !bytes.Equal(first, src) {
					t.Errorf("%s, %s: two batches share memory", name, kind)
				}
			}
		}
	}
}

// TestPool: what is taken is as long as asked for and wastes a quarter at most, and what was put
// back is large enough for who finds it there.
func TestPool(t *testing.T) {
	for _, n := range []int{0, 1, 3, 4, 5, 7, 8, 9, 1023, 1024, 1025, 1279, 1280, 1281, 5_000_001, maxBatch} {
		c, size := class(n)
		if size < n || (n > 4 && size > n+n/4+1) || floor(size) != c {
			t.Errorf("%d bytes are of class %d with %d; %d fill class %d", n, c, size, size, floor(size))
		}
		if n >= 4 && sizeOf(floor(n)) > n {
			t.Errorf("a slice of %d bytes is put where %d are expected", n, sizeOf(floor(n)))
		}
		p := new(pool)
		p.PutDecompressBytes(make([]byte, n))
		p.PutRecords(make([]kgo.Record, min(n, 1000)))
		for _, want := range []int{n, n / 2, n + 1} {
			if b := p.take(want); len(b) != want {
				t.Errorf("%d bytes instead of %d", len(b), want)
			}
			if r := p.GetRecords(min(want, 1001)); len(r) != min(want, 1001) {
				t.Errorf("%d records instead of %d", len(r), min(want, 1001))
			}
		}
	}
}

func TestUnpackOtherCodecs(t *testing.T) {
	src := orders(10_000)
	d := newDecompressor(new(pool))
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.ZstdCompression(), kgo.Lz4Compression()} {
		b, kind := src, kgo.CodecNone
		if c, err := kgo.DefaultCompressor(codec); err != nil {
			t.Fatal(err)
		} else if c != nil {
			b, kind = c.Compress(new(bytes.Buffer), src)
		}
		got, err := d.Decompress(b, kind)
		if err != nil || !bytes.Equal(got, src) {
			t.Errorf("codec %d: %d bytes of %d: %v", kind, len(got), len(src), err)
		}
	}
}

// TestUnpackDamaged: a frame cut short is an error and never a short batch.
func TestUnpackDamaged(t *testing.T) {
	b := packed(t, orders(4000), lz4.ChecksumOption(false))
	d := newDecompressor(new(pool))
	for n := 1; n < len(b); n++ {
		if got, err := d.Decompress(b[:n:n], kgo.CodecLz4); err == nil {
			t.Errorf("cut at %d of %d: %d bytes without an error", n, len(b), len(got))
		}
	}
}

// FuzzUnpack: our way and the client's agree on what a frame holds.
func FuzzUnpack(f *testing.F) {
	f.Add(packed(f, orders(2000)))
	f.Add(packed(f, noise(200), lz4.BlockChecksumOption(true)))
	f.Add([]byte{4, 0x22, 0x4d, 0x18, 0x60, 0x40, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDecompressor(new(pool))
		got, err := d.Decompress(b, kgo.CodecLz4)
		want, err2 := d.other.Decompress(b, kgo.CodecLz4)
		if err == nil && err2 == nil && !bytes.Equal(got, want) {
			t.Errorf("%d bytes, the client's way gives %d", len(got), len(want))
		}
		if err != nil && err2 == nil {
			t.Errorf("refused: %v; the client's way gives %d bytes", err, len(want))
		}
	})
}

func BenchmarkUnpack(b *testing.B) {
	src := orders(512 << 10)
	frame := packed(b, src)
	p := new(pool)
	for name, d := range map[string]kgo.Decompressor{"ours": newDecompressor(p), "client": kgo.DefaultDecompressor()} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				got, err := d.Decompress(frame, kgo.CodecLz4)
				if err != nil {
					b.Fatal(err)
				}
				if name == "ours" { // given back, as the client does
					clear(got)
					p.PutDecompressBytes(got)
				}
			}
		})
	}
}

func BenchmarkPack(b *testing.B) {
	src := orders(512 << 10)
	for name, codec := range map[string]kgo.CompressionCodec{
		"lz4": kgo.Lz4Compression(), "lz4-ccompat": kgo.Lz4Compression().WithLevel(int(lz4.CCompatFast)), "snappy": kgo.SnappyCompression(),
	} {
		c, err := kgo.DefaultCompressor(codec)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			var dst bytes.Buffer
			var n int
			for b.Loop() {
				dst.Reset()
				out, _ := c.Compress(&dst, src)
				n = len(out)
			}
			b.ReportMetric(float64(len(src))/float64(n), "ratio")
		})
	}
}
