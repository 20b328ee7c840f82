// Package simulator is one seller's account at Amazon: an http.Handler that answers the
// Selling Partner API as connectors/amazon uses it, Login with Amazon, and the Amazon SQS
// queue that notifications arrive in.
//
// It keeps what the real one keeps: orders with their times in whole seconds, listings with
// submissions that are accepted first and applied later, goods in Amazon's own warehouses,
// reports that are made in the background, feeds that wait, are processed and have a report,
// refunds that the finances tell of late, a bucket of quota for each operation, messages that are
// hidden when they were received and come again when they were not deleted. It leaves out of the
// list of orders what changed in the last two minutes, gives tokens for pages that die, never
// says what the burst of a bucket is, and signs nothing but checks every signature. What goes
// wrong is asked for by Faults.
//
// Not simulated: other feeds than those of cancellations and refunds, other finances than
// refunds, catalog items, EventBridge, FIFO queues.
package simulator
