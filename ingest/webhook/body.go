package webhook

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
)

// buffer holds one body. It goes back to the pool only when nobody can still be reading it.
type buffer struct {
	b []byte
	// charged is its part of Server.inFlightBytes.
	charged int64
}

const (
	firstBuffer = 8 << 10
	// pooledBuffer is the largest one that is kept: most bodies are a few kB.
	pooledBuffer = 64 << 10
)

// read reads the body. Memory is taken as bytes arrive, not as they are announced: a caller
// who says 2 MiB and sends nothing costs one small buffer.
func (s *Server) read(r *http.Request) (*buffer, *verdict) {
	if r.ContentLength > s.cfg.MaxBody {
		return nil, &verdict{outcome: tooLarge}
	}
	buf, _ := s.buffers.Get().(*buffer)
	if buf == nil {
		buf = &buffer{b: make([]byte, 0, firstBuffer)}
	}
	buf.b, buf.charged = buf.b[:0], 0
	v := s.fill(buf, r.Body)
	if v == nil && r.ContentLength >= 0 && int64(len(buf.b)) != r.ContentLength {
		v = &verdict{outcome: malformed, reason: "body is shorter than its Content-Length"}
	}
	if v != nil {
		s.inFlightBytes.Add(-buf.charged)
		s.recycle(buf)
		return nil, v
	}
	return buf, nil
}

func (s *Server) fill(buf *buffer, body io.Reader) *verdict {
	if !s.charge(buf, int64(cap(buf.b))) {
		return &verdict{outcome: busy}
	}
	for {
		if len(buf.b) == cap(buf.b) {
			size := min(2*int64(cap(buf.b)), max(s.cfg.MaxBody+1, int64(cap(buf.b))+1))
			if !s.charge(buf, size-int64(cap(buf.b))) {
				return &verdict{outcome: busy}
			}
			buf.b = append(make([]byte, 0, size), buf.b...)
		}
		n, err := body.Read(buf.b[len(buf.b):cap(buf.b)])
		buf.b = buf.b[:len(buf.b)+n]
		if int64(len(buf.b)) > s.cfg.MaxBody {
			return &verdict{outcome: tooLarge}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return readFailure(err)
		}
	}
}

func (s *Server) charge(buf *buffer, n int64) bool {
	if s.inFlightBytes.Add(n) > s.cfg.InFlightBytes {
		s.inFlightBytes.Add(-n)
		return false
	}
	buf.charged += n
	return true
}

func (s *Server) recycle(buf *buffer) {
	if cap(buf.b) <= pooledBuffer {
		s.buffers.Put(buf)
	}
}

func readFailure(err error) *verdict {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return &verdict{outcome: tooSlow}
	}
	if errors.Is(err, context.Canceled) {
		return &verdict{outcome: malformed, reason: "the sender hung up"}
	}
	return &verdict{outcome: malformed, reason: "body cannot be read"}
}
