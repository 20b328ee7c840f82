// Package push carries out what the rooms decided: it makes listings show their newest target
// (stock), does at the platforms what the seller asked for (commands), and decides nothing
// itself.
//
// In: push.targets, one record for each decision, keyed account/listing, and push.commands,
// keyed by order or price, through stream.Executor. Out: stock writes at the platforms; each
// outcome to push.outcomes and, as an input of the stock room, to stock.in, acknowledged before
// the record counts as done; alerts; the newest target again, where a late writer left an older
// one as the last record of its key. Keeps: in Redis, for each listing, the target that was last accepted, which is
// what the platform is believed to show; losing it costs one read of each listing. In memory:
// one target for each listing that has something to do, and what this process saw accepted, so
// that a Redis that fell back does not let old decisions be carried out again. Of commands: out
// go outcomes to commands.outcomes and commands.in; kept is which target of an order or price
// was begun last, and who is at it, in memory as well, so that a Redis that fell back does not let
// an old price be set over a newer one.
//
// The rules of stock:
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
//   - An unknown outcome is read back before anything else is written; so is a target that was
//     tried before a crash and not recorded.
//   - No raise is carried out twice. Where a listing shows less than was expected, or than a
//     write of unknown outcome would have left, and no event explained it in time, the target is
//     given back: the stock room decides anew from what is shown. Lowering is always right and
//     does not wait: after a crash it is done again over what the platform put back meanwhile.
//   - Versions never go back: a target not newer than what was accepted is not executed, and who
//     stores an acceptance finds out whether somebody else wrote meanwhile, and looks again.
//
// The rules of commands:
//   - One desk for each account beside its lane, one call at a time in it, cancellations first.
//     It waits as a lane does; a platform that names a time for one command means only that.
//   - A command has one name at the platform, for ever, made of the seller's id. Whatever is not
//     known to be done or refused is called again under that name: the connector's pusher asks
//     the platform first, or the platform knows the name, so that the same call is the question.
//   - One process at a time is at an order or price, and none at a target that is older than one
//     that was begun. After all patience a command is given up, and a person has to look.
//   - What a connection's modules or the connection itself cannot do, and amounts that the
//     platform does not count, are refused here, by name.
//
// Crash: everything not done is offered again. What was tried is in Redis before the call, what
// was accepted after the record in Kafka: a target between the two is of unknown outcome; a
// command is called again. Crash points of the role "push": Claim (before the call), Call (after
// the answer), Record (recorded, before it counts as done), and the same of commands:
// CommandClaim, CommandCall, CommandRecord.
package push
