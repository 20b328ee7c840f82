package config

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// How a file is read, and how a mistake in it is told: with file, line and key.

// Load reads and validates a file.
func Load(path string) (*Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w (write one with `crossdock config example`)", err)
	}
	return Parse(path, b)
}

// ParseConnection reads one connection as it stands below its name in a file. It is validated
// with the configuration that it becomes part of.
func ParseConnection(text string) (c Connection, err error) {
	if err := yaml.UnmarshalWithOptions([]byte(text), &c, yaml.Strict()); err != nil {
		return Connection{}, located("connection", err)
	}
	return c, nil
}

// Parse reads a configuration; path is what errors call it.
func Parse(path string, b []byte) (*Config, error) {
	c := Default()
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, located(path, err)
	}
	c.path, c.file, c.sum = path, file, SumOf(b)
	if err := yaml.UnmarshalWithOptions(b, &c, yaml.Strict()); err != nil {
		return nil, located(path, duration(file, err))
	}
	return &c, c.Validate()
}

// located turns the parser's error into file:line:column: message, without the source
// around it, which may hold a secret that somebody pasted.
func located(path string, err error) error {
	var ye yaml.Error
	if errors.As(err, &ye) {
		msg := ye.GetMessage()
		if t := ye.GetToken(); t != nil {
			key := t.Value
			if strings.Contains(msg, "unknown field") {
				msg += ": no such key; `crossdock config schema` lists all"
				key = ""
			}
			if key != "" && t.Prev != nil && t.Prev.Prev != nil && t.Prev.Value == ":" {
				msg = fmt.Sprintf("key %q: %s", t.Prev.Prev.Value, msg)
			}
			return fmt.Errorf("%s:%d:%d: %s", path, t.Position.Line, t.Position.Column, msg)
		}
		return fmt.Errorf("%s: %s", path, msg)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// badDuration is how the standard library names a duration that it cannot read; the parser
// passes it on without a place.
var badDuration = regexp.MustCompile(`in duration "(.*)"$|invalid duration "(.*)"$`)

// duration finds the place of a duration that cannot be read.
func duration(file *ast.File, err error) error {
	var ye yaml.Error
	m := badDuration.FindStringSubmatch(err.Error())
	if m == nil || errors.As(err, &ye) {
		return err
	}
	found := err
	for _, doc := range file.Docs {
		ast.Walk(finder(func(n ast.Node) {
			if v, ok := n.(*ast.MappingValueNode); ok && v.Value.GetToken() != nil && v.Value.GetToken().Value == m[1]+m[2] {
				pos := v.Value.GetToken().Position
				found = &yaml.SyntaxError{
					Message: fmt.Sprintf("key %q: %q is no duration: write it as 15m or 1h30m", v.Key.GetToken().Value, m[1]+m[2]),
					Token:   &token.Token{Position: pos},
				}
			}
		}), doc.Body)
	}
	return found
}

type finder func(ast.Node)

func (f finder) Visit(n ast.Node) ast.Visitor { f(n); return f }

// at gives an error the place of a key, "kafka.sasl.mechanism"; the nearest key above counts
// when it is not in the file.
func (c *Config) at(key string, err error) error {
	if err == nil {
		return nil
	}
	place := c.path
	if place == "" {
		place = "configuration"
	}
	for k := key; c.file != nil && k != ""; {
		if p, perr := yaml.PathString("$." + quotePath(k)); perr == nil {
			if n, nerr := p.FilterFile(c.file); nerr == nil && n != nil && n.GetToken() != nil {
				pos := n.GetToken().Position
				place = fmt.Sprintf("%s:%d:%d", c.path, pos.Line, pos.Column)
				break
			}
		}
		i := strings.LastIndexByte(k, '.')
		if i < 0 {
			break
		}
		k = k[:i]
	}
	return fmt.Errorf("%s: key %q: %w", place, key, err)
}

// quotePath lets names with a dash or a digit stand in a path.
func quotePath(key string) string {
	parts := strings.Split(key, ".")
	for i, p := range parts {
		// The place in a list stays outside of the quotes.
		name, place, listed := strings.Cut(p, "[")
		if !strings.ContainsAny(name, "-0123456789") {
			continue
		}
		if parts[i] = "'" + name + "'"; listed {
			parts[i] += "[" + place
		}
	}
	return strings.Join(parts, ".")
}
