package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/helloword/crossdock/cmd/crossdock/config"
	"github.com/helloword/crossdock/schemas"
)

func initCommand() *cobra.Command {
	var s config.Starter
	var environment, out string
	var yes bool
	c := &cobra.Command{
		Use:     "init",
		Short:   "Write a first configuration: which platforms, which modules",
		GroupID: "set",
		Long: `Asks which platforms are wanted and what is to flow, and writes a commented configuration that is
valid: what you do not answer gets an example that you change later. Secrets are not asked for:
they stand in the file as names of environment variables, which are listed in the end. A file
that is there already is left alone.

When standard input is no terminal, or with --yes, the flags decide.`,
		Example: `  crossdock init
  crossdock init --channels shopify,ebay --modules orders,inventory --yes
  crossdock init --channels woocommerce --environment test --out try.yaml --yes`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringSliceVar(&s.Channels, "channels", nil, "platforms: "+strings.Join(config.StarterChannels(), ", "))
	f.StringSliceVar(&s.Modules, "modules", nil, "what flows: "+strings.Join(config.StarterModules(), ", ")+" (default all)")
	f.StringVar(&s.Tenant, "tenant", "acme", "name of the tenant: a-z, 0-9 and _")
	f.StringVar(&environment, "environment", string(schemas.Production), "production for real shops, test for simulators")
	f.StringVar(&out, "out", "crossdock.yaml", "`FILE` to write")
	f.BoolVar(&yes, "yes", false, "ask nothing")
	c.RunE = func(c *cobra.Command, _ []string) error {
		s.Environment = schemas.Environment(environment)
		// Before many questions, not after them.
		if _, err := os.Lstat(out); err == nil {
			return fmt.Errorf("%s is there already and is left alone: name another file with --out", out)
		}
		if !yes && terminal(c.InOrStdin()) {
			if err := interview(c.InOrStdin(), c.OutOrStdout(), &s); err != nil {
				return err
			}
		}
		if len(s.Channels) == 0 {
			return fmt.Errorf("name the platforms with --channels: %s", strings.Join(config.StarterChannels(), ", "))
		}
		text, vars, err := s.Write()
		if err != nil {
			return err
		}
		if err := create(out, text); err != nil {
			return err
		}
		return next(c.OutOrStdout(), out, vars, s.Asks())
	}
	return c
}

// create writes a file that must not be there.
func create(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already and is left alone: name another file with --out", path)
	}
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	_, err = io.WriteString(f, text)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}

// next says what there is to do.
func next(w io.Writer, path string, vars []config.Variable, asks []string) error {
	rows := make([][]string, len(vars))
	for i, v := range vars {
		rows[i] = []string{v.Name, v.What}
	}
	fmt.Fprintf(w, "%s is written and valid. Lines that end with a comment hold examples: change them.\n\nSet these environment variables (or write file:PATH instead of env:NAME):\n\n", path)
	if err := table(w, []string{"VARIABLE", "WHAT"}, rows); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nThen:\n  crossdock config validate -c %s\n  crossdock topics apply -c %s && crossdock migrate -c %s\n", path, path, path)
	for _, name := range asks {
		fmt.Fprintf(w, "  crossdock connect %s -c %s\n", name, path)
	}
	_, err := fmt.Fprintf(w, "  crossdock check -c %s\n  crossdock run -c %s\n", path, path)
	return err
}

// terminal reports whether somebody can be asked.
func terminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// patience is how often one question is asked.
const patience = 5

// interview asks for what the flags do not say. An empty answer takes what stands in brackets.
func interview(in io.Reader, out io.Writer, s *config.Starter) error {
	lines := bufio.NewScanner(in)
	ask := func(question, preset string) (string, error) {
		fmt.Fprintf(out, "%s [%s]: ", question, preset)
		if !lines.Scan() {
			return "", errors.Join(errors.New("nothing was written: the questions were not answered"), lines.Err())
		}
		if a := strings.TrimSpace(lines.Text()); a != "" {
			return a, nil
		}
		return preset, nil
	}
	choose := func(question string, known []string, preset string) ([]string, error) {
		for range patience {
			a, err := ask(question+" ("+strings.Join(known, ", ")+")", preset)
			if err != nil {
				return nil, err
			}
			chosen := strings.FieldsFunc(a, func(r rune) bool { return r == ',' || r == ' ' })
			if i := slices.IndexFunc(chosen, func(n string) bool { return !slices.Contains(known, n) }); i >= 0 {
				fmt.Fprintf(out, "%q is none of them.\n", chosen[i])
			} else if len(chosen) > 0 {
				return chosen, nil
			}
		}
		return nil, errors.New("nothing was written: the questions were not answered")
	}
	var err error
	if len(s.Channels) == 0 {
		if s.Channels, err = choose("Which platforms?", config.StarterChannels(), "shopify"); err != nil {
			return err
		}
	}
	if len(s.Modules) == 0 {
		if s.Modules, err = choose("What is to flow?", config.StarterModules(), strings.Join(config.StarterModules(), ",")); err != nil {
			return err
		}
	}
	questions, err := s.Questions()
	if err != nil {
		return err
	}
	s.Answers = make(map[string]string)
	for _, q := range questions {
		a, err := ask(q.Text, q.Default)
		if err != nil {
			return err
		}
		if a != q.Default {
			s.Answers[q.Key] = a
		}
	}
	return nil
}
