package config

import _ "embed"

// Example is a commented configuration that loads.
//
//go:embed example.yaml
var Example string
