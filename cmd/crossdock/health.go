package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthCommand asks a running crossdock whether it can work: an image without a shell has
// nothing else to ask with.
func healthCommand() *cobra.Command {
	var url string
	c := &cobra.Command{
		Use:     "health",
		Short:   "Ask a running crossdock on this machine whether it can work",
		GroupID: "look",
		Long: `Asks the address that telemetry.listen opens, and ends with status 0 when the answer is 200.
/healthz says whether the process lives, /readyz whether it reaches its engines as well.`,
		Example: "  crossdock health --url http://127.0.0.1:9090/healthz",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), 2*time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return fmt.Errorf("health: %w", err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return fmt.Errorf("health: %w", err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
			if err != nil {
				return fmt.Errorf("health: reading the answer of %s: %w", url, err)
			}
			text := strings.TrimSpace(string(body))
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("health: %s answers %s: %s", url, resp.Status, text)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), text)
			return err
		},
	}
	c.Flags().StringVar(&url, "url", "http://127.0.0.1:9090/readyz", "address to ask")
	return c
}
