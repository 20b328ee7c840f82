// Package testkit is what several packages' tests need: the shared data folder, and the
// addresses of real engines. It is imported by tests only.
package testkit

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Required says that a missing engine or data file is a failure, not a reason to skip.
func Required() bool { return os.Getenv("REQUIRE_SERVICES") == "1" }

// Shared returns the path of a file below the shared data folder (CROSSDOCK_SHARED, default
// ../shared beside the repository). It skips the test with a notice when the file is absent,
// and fails it when Required.
func Shared(t testing.TB, parts ...string) string {
	t.Helper()
	root := os.Getenv("CROSSDOCK_SHARED")
	if root == "" {
		_, file, _, _ := runtime.Caller(0)
		root = filepath.Join(filepath.Dir(file), "..", "..", "..", "shared")
	}
	path := filepath.Join(append([]string{root}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		missing(t, "shared data "+filepath.Join(parts...)+" is not here: set CROSSDOCK_SHARED to the folder that holds it")
	}
	return path
}

// Kafka, Redis and ClickHouse return the address (host:port) of the real engine that
// `make services` started.
func Kafka(t testing.TB) string      { t.Helper(); return engine(t, "CROSSDOCK_TEST_KAFKA") }
func Redis(t testing.TB) string      { t.Helper(); return engine(t, "CROSSDOCK_TEST_REDIS") }
func ClickHouse(t testing.TB) string { t.Helper(); return engine(t, "CROSSDOCK_TEST_CLICKHOUSE") }

func engine(t testing.TB, variable string) string {
	t.Helper()
	addr := os.Getenv(variable)
	if addr == "" {
		missing(t, variable+" is not set: run `make services` and source its env file")
	}
	return addr
}

func missing(t testing.TB, why string) {
	t.Helper()
	if Required() {
		t.Fatal(why)
	}
	t.Skip(why)
}
