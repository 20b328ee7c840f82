package services

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/helloword/crossdock/internal/embedded"
)

const (
	kafkaVersion = "4.3.0"
	// The API that Kafka 4.3 logs through is SLF4J 1.7; a backend of another
	// line would be ignored.
	slf4jVersion = "1.7.36"
)

// Install fetches what is missing of the three engines, by package name: Kafka
// with Maven, redis-server with apt-get, the ClickHouse library with npm. With
// all there it only looks. Several processes may call it at once. progress
// receives a line per thing that is fetched.
func Install(ctx context.Context, cacheDir string, progress io.Writer) error {
	dir, err := embedded.CacheDir(cacheDir)
	if err != nil {
		return err
	}
	if progress == nil {
		progress = io.Discard
	}
	return errors.Join(
		installKafka(ctx, dir, progress),
		installRedis(ctx, dir, progress),
		func() error { _, err := embedded.Library(ctx, dir, progress); return err }(),
	)
}

func kafkaHome(cacheDir string) string { return filepath.Join(cacheDir, "kafka-"+kafkaVersion) }

// kafkaLibs is the folder with Kafka's jars, once they are all there.
func kafkaLibs(cacheDir string) (string, error) {
	dir, err := embedded.CacheDir(cacheDir)
	if err != nil {
		return "", err
	}
	home := kafkaHome(dir)
	if _, err := os.Stat(filepath.Join(home, "installed")); err != nil {
		return "", fmt.Errorf("finding Kafka in %s: %w", dir, err)
	}
	return filepath.Join(home, "libs"), nil
}

type pom struct {
	XMLName      xml.Name     `xml:"project"`
	ModelVersion string       `xml:"modelVersion"`
	GroupID      string       `xml:"groupId"`
	ArtifactID   string       `xml:"artifactId"`
	Version      string       `xml:"version"`
	Packaging    string       `xml:"packaging"`
	Dependencies []dependency `xml:"dependencies>dependency"`
}

type dependency struct {
	GroupID    string `xml:"groupId"`
	ArtifactID string `xml:"artifactId"`
	Version    string `xml:"version"`
}

func installKafka(ctx context.Context, cacheDir string, progress io.Writer) error {
	if _, err := kafkaLibs(cacheDir); err == nil {
		return nil
	}
	unlock, err := embedded.LockCache(ctx, cacheDir, "kafka")
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := kafkaLibs(cacheDir); err == nil {
		return nil
	}
	for tool, pkg := range map[string]string{"java": "a Java runtime, version 17 or newer", "mvn": "Apache Maven"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("installing Kafka: %s is not on the PATH: install %s (on Debian: apt-get install default-jre-headless maven)", tool, pkg)
		}
	}
	_, _ = fmt.Fprintf(progress, "fetching Apache Kafka %s (43 MB) into %s\n", kafkaVersion, cacheDir)
	home := kafkaHome(cacheDir)
	if err := os.RemoveAll(home); err != nil {
		return fmt.Errorf("installing Kafka: clearing a broken install: %w", err)
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return fmt.Errorf("installing Kafka: %w", err)
	}
	b, err := xml.MarshalIndent(pom{
		ModelVersion: "4.0.0", GroupID: "crossdock", ArtifactID: "kafka-libs", Version: kafkaVersion, Packaging: "pom",
		Dependencies: []dependency{
			{"org.apache.kafka", "kafka_2.13", kafkaVersion},
			{"org.slf4j", "slf4j-simple", slf4jVersion},
		},
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("installing Kafka: %w", err)
	}
	pomPath := filepath.Join(home, "pom.xml")
	if err := os.WriteFile(pomPath, b, 0o644); err != nil {
		return fmt.Errorf("installing Kafka: %w", err)
	}
	if err := run(ctx, nil, "mvn", "-q", "-B", "-f", pomPath, "dependency:copy-dependencies", "-DoutputDirectory="+filepath.Join(home, "libs")); err != nil {
		return fmt.Errorf("installing Kafka: %w", err)
	}
	if err := os.WriteFile(filepath.Join(home, "installed"), []byte(kafkaVersion+"\n"), 0o644); err != nil {
		return fmt.Errorf("installing Kafka: %w", err)
	}
	return nil
}

func installRedis(ctx context.Context, cacheDir string, progress io.Writer) error {
	if _, err := exec.LookPath("redis-server"); err == nil {
		return nil
	}
	unlock, err := embedded.LockCache(ctx, cacheDir, "redis")
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := exec.LookPath("redis-server"); err == nil {
		return nil
	}
	const byHand = "install redis-server 7.0 or newer by hand (Debian and Ubuntu: apt-get install redis-server; macOS: brew install redis)"
	if _, err := exec.LookPath("apt-get"); err != nil {
		return errors.New("installing Redis: there is no redis-server and no apt-get on the PATH: " + byHand)
	}
	if os.Geteuid() != 0 {
		return errors.New("installing Redis: there is no redis-server on the PATH, and only root may install it: " + byHand)
	}
	_, _ = fmt.Fprintln(progress, "installing redis-server with apt-get")
	// RUNLEVEL=1 keeps the package from starting the system's own server.
	env := []string{"DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"}
	if err := run(ctx, env, "apt-get", "-o", "DPkg::Lock::Timeout=120", "-q", "update"); err != nil {
		return fmt.Errorf("installing Redis: %w", err)
	}
	if err := run(ctx, env, "apt-get", "-o", "DPkg::Lock::Timeout=120", "-q", "install", "-y", "--no-install-recommends", "redis-server"); err != nil {
		return fmt.Errorf("installing Redis: %w; or %s", err, byHand)
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		return fmt.Errorf("installing Redis: the package came without redis-server on the PATH: %w", err)
	}
	return nil
}

// run executes an installer; its error carries the end of what it printed.
func run(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, args[0], err, out[max(0, len(out)-2000):])
	}
	return nil
}
