package webhook

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"time"
)

// Config of the webhook server. Zero fields take the defaults named beside them.
type Config struct {
	// Address to listen on, host:port; default "127.0.0.1:8080".
	Address string `yaml:"address"`
	// MaxBody bounds one body in bytes; default 2 MiB.
	MaxBody int64 `yaml:"max_body"`
	// MaxHeader bounds the headers of one request in bytes; default 32 KiB.
	MaxHeader int `yaml:"max_header"`
	// ReadTimeout bounds receiving one request with its body; default 10 s.
	ReadTimeout time.Duration `yaml:"read_timeout"`
	// AnswerTimeout bounds what follows, up to Kafka's acknowledgement; default 4 s, below the
	// 5 s after which the first platforms give up.
	AnswerTimeout time.Duration `yaml:"answer_timeout"`
	// RetryAfter is what a caller is told to wait when there is no room or no Kafka; default 5 s.
	RetryAfter time.Duration `yaml:"retry_after"`
	// InFlight bounds the requests worked on at once; default 1,024.
	InFlight int64 `yaml:"in_flight"`
	// InFlightBytes bounds the memory of their bodies; default 64 MiB.
	InFlightBytes int64 `yaml:"in_flight_bytes"`
	// DrainTimeout is how long a stop waits for requests under way; default 10 s.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
}

func (c Config) withDefaults() Config {
	c.Address = cmp.Or(c.Address, "127.0.0.1:8080")
	c.MaxBody = cmp.Or(c.MaxBody, 2<<20)
	c.MaxHeader = cmp.Or(c.MaxHeader, 32<<10)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 10*time.Second)
	c.AnswerTimeout = cmp.Or(c.AnswerTimeout, 4*time.Second)
	c.RetryAfter = cmp.Or(c.RetryAfter, 5*time.Second)
	c.InFlight = cmp.Or(c.InFlight, 1024)
	c.InFlightBytes = cmp.Or(c.InFlightBytes, 64<<20)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 10*time.Second)
	return c
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	_, _, err := net.SplitHostPort(c.Address)
	wrong(err != nil, "address %q: write host:port", c.Address)
	wrong(c.MaxBody < 1, "max_body %d: write a number of bytes above 0", c.MaxBody)
	wrong(c.MaxHeader < 4<<10, "max_header %d: at least 4096 bytes, platforms send large headers", c.MaxHeader)
	wrong(c.InFlight < 1, "in_flight %d: at least 1", c.InFlight)
	wrong(c.InFlightBytes < c.MaxBody, "in_flight_bytes %d: at least max_body (%d), or the largest body never fits", c.InFlightBytes, c.MaxBody)
	for _, d := range []struct {
		key   string
		value time.Duration
	}{
		{"read_timeout", c.ReadTimeout}, {"answer_timeout", c.AnswerTimeout},
		{"retry_after", c.RetryAfter}, {"drain_timeout", c.DrainTimeout},
	} {
		wrong(d.value < time.Millisecond, "%s %s: write a duration above 0, such as 4s", d.key, d.value)
	}
	return errors.Join(errs...)
}
