// Package e2e plays a small year of trade, written by the test, through the whole pipeline on
// the embedded engines: every rule of the merchant occurs in it, and every figure is known. It
// holds tests only.
package e2e
