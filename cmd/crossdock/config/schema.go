package config

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/helloword/crossdock/connectors"
)

// Schema is the JSON Schema of the file, for editors and checks.
func Schema() ([]byte, error) {
	r := jsonschema.Reflector{
		FieldNameTag:               "yaml",
		RequiredFromJSONSchemaTags: true,
		ExpandedStruct:             true,
		Anonymous:                  true,
		// Several packages have a Config: the name alone is not enough.
		Namer: func(t reflect.Type) string { return strings.ReplaceAll(t.String(), ".", "_") },
		LookupComment: func(t reflect.Type, field string) string {
			if t.Kind() != reflect.Struct || field == "" {
				return ""
			}
			f, _ := t.FieldByName(field)
			return f.Tag.Get("doc")
		},
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			switch t {
			case reflect.TypeFor[time.Duration]():
				return &jsonschema.Schema{Type: "string", Pattern: `^-?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`, Examples: []any{"15m"}}
			case reflect.TypeFor[connectors.Module]():
				names := make([]any, 0, 5)
				for _, m := range connectors.AllModules() {
					names = append(names, m)
				}
				return &jsonschema.Schema{Type: "string", Enum: names}
			case reflect.TypeFor[connectors.Secret]():
				return &jsonschema.Schema{Type: "string", Pattern: `^((env|file):.+)?$`, Examples: []any{"env:SHOP_SECRET", "file:/run/secrets/shop"}}
			}
			return nil
		},
	}
	s := r.Reflect(&Config{})
	s.Title = "crossdock.yaml"
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}
