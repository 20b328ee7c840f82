// Package chaos proves that nothing is lost, counted twice or done twice when processes are
// killed: every role runs as a process of its own on real engines, trades against simulated
// shops and a simulated warehouse, and dies at named points, over and over. Trade is sales and
// returns, what the back office asks of the shops, and buyers who want to be told or forgotten.
//
// It holds tests only. Without REQUIRE_SERVICES=1 they are skipped. CROSSDOCK_CHAOS=long goes
// through the whole matrix of roles and points and adds what befalls engines: Redis put back
// to an older state, and wiped; the broker and ClickHouse killed; roles stopped for longer
// than their group waits. CROSSDOCK_BIN names the binary; otherwise it is built.
package chaos
