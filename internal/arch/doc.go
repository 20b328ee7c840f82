// Package arch holds no code: its test keeps the import rules of the house.
package arch
