package config

import (
	"reflect"
	"slices"
	"strings"
)

// live are the keys that a running process takes up; "*" stands for one name, and what lies
// below a key belongs to it. All others need a restart.
var live = []string{
	"poll",
	"connections.*.poll",
	"connections.*.push_interval",
	"push",
	"alert",
	"stock.policies",
	"catalog.mappings",
	"telemetry.log_level",
	"telemetry.traces.sample_ratio",
}

// Live reports whether a running process takes up a change of this key.
func Live(key string) bool {
	parts := strings.Split(key, ".")
	for _, l := range live {
		pattern := strings.Split(l, ".")
		if len(parts) < len(pattern) {
			continue
		}
		match := true
		for i, p := range pattern {
			match = match && (p == "*" || p == parts[i])
		}
		if match {
			return true
		}
	}
	return false
}

// Diff lists the keys whose values differ, sorted: never the values. A list counts as one value,
// a connection that is there only once as one key.
func Diff(a, b *Config) []string {
	var keys []string
	differ(reflect.ValueOf(*a), reflect.ValueOf(*b), "", &keys)
	slices.Sort(keys)
	return keys
}

func differ(a, b reflect.Value, key string, keys *[]string) {
	below := func(name string) string { return strings.TrimPrefix(key+"."+name, ".") }
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			f := a.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			differ(a.Field(i), b.Field(i), below(name), keys)
		}
	case reflect.Map:
		for _, k := range a.MapKeys() {
			if other := b.MapIndex(k); other.IsValid() {
				differ(a.MapIndex(k), other, below(k.String()), keys)
			} else {
				*keys = append(*keys, below(k.String()))
			}
		}
		for _, k := range b.MapKeys() {
			if !a.MapIndex(k).IsValid() {
				*keys = append(*keys, below(k.String()))
			}
		}
	case reflect.Pointer:
		if !a.IsNil() && !b.IsNil() {
			differ(a.Elem(), b.Elem(), key, keys)
		} else if a.IsNil() != b.IsNil() {
			*keys = append(*keys, key)
		}
	case reflect.Slice:
		// An empty list and none mean the same.
		if a.Len() != b.Len() || a.Len() > 0 && !reflect.DeepEqual(a.Interface(), b.Interface()) {
			*keys = append(*keys, key)
		}
	default:
		if !reflect.DeepEqual(a.Interface(), b.Interface()) {
			*keys = append(*keys, key)
		}
	}
}
