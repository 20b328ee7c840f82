package redis

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
)

type secret string

func (s secret) Resolve() (string, error) {
	if s == "" {
		return "", errors.New("env:REDIS_PASSWORD: not set")
	}
	return string(s), nil
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestConfigValidate(t *testing.T) {
	one := []string{"127.0.0.1:6379"}
	for name, c := range map[string]struct {
		cfg  Config
		want string // part of the error; empty = valid
	}{
		"single":              {Config{Addrs: one}, ""},
		"none":                {Config{}, "no address"},
		"no port":             {Config{Addrs: []string{"redis"}}, `"redis": write host:port`},
		"sentinel":            {Config{Addrs: one, Master: "m"}, ""},
		"sentinel or cluster": {Config{Addrs: one, Master: "m", Cluster: true}, "exclude"},
		"cluster database":    {Config{Addrs: []string{"a:1", "b:1"}, DB: 2}, "only database 0"},
		"sentinel database":   {Config{Addrs: []string{"a:1", "b:1"}, Master: "m", DB: 2}, ""},
		"user alone":          {Config{Addrs: one, Username: "u"}, "without a password"},
		"key without cert":    {Config{Addrs: one, TLS: TLS{Enabled: true, KeyFile: "k"}}, "belong together"},
		"tls not enabled":     {Config{Addrs: one, TLS: TLS{CAFile: "ca.pem"}}, "not enabled"},
	} {
		err := c.cfg.Validate()
		if (c.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestOpenLogsInAndExplainsRefusals(t *testing.T) {
	ctx := context.Background()
	m := miniredis.RunT(t)
	m.RequireUserAuth("crossdock", "right")
	cfg := Config{Addrs: []string{m.Addr()}, Username: "crossdock", Password: secret("right")}
	c, err := Open(ctx, cfg, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Error(err)
	}
	_ = c.Close()

	cfg.Password = secret("wrong-pass-word")
	_, err = Open(ctx, cfg, quiet())
	if err == nil || !strings.Contains(err.Error(), "check user and password") || strings.Contains(err.Error(), "wrong-pass-word") {
		t.Errorf("wrong password: got %v", err)
	}
	cfg.Password = secret("")
	if _, err = Open(ctx, cfg, quiet()); err == nil || !strings.Contains(err.Error(), "env:REDIS_PASSWORD") {
		t.Errorf("missing password: got %v", err)
	}
	addr := m.Addr()
	m.Close()
	_, err = Open(ctx, Config{Addrs: []string{addr}}, quiet())
	if err == nil || !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "is it running") {
		t.Errorf("nobody there: got %v", err)
	}
}

func TestOpenNamesABrokenCertificateFile(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(context.Background(), Config{Addrs: []string{"127.0.0.1:1"}, TLS: TLS{Enabled: true, CAFile: ca}}, quiet())
	if err == nil || !strings.Contains(err.Error(), ca) {
		t.Errorf("got %v, want the file's name", err)
	}
}

func TestCheck(t *testing.T) {
	ctx := context.Background()
	m := miniredis.RunT(t)
	c, err := Open(ctx, Config{Addrs: []string{m.Addr()}}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := map[string]bool{}
	for _, r := range Check(ctx, c, "acme.test.") {
		got[r.Subject] = r.OK
		if !r.OK && r.Advice == "" {
			t.Errorf("%s failed without advice", r.Subject)
		}
	}
	want := map[string]bool{"reachable": true, "version": true, "scripts": true, "maxmemory-policy": true, "persistence": true}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	m.Close()
	if rs := Check(ctx, c, "acme.test."); len(rs) != 1 || rs[0].OK || rs[0].Advice == "" {
		t.Errorf("server away: got %+v", rs)
	}
}

func TestCheckJudgesWhatTheServerTells(t *testing.T) {
	for v, want := range map[string]bool{"7.0.15": true, "8.2.0": true, "6.2.14": false, "": true} {
		if got := checkVersion(v); got.OK != want {
			t.Errorf("version %q: got %+v, want OK=%t", v, got, want)
		}
	}
	for policy, want := range map[string]bool{"noeviction": true, "allkeys-lru": false} {
		if got := checkMemory(context.Background(), nil, policy); got.OK != want {
			t.Errorf("policy %q: got %+v, want OK=%t", policy, got, want)
		}
	}
	f := parseInfo("# Persistence\r\naof_enabled:0\r\nredis_version:7.0.15\r\n")
	if got := checkPersistence(f); got.Advice == "" || f["redis_version"] != "7.0.15" {
		t.Errorf("persistence: got %+v of %v", got, f)
	}
}
