package connectors

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// Secret is a reference to a secret: "env:NAME" or "file:PATH". The value itself never
// stands in a configuration, a log, a topic or an error; it is read when it is needed, so
// that a rotated secret is taken up without a restart.
type Secret string

// Validate reports whether the reference has a known form. It does not read it.
func (s Secret) Validate() error {
	switch kind, rest, _ := strings.Cut(string(s), ":"); {
	case (kind == "env" || kind == "file") && rest != "":
		return nil
	default:
		// The text may be a secret that somebody pasted: it is not repeated.
		return fmt.Errorf("not a reference to a secret: write env:NAME or file:PATH")
	}
}

// Resolve reads the secret. A file's trailing newline is not part of it.
func (s Secret) Resolve() (string, error) {
	if err := s.Validate(); err != nil {
		return "", err
	}
	kind, rest, _ := strings.Cut(string(s), ":")
	if kind == "env" {
		v := os.Getenv(rest)
		if v == "" {
			return "", fmt.Errorf("secret env:%s: the environment variable is not set", rest)
		}
		return v, nil
	}
	b, err := os.ReadFile(rest)
	if err != nil {
		return "", fmt.Errorf("secret file:%s: %w", rest, err)
	}
	v := strings.TrimRight(string(b), "\r\n")
	if v == "" {
		return "", fmt.Errorf("secret file:%s: the file is empty", rest)
	}
	return v, nil
}

// LogValue keeps even the reference of a mistyped secret out of the log.
func (s Secret) LogValue() slog.Value {
	if s.Validate() != nil {
		return slog.StringValue("invalid secret reference")
	}
	return slog.StringValue(string(s))
}
