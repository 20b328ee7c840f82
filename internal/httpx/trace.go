package httpx

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// traceLength of a version 00 traceparent: 2-32-16-2 hexadecimal digits and three dashes.
const traceLength = 55

// TraceParent passes a W3C trace context on (www.w3.org/TR/trace-context, version 00), or
// starts a new one, not sampled, when the caller sent none or a broken one. What comes from
// outside is copied only when each of its characters is where the specification wants it.
func TraceParent(received string) string {
	if validTrace(received) {
		return received
	}
	var id [24]byte
	for i := 0; i < len(id); i += 8 {
		// An identifier of all zeros is invalid; | 1 rules it out.
		binary.BigEndian.PutUint64(id[i:], rand.Uint64()|1)
	}
	out := make([]byte, 0, traceLength)
	out = append(out, "00-"...)
	out = hex.AppendEncode(out, id[:16])
	out = append(out, '-')
	out = hex.AppendEncode(out, id[16:])
	return string(append(out, "-00"...))
}

func validTrace(s string) bool {
	if len(s) != traceLength || s[:3] != "00-" {
		return false
	}
	zeroTrace, zeroSpan := true, true
	for i := 3; i < traceLength; i++ {
		c := s[i]
		if i == 35 || i == 52 {
			if c != '-' {
				return false
			}
			continue
		}
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
		if c != '0' {
			zeroTrace = zeroTrace && i >= 35
			zeroSpan = zeroSpan && (i < 36 || i >= 52)
		}
	}
	return !zeroTrace && !zeroSpan
}
