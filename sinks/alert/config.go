package alert

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"time"

	"github.com/helloword/crossdock/connectors"
)

// Severity orders alerts.
type Severity string

// From what is worth a note to what costs money now.
const (
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

func (s Severity) rank() int {
	switch s {
	case Critical:
		return 3
	case Warning:
		return 2
	case Info:
		return 1
	}
	return 0
}

// Config says whom to tell, and how often.
type Config struct {
	Webhook Webhook
	Mail    Mail
	// Window: the same kind and subject is told once in so long, with a count; 0 = 15 min.
	Window time.Duration
	// SubjectsPerKind bounds how many subjects of one kind are told one by one; all further ones
	// are told as one, with their count; 0 = 50.
	SubjectsPerKind int
	// MinSeverity is the least that is told; "" = warning.
	MinSeverity Severity
	// Timeout bounds one call; 0 = 20 s.
	Timeout time.Duration
}

// Webhook is an address that takes notifications as JSON, signed.
type Webhook struct {
	// URL is a reference to the address, which is a secret for many receivers: env:NAME or
	// file:PATH. Empty = no webhook.
	URL connectors.Secret
	// Key is a reference to the key of the signature.
	Key connectors.Secret
}

// Mail is a mail server and whom to write to.
type Mail struct {
	// Server is host:port. Empty = no mail.
	Server string
	From   string
	To     []string
	// TLS is "starttls" (default), "tls" from the first byte, or "none".
	TLS      string
	Username string
	Password connectors.Secret
}

// Validate reports what is wrong with the configuration, without asking anybody.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("alert: "+format, args...)) }
	if c.Webhook.URL != "" {
		if err := c.Webhook.URL.Validate(); err != nil {
			bad("webhook url: %w", err)
		}
		if err := c.Webhook.Key.Validate(); err != nil {
			bad("webhook key: %w", err)
		}
	}
	if m := c.Mail; m.Server != "" {
		if _, _, err := net.SplitHostPort(m.Server); err != nil {
			bad("mail server %q: write host:port", m.Server)
		}
		if _, err := mail.ParseAddress(m.From); err != nil {
			bad("mail sender %q is not an address", m.From)
		}
		if len(m.To) == 0 {
			bad("mail: nobody to write to")
		}
		for _, to := range m.To {
			if _, err := mail.ParseAddress(to); err != nil {
				bad("mail receiver %q is not an address", to)
			}
		}
		switch m.TLS {
		case "", "starttls", "tls":
		case "none":
			if m.Username != "" {
				bad("mail: a password without TLS could be read on the way: use starttls or tls")
			}
		default:
			bad("mail tls %q: use starttls, tls or none", m.TLS)
		}
		if m.Username != "" {
			if err := m.Password.Validate(); err != nil {
				bad("mail password: %w", err)
			}
		}
	}
	if c.MinSeverity != "" && c.MinSeverity.rank() == 0 {
		bad("severity %q: use info, warning or critical", c.MinSeverity)
	}
	if c.Window < 0 || c.Timeout < 0 || c.SubjectsPerKind < 0 {
		bad("a duration or a number is negative")
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.Window == 0 {
		c.Window = 15 * time.Minute
	}
	if c.SubjectsPerKind == 0 {
		c.SubjectsPerKind = 50
	}
	if c.MinSeverity == "" {
		c.MinSeverity = Warning
	}
	if c.Timeout == 0 {
		c.Timeout = 20 * time.Second
	}
	return c
}

// checkURL refuses what is no address; the address itself is not repeated.
func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return errors.New("alert: the webhook's url is not http(s)://host/…")
	}
	return nil
}
