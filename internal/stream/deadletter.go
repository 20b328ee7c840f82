package stream

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// ErrUnknownVersion: the record is of an event version that this program does not know.
var ErrUnknownVersion = errors.New("unknown event version")

// Coded is an error that brings its own dead-letter code.
type Coded interface{ DeadLetterCode() string }

// newDeadLetter says why a record cannot be handled.
func newDeadLetter(stage, appVersion string, r *Record, why error) *event.DeadLetter {
	attempt := int64(1)
	d := &event.DeadLetter{
		Stage: stage, Code: deadLetterCode(why), Reason: clip(strings.ToValidUTF8(why.Error(), "\ufffd"), 1000),
		Topic: r.Topic.Name, Partition: r.Partition, Offset: r.Offset, TimestampMs: r.TimestampMs,
		AppVersion: appVersion,
		Connector:  text(r.Header(schemas.HeaderConnector)), Account: text(r.Header(schemas.HeaderAccount)),
		// The record's own time: handling it again gives the same dead letter.
		FailedMs: r.TimestampMs,
	}
	if h := r.Header(schemas.HeaderAttempt); h != nil {
		if n, err := strconv.ParseInt(string(h), 10, 64); err == nil {
			attempt = n + 1
		}
	}
	d.Attempt = attempt
	return d
}

// deadLetterOf is a record's way out of the line: its bytes untouched, the reason in a header.
func deadLetterOf(stage string, r *Record, d *event.DeadLetter) Output {
	// A message of plain fields with valid text always encodes.
	b, _ := d.MarshalVTStrict()
	o := Output{Topic: schemas.DeadLetters(stage), Key: clone(r.Key), Bytes: clone(r.Value)}
	for _, h := range r.Headers {
		if h.Key != schemas.HeaderDeadLetter {
			o.Headers = append(o.Headers, Header{Key: h.Key, Value: clone(h.Value)})
		}
	}
	o.Headers = append(o.Headers, Header{Key: schemas.HeaderDeadLetter, Value: b})
	return o
}

func deadLetterCode(err error) string {
	var coded Coded
	switch {
	case errors.As(err, &coded):
		return coded.DeadLetterCode()
	case errors.Is(err, ErrUnknownVersion):
		return "unknown-version"
	default:
		return "malformed"
	}
}

// Origin writes the coordinates that a redriven record stands for.
func Origin(topic string, partition int32, offset int64) string {
	return fmt.Sprintf("%s/%d/%d", topic, partition, offset)
}

// parseOrigin returns the offset of what Origin wrote: dedup marks are kept by partition, and
// a redriven record has the key, and so the partition, of the one it stands for.
func parseOrigin(text string) (int64, error) {
	i := strings.LastIndexByte(text, '/')
	if i < 0 {
		return 0, fmt.Errorf("origin %q: want topic/partition/offset", text)
	}
	return strconv.ParseInt(text[i+1:], 10, 64)
}

func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

// text is a header's value as a message can carry it.
func text(b []byte) string { return clip(strings.ToValidUTF8(string(b), "\ufffd"), 200) }

// clip bounds a text to n bytes without cutting a rune in half.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
