// Package channels holds no code: its tests play one and the same trade on the simulators of
// all five sales channels, and compare what comes of it. They run the connectors, their
// translators and the rooms in memory, without engines.
package channels
