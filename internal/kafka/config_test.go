package kafka

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/helloword/crossdock/schemas"
)

type secret string

func (s secret) Resolve() (string, error) {
	if s == "" {
		return "", errors.New("no such secret")
	}
	return string(s), nil
}

func TestConfigRefuses(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.pem")
	if err := os.WriteFile(junk, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	brokers := []string{"127.0.0.1:1"}
	for says, cfg := range map[string]Config{
		"at least one host:port":     {},
		"needs username and":         {Brokers: brokers, SASL: SASLConfig{Mechanism: "PLAIN"}},
		"use PLAIN, SCRAM-SHA-256":   {Brokers: brokers, SASL: SASLConfig{Mechanism: "GSSAPI"}},
		"tls.ca_file:":               {Brokers: brokers, TLS: TLSConfig{Enabled: true, CAFile: filepath.Join(dir, "absent")}},
		"no certificate in it":       {Brokers: brokers, TLS: TLSConfig{Enabled: true, CAFile: junk}},
		"tls.cert_file, tls.key_fil": {Brokers: brokers, TLS: TLSConfig{Enabled: true, CertFile: junk, KeyFile: junk}},
	} {
		if _, err := Open(cfg, schemas.Scope{}, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("config %+v: %v, want an error that says %q", cfg, err, says)
		}
	}
}

func TestSASL(t *testing.T) {
	for _, m := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(m, func(t *testing.T) {
			p := fake(t, kfake.EnableSASL(), kfake.Superuser(m, "user", "right"))
			p.cfg.SASL = SASLConfig{Mechanism: m, Username: "user", Password: secret("right")}
			apply(t, p.open(t), small, total)
			p.cfg.SASL.Password = secret("wrong")
			if err := p.open(t).Ping(t.Context()); err == nil {
				t.Error("a wrong password was accepted")
			} else if strings.Contains(err.Error(), "wrong") && strings.Contains(err.Error(), "right") {
				t.Errorf("the error names a password: %v", err)
			}
		})
	}
}

func TestVersionOfTheCluster(t *testing.T) {
	everywhere(t, func(t *testing.T, p *place) {
		text, ok, err := p.open(t).Version(t.Context())
		if err != nil || !ok || text == "" {
			t.Errorf("version %q, 4.0 or newer: %v, %v", text, ok, err)
		}
	})
}

// A table with personal data tells Kafka by when the older states of a key have to be gone.
func TestCompactionHasAnEnd(t *testing.T) {
	for _, topic := range []schemas.Topic{schemas.Orders, schemas.StockLevels} {
		got, ok := settings(topic, Layout{})["max.compaction.lag.ms"]
		if ok != topic.Personal || ok && got != "259200000" {
			t.Errorf("%s: max.compaction.lag.ms %q, %v", topic.Name, got, ok)
		}
	}
}
