// Package commands decides what the seller's requests mean for a platform, and when: prices,
// shipments, cancellations and refunds.
//
// In (commands.in, key account/order or price:account/listing): commands, and what became of
// each attempt at one, and that an order's buyer is to be forgotten. Out: the book of an order or
// of a listing's price whenever it changed (table commands.v1), a versioned target that says what
// is to be done now, or that nothing is (push.commands), and an alert for each command that was
// refused or that needs a person.
//
// It keeps one book per order and per listing: every command with its state, in the order in
// which they were requested. The rules:
//   - A command is its id. What comes under an id again is the same command; something else
//     under it goes to the dead letters.
//   - The commands of one order are carried out one at a time: of those that wait the one that
//     was requested first, by the seller's clock. What one of them came to does not keep back
//     the next: whether a shipped order can be cancelled is the platform's word.
//   - Of a listing's prices the one requested last counts. Older ones are superseded, whichever
//     came first, and one that is being carried out gives way at once.
//   - What a command says is handed on as it is: a refund is never of more.
//   - Of an order whose buyer was forgotten, commands that are over name nobody.
//   - Whoever says that it was done is right, whatever was heard before: an attempt that was
//     refused may have been made again after a crash, and taken.
//
// A crash costs a repetition: the book and its target as they stand now, with the versions they
// have, and the alerts that may not have been told.
package commands
