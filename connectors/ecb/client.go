package ecb

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/httpx"
)

// Sizes in April 2026: daily 2 kB, zip 630 kB, CSV 1.9 MB.
const (
	maxDaily   = 1 << 20
	maxZip     = 16 << 20
	maxHistory = 64 << 20
	timeout    = 60 * time.Second
)

// download reads one file whole. The time is the server's clock, zero if it did not tell.
func (c *client) download(ctx context.Context, method, file string, limit int64) ([]byte, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if c.limiter != nil {
		if err := c.limiter.Wait(ctx, "download", 1, connectors.Normal); err != nil {
			return nil, time.Time{}, fmt.Errorf("waiting for the quota of %s: %w", file, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath(file).String(), nil)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("asking for %s: %w", file, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("downloading %s: %w", file, err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, time.Time{}, fmt.Errorf("downloading %s from %s: %w", file, c.base.Host, statusError(resp))
	}
	body, err := httpx.ReadBody(resp, limit)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("downloading %s from %s: %w", file, c.base.Host, err)
	}
	now, _ := http.ParseTime(resp.Header.Get("Date"))
	return body, now, nil
}

func statusError(resp *http.Response) error {
	err := fmt.Errorf("HTTP status %d", resp.StatusCode)
	switch {
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone:
		return fmt.Errorf("%w: %w: check base_url", err, connectors.ErrPermanent)
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		if s, e := strconv.Atoi(resp.Header.Get("Retry-After")); e == nil && s > 0 {
			return &connectors.RetryAfterError{After: min(time.Duration(s)*time.Second, time.Hour), Err: err}
		}
	}
	return err
}

func (c *client) daily(ctx context.Context) (day, time.Time, error) {
	body, now, err := c.download(ctx, http.MethodGet, dailyFile, maxDaily)
	if err != nil {
		return day{}, now, err
	}
	d, err := parseDaily(body)
	if err != nil {
		return day{}, now, fmt.Errorf("reading %s of %s: %w", dailyFile, c.base.Host, err)
	}
	return d, now, nil
}

func (c *client) history(ctx context.Context) ([]day, time.Time, error) {
	body, now, err := c.download(ctx, http.MethodGet, historyFile, maxZip)
	if err != nil {
		return nil, now, err
	}
	csv, err := unzip(body)
	if err != nil {
		return nil, now, fmt.Errorf("reading %s of %s: %w", historyFile, c.base.Host, err)
	}
	days, err := splitHistory(csv)
	if err != nil {
		return nil, now, fmt.Errorf("reading %s of %s: %w", historyFile, c.base.Host, err)
	}
	return days, now, nil
}

// unzip returns the only file of an archive, its checksum verified.
func unzip(archive []byte) ([]byte, error) {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("not a complete zip file (%d bytes that begin with %.16q): %w", len(archive), archive, err)
	}
	if len(z.File) != 1 {
		return nil, fmt.Errorf("%d files in the zip, want one", len(z.File))
	}
	f, err := z.File[0].Open()
	if err != nil {
		return nil, fmt.Errorf("opening %.64q in the zip: %w", z.File[0].Name, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxHistory+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("unpacking %.64q: %w", z.File[0].Name, err)
	}
	if len(b) > maxHistory {
		return nil, fmt.Errorf("%.64q is larger than %d bytes", z.File[0].Name, maxHistory)
	}
	return b, nil
}

type checker struct{ *client }

// Check asks whether the two files are there and readable.
func (c *checker) Check(ctx context.Context) ([]connectors.CheckResult, error) {
	const advice = "see whether this machine reaches the address of base_url (firewall, proxy), and that the ECB is not down for maintenance"
	latest := connectors.CheckResult{Subject: "latest rates", OK: true}
	if d, _, err := c.daily(ctx); err != nil {
		latest.OK, latest.Detail, latest.Advice = false, err.Error(), advice
	} else {
		latest.Detail = fmt.Sprintf("%s, %d currencies", d.date, len(d.figures))
	}
	history := connectors.CheckResult{Subject: "history file", OK: true, Detail: "is there"}
	if _, _, err := c.download(ctx, http.MethodHead, historyFile, maxZip); err != nil {
		history.OK, history.Detail, history.Advice = false, err.Error(), advice
	}
	return []connectors.CheckResult{latest, history}, ctx.Err()
}
