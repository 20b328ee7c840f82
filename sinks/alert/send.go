package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Headers of a webhook call. A receiver checks the signature, refuses an old time, and drops an
// id that it has seen: a message may come twice.
const (
	HeaderSignature = "X-Crossdock-Signature" // "t=<unix seconds>,v1=<hex>"
	HeaderID        = "Idempotency-Key"
)

// Message is the body of a webhook call.
type Message struct {
	ID            string         `json:"id"`
	SentAt        time.Time      `json:"sent_at"`
	Notifications []Notification `json:"notifications"`
}

// Sign is the signature over a body sent at a time: hex HMAC-SHA256 of "<unix seconds>.<body>".
func Sign(key, body []byte, at time.Time) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%d.", at.Unix())
	mac.Write(body)
	return "t=" + strconv.FormatInt(at.Unix(), 10) + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

func messageID(parts ...any) string {
	sum := sha256.Sum256(fmt.Appendln(nil, parts...))
	return hex.EncodeToString(sum[:16])
}

// sendWebhook posts a message. Whatever is not 2xx is tried again: an alert that nobody took is
// not told.
func (w *Writer) sendWebhook(ctx context.Context, id string, ns []Notification) error {
	cfg := w.cfg()
	address, err := cfg.Webhook.URL.Resolve()
	if err != nil {
		return fmt.Errorf("alert: webhook url: %w", err)
	}
	if err := checkURL(address); err != nil {
		return err
	}
	key, err := cfg.Webhook.Key.Resolve()
	if err != nil {
		return fmt.Errorf("alert: webhook key: %w", err)
	}
	now := w.deps.Now().UTC()
	body, err := json.Marshal(Message{ID: id, SentAt: now, Notifications: ns})
	if err != nil {
		return fmt.Errorf("alert: encoding: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return errors.New("alert: the webhook's url cannot be called")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(HeaderID, id)
	req.Header.Set(HeaderSignature, Sign([]byte(key), body, now))
	resp, err := w.deps.HTTP.Do(req)
	if err != nil {
		var hidden *url.Error // holds the address
		if errors.As(err, &hidden) {
			err = hidden.Err
		}
		return fmt.Errorf("alert: calling the webhook at %s: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("alert: the webhook at %s answered %s: it has to answer 2xx; is its address right and does it know the key?", req.URL.Host, resp.Status)
	}
	return nil
}

// sendMail writes one mail with all notifications.
func (w *Writer) sendMail(ctx context.Context, id string, ns []Notification) error {
	cfg := w.cfg()
	m := cfg.Mail
	msg := gomail.NewMsg()
	if err := msg.From(m.From); err != nil {
		return fmt.Errorf("alert: mail sender: %w", err)
	}
	if err := msg.To(m.To...); err != nil {
		return fmt.Errorf("alert: mail receivers: %w", err)
	}
	subject, body := mailText(ns)
	msg.Subject(subject)
	msg.SetDateWithValue(w.deps.Now())
	msg.SetMessageIDWithValue(id + "@crossdock.invalid") // the same for a repeated message
	msg.SetBodyString(gomail.TypeTextPlain, body)

	host, port, err := net.SplitHostPort(m.Server)
	if err != nil {
		return fmt.Errorf("alert: mail server: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("alert: mail server: port %q is not a number", port)
	}
	options := []gomail.Option{gomail.WithPort(number), gomail.WithTimeout(cfg.Timeout)}
	switch m.TLS {
	case "tls":
		options = append(options, gomail.WithSSL())
	case "none":
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if m.Username != "" {
		password, err := m.Password.Resolve()
		if err != nil {
			return fmt.Errorf("alert: mail password: %w", err)
		}
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(m.Username), gomail.WithPassword(password))
	}
	client, err := gomail.NewClient(host, options...)
	if err != nil {
		return fmt.Errorf("alert: mail: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	if err := client.DialAndSendWithContext(ctx, msg); err != nil {
		return fmt.Errorf("alert: sending a mail by %s: %w", m.Server, err)
	}
	return nil
}

// mailText says the worst in the subject and everything in the body.
func mailText(ns []Notification) (subject, body string) {
	worst := ns[0]
	for _, n := range ns {
		if n.Severity.rank() > worst.Severity.rank() {
			worst = n
		}
	}
	subject = fmt.Sprintf("[crossdock] %s: %s, %s", worst.Severity, worst.Kind, worst.Subject)
	if len(ns) > 1 {
		subject += fmt.Sprintf(" and %d more", len(ns)-1)
	}
	var b strings.Builder
	for _, n := range ns {
		fmt.Fprintf(&b, "%s  %s  %s\r\n", strings.ToUpper(string(n.Severity)), n.Kind, n.Subject)
		if n.Account != "" {
			fmt.Fprintf(&b, "  account  %s\r\n", n.Account)
		}
		fmt.Fprintf(&b, "  %s\r\n", n.Text)
		if n.Count > 1 {
			fmt.Fprintf(&b, "  %d times from %s to %s UTC\r\n\r\n", n.Count, n.First.UTC().Format(time.DateTime), n.Last.UTC().Format(time.DateTime))
		} else {
			fmt.Fprintf(&b, "  %s UTC\r\n\r\n", n.Last.UTC().Format(time.DateTime))
		}
	}
	return subject, b.String()
}
