// Package push carries out what the stock room decided: it makes listings show their
// newest target, and decides nothing itself.
//
// In: push.targets, one record for each decision, keyed account/listing, through
// stream.Executor. Out: stock writes at the platforms; each outcome to push.outcomes and,
// as an input of the stock room, to stock.in, acknowledged before the record counts as done;
// alerts; the newest target again, where a late writer left an older one as the last record
// of its key. Keeps: in Redis, for each listing, the target that was last accepted, which is
// what the platform is believed to show; losing it costs one read of each listing. In memory:
// one target for each listing that has something to do.
//
// The rules:
//   - Of a listing only the newest target matters. An older one that was not begun is done the
//     moment a newer one, from a later offset of the same partition, is held: the offset that is
//     committed stays below the newer one until that was carried out.
//   - One lane for each account, one call at a time in it, decreases first. A lane that fails
//     waits by itself: with back-off, for as long as the platform asks, or, when the account
//     needs its owner, slowly until he came. What waits long is written to the end of the topic
//     again, so that it does not hold back the others' offsets.
//   - A write compares with what we believe is shown. A stale belief is replaced by what the
//     platform says; a raise then waits a moment, because what we did not expect is usually a
//     sale whose own event is on its way, and a raise would sell that unit twice.
//   - An unknown outcome is read back before anything else is written.
//   - Versions never go back: a target not newer than what was accepted is not executed, and who
//     stores an acceptance finds out whether somebody else wrote meanwhile, and looks again.
//
// Crash: everything not done is offered again. The belief in Redis is written last, so the
// same intent is sent with the same command id and expectation, which a platform with
// idempotency keys recognises. Crash points of the role "push": Claim (before the call), Call
// (after the answer), Record (recorded, before it counts as done).
package push
