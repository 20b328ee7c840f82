package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	status := http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"status":"as told","kafka":"ok"}`))
	}))
	ask := func() (string, error) {
		var out bytes.Buffer
		c := healthCommand()
		c.SetOut(&out)
		c.SetErr(&out)
		c.SetArgs([]string{"--url", srv.URL})
		err := c.ExecuteContext(t.Context())
		return out.String(), err
	}
	if out, err := ask(); err != nil || !strings.Contains(out, `"kafka":"ok"`) {
		t.Errorf("ready: %q, %v", out, err)
	}
	status = http.StatusServiceUnavailable
	if _, err := ask(); err == nil || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), "as told") {
		t.Errorf("not ready: error %v, want the status and what was said", err)
	}
	srv.Close()
	if _, err := ask(); err == nil {
		t.Error("nobody there: no error")
	}
}
