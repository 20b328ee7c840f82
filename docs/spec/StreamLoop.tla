------------------------------ MODULE StreamLoop ------------------------------
(***************************************************************************)
(* How a stateful room reads one partition of its input topic, keeps its   *)
(* state in Redis, writes what changed to a compacted topic, and commits:  *)
(* so that no crash, no rebalance, no paused consumer and no Redis that    *)
(* forgets its last writes ever makes the state or the topic wrong.        *)
(*                                                                         *)
(* The actions bear the names of the crash points in the code:             *)
(*   Assign Fetch Prepare Load Apply Emit Commit IdleLook Rewind Repair    *)
(* and below them what the world may do at any moment:                     *)
(*   Crash Rebalance RedisFallsBack AnswerLost                             *)
(*                                                                         *)
(* Each With... constant is one rule of the protocol.  TRUE is how the     *)
(* code does it; a model with one of them FALSE is kept beside this one to *)
(* show what the rule is for.  README.md has the table.                    *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
  Consumers,          \* the processes that share the partition
  Input,              \* the partition: a sequence of [id, key]; offset = position
  MaxBatch,           \* records in one fetch, at most

  MaxCrashes, MaxRebalances, MaxFallbacks, MaxLostAnswers,  \* how unkind the world is

  WithFence,          \* Load and Apply compare base with the watermark, in Redis
  WithMarksLoaded,    \* Load brings the dedup marks too, so that Handle knows duplicates
  WithRewindBound,    \* Rewind never seeks past the batch it was about to handle
  WithIdleLook,       \* a partition without input is looked at all the same
  WithRepair,         \* the reader of the compacted topic puts an old version right
  WithCompactionLag,  \* min.compaction.lag.ms exceeds the longest pause
  WithChainRule,      \* rebuild follows the chain of previous versions
  WithMarksRebuilt    \* rebuild reads the dedup marks again from the input

Last    == Len(Input)
Offsets == 1..Last
Keys    == {Input[o].key : o \in Offsets}
Ids     == {Input[o].id  : o \in Offsets}

Max(a, b) == IF a > b THEN a ELSE b
Min(a, b) == IF a < b THEN a ELSE b

-------------------------------------------------------------------------------
(* The partitions that the models read.                                     *)

\* Two keys; "a" is delivered twice; x changes twice.
TwoKeys == << [id |-> "a", key |-> "x"], [id |-> "b", key |-> "y"],
              [id |-> "a", key |-> "x"], [id |-> "c", key |-> "x"] >>

\* One key with a history of three versions, and a late duplicate: what a
\* rebuild finds hardest.
OneKey  == << [id |-> "a", key |-> "x"], [id |-> "b", key |-> "x"],
              [id |-> "c", key |-> "x"], [id |-> "a", key |-> "x"] >>

-------------------------------------------------------------------------------
(* What is right: the fold.                                                 *)
(*                                                                          *)
(* An entry is absolute (val is all that ever happened to the key, so that  *)
(* no two histories look alike), its version is the offset of the record    *)
(* that made it, and prev is the version that it replaced.                  *)

NoEntry == [ver |-> 0, prev |-> 0, val |-> <<>>]
NoCache == [k \in {} |-> NoEntry]
NoMarks == [i \in {} |-> 0]

Empty == [wm    |-> 0,
          table |-> [k \in Keys |-> NoEntry],
          marks |-> [i \in Ids |-> 0]]          \* event id -> offset that had it first

IsDuplicate(marks, o) == marks[Input[o].id] \notin {0, o}

Step(st, o) ==
  IF IsDuplicate(st.marks, o)
  THEN [st EXCEPT !.wm = o]
  ELSE [wm    |-> o,
        table |-> [st.table EXCEPT ![Input[o].key] =
                     [ver |-> o, prev |-> @.ver, val |-> Append(@.val, Input[o].id)]],
        marks |-> [st.marks EXCEPT ![Input[o].id] = o]]

RECURSIVE Fold(_)
Fold(n) == IF n = 0 THEN Empty ELSE Step(Fold(n - 1), n)

FoldTo == [n \in 0..Last |-> Fold(n)]           \* worked out once

-------------------------------------------------------------------------------
VARIABLES
  history,     \* every state Redis has been in; the last is what it holds now.
               \* wm, table and marks share a hash tag, so one script call is one
               \* step, and a fail-over cuts off a suffix: never a part of a step
  committed,   \* the group's offset: the next record to read
  generation,  \* the group's generation; a commit with an older one is refused
  session,     \* what each consumer holds in memory, lost with it
  log,         \* the compacted topic, per key, all that was ever written to it
  reader,      \* the stateful reader of that topic: how far it is, the highest it saw
  spent        \* what the world has done so far

vars == <<history, committed, generation, session, log, reader, spent>>

Redis == history[Len(history)]

\* A session is in one of these places; each arrow is one action.
\*   out -Assign-> poll -Fetch-> fetched -Prepare-> prepared -Load-> loaded
\*       -Apply-> emit -Emit*, Commit-> poll        (AHEAD: back to prepared)
\*   GAP at Load, Apply or IdleLook: -> gap -Rewind-> poll
\* While the outputs of one batch are being acknowledged the next may be handled:
\*   emit -FetchAhead-> fetched, with the open batch on its way beside it, which
\*   Finish commits before anything else is committed, fetched or rewound.
Phases == {"out", "poll", "fetched", "prepared", "loaded", "emit", "gap"}

Gone == [phase |-> "out", gen |-> 0,
         base  |-> 0,          \* the watermark that the cache reflects
         next  |-> 0,          \* fetch position; the batch is next..last
         last  |-> 0,
         cache |-> NoCache,    \* entries at hand, all as of base
         marks |-> NoMarks,    \* dedup marks of the batch, as of base
         outs  |-> <<>>,       \* applied, still to be emitted
         open  |-> 0]          \* what to commit of the batch before; 0: there is none

IsMember(c) == session[c].phase # "out" /\ session[c].gen = generation
IsZombie(c) == session[c].phase # "out" /\ session[c].gen # generation
NoMember    == \A c \in Consumers : ~IsMember(c)

Init ==
  /\ history    = <<Empty>>
  /\ committed  = 1
  /\ generation = 1
  /\ session    = [c \in Consumers |-> Gone]
  /\ log        = [k \in Keys |-> <<>>]
  /\ reader     = [k \in Keys |-> [pos |-> 0, seen |-> NoEntry]]
  /\ spent      = [crash |-> 0, rebalance |-> 0, fallback |-> 0, lost |-> 0]

-------------------------------------------------------------------------------
(* The compacted topic.                                                     *)

\* A record that equals the one before it tells no reader anything, so it is
\* not written down twice: this keeps the model small and hides nothing.
Put(topic, k, r) ==
  IF topic[k] # <<>> /\ topic[k][Len(topic[k])] = r
  THEN topic
  ELSE [topic EXCEPT ![k] = Append(@, r)]

\* The compactor is not an action but a possibility: a record may be gone as
\* soon as a later one of its key may supersede it, and that one is old enough
\* only when the stateful reader has passed it.  (That is the promise of the
\* lag: whoever lags behind by more than min.compaction.lag.ms breaks it.)
Removable(k) ==
  LET end == IF WithCompactionLag THEN reader[k].pos ELSE Len(log[k])
  IN  {i \in 1..Len(log[k]) : i < end}

\* All that a reader who starts at the beginning may find of key k.
Survivors(k) == {(1..Len(log[k])) \ gone : gone \in SUBSET Removable(k)}

\* The compactor has been everywhere: only the last *offset* of a key is left.
CompactedTo(k) == IF log[k] = <<>> THEN NoEntry ELSE log[k][Len(log[k])]

-------------------------------------------------------------------------------
(* The loop.                                                                *)

Become(c, s) == session' = [session EXCEPT ![c] = s]

\* The watermark is absent although something was committed: Redis was wiped.
\* Nobody may start from there; an operator must run the rebuild.
Wiped == Redis.wm = 0 /\ committed > 1

\* GAP: Redis knows less than the session. Its answer carries the watermark.
Gap(c)   == Become(c, [session[c] EXCEPT !.phase = "gap", !.base = Redis.wm,
                                         !.cache = NoCache, !.marks = NoMarks])
\* AHEAD: Redis knows more: an answer of ours was lost, or another consumer
\* was here. The same batch again, from Load, on what Redis knows.
Ahead(c) == Become(c, [session[c] EXCEPT !.phase = "prepared", !.base = Redis.wm,
                                         !.cache = NoCache, !.marks = NoMarks])

\* min(): a watermark ahead of the commit means outputs that may be missing, so
\* they are repeated; one behind it means state that is lost, so it is folded again.
Assign(c) ==
  /\ session[c].phase = "out"
  /\ NoMember
  /\ ~Wiped
  /\ Become(c, [Gone EXCEPT !.phase = "poll", !.gen = generation, !.base = Redis.wm,
                            !.next  = Min(committed, Redis.wm + 1)])
  /\ UNCHANGED <<history, committed, generation, log, reader, spent>>

Fetch(c) ==
  /\ session[c].phase = "poll"
  /\ \E n \in 1..MaxBatch :
       LET l == session[c].next + n - 1
       IN  /\ l <= Last
           /\ Become(c, [session[c] EXCEPT !.phase = "fetched", !.last = l])
  /\ UNCHANGED <<history, committed, generation, log, reader, spent>>

\* One batch more, while the outputs of the last one are under way. Not two: what is
\* open is finished first.
FetchAhead(c) ==
  LET s == session[c]
  IN  /\ s.phase = "emit" /\ s.open = 0 /\ s.outs # <<>>
      /\ \E n \in 1..MaxBatch :
           LET l == s.last + n
           IN  /\ l <= Last
               /\ Become(c, [s EXCEPT !.phase = "fetched", !.next = s.last + 1, !.last = l,
                                      !.open = s.last + 1,
                                      !.outs = [i \in 1..Len(@) |-> [@[i] EXCEPT !.old = TRUE]]])
      /\ UNCHANGED <<history, committed, generation, log, reader, spent>>

\* Decoding: no clock, no network, nothing that a crash could tear.
Prepare(c) ==
  /\ session[c].phase = "fetched"
  /\ Become(c, [session[c] EXCEPT !.phase = "prepared"])
  /\ UNCHANGED <<history, committed, generation, log, reader, spent>>

\* One atomic read: the watermark, the entries not at hand, the batch's marks.
Load(c) ==
  LET s     == session[c]
      batch == s.next..s.last
      need  == {Input[o].key : o \in batch} \cup DOMAIN s.cache
      fresh == [k \in need |-> IF k \in DOMAIN s.cache THEN s.cache[k] ELSE Redis.table[k]]
      marks == [i \in {Input[o].id : o \in batch} |-> IF WithMarksLoaded THEN Redis.marks[i] ELSE 0]
  IN
  /\ s.phase = "prepared"
  /\ CASE WithFence /\ Redis.wm < s.base -> Gap(c)
       [] WithFence /\ Redis.wm > s.base -> Ahead(c)
       [] OTHER -> Become(c, [s EXCEPT !.phase = "loaded", !.cache = fresh, !.marks = marks])
  /\ UNCHANGED <<history, committed, generation, log, reader, spent>>

\* Handle: pure. Records up to base have had their effect: they repeat what the
\* state says now and change nothing. Later ones are applied. A duplicate says
\* nothing either way.
RECURSIVE Handle(_, _, _, _, _)
Handle(st, o, l, base, outs) ==
  IF o > l THEN [state |-> st, outs |-> outs]
  ELSE LET k     == Input[o].key
           after == IF o <= base THEN st ELSE Step(st, o)
           said  == IF IsDuplicate(st.marks, o) THEN outs
                    ELSE Append(outs, [key |-> k, entry |-> after.table[k], old |-> FALSE])
       IN  Handle(after, o + 1, l, base, said)

Handled(s) == Handle([wm |-> s.base, table |-> s.cache, marks |-> s.marks],
                     s.next, s.last, s.base, <<>>)

\* The script's effect on Redis: entries that changed, marks set if absent,
\* the watermark, all or nothing.
Written(s) ==
  LET h == Handled(s).state
  IN  [wm    |-> Max(Redis.wm, Max(s.base, s.last)),
       table |-> [k \in Keys |-> IF k \in DOMAIN h.table /\ h.table[k] # s.cache[k]
                                 THEN h.table[k] ELSE Redis.table[k]],
       marks |-> [i \in Ids  |-> IF Redis.marks[i] = 0 /\ i \in DOMAIN h.marks
                                 THEN h.marks[i] ELSE Redis.marks[i]]]

\* With the fence: compare and set on base.  Without it the script is the one
\* that most would write first: it takes what is newer than the watermark.
Passes(s) == IF WithFence THEN Redis.wm = s.base ELSE s.last > Redis.wm

WriteToRedis(s) ==
  LET new == IF Passes(s) THEN Written(s) ELSE Redis
  IN  history' = IF new = Redis THEN history ELSE Append(history, new)

ApplyOK(c) ==
  LET s == session[c]
      h == Handled(s)
  IN  /\ WithFence => Passes(s)
      /\ WriteToRedis(s)
      /\ Become(c, [s EXCEPT !.phase = "emit", !.base = Max(s.base, s.last),
                             !.cache = h.state.table, !.marks = NoMarks, !.outs = s.outs \o h.outs])

ApplyGap(c) ==
  /\ WithFence /\ Redis.wm < session[c].base
  /\ Gap(c) /\ UNCHANGED history

ApplyAhead(c) ==
  /\ WithFence /\ Redis.wm > session[c].base
  /\ Ahead(c) /\ UNCHANGED history

Apply(c) ==
  /\ session[c].phase = "loaded"
  /\ ApplyOK(c) \/ ApplyGap(c) \/ ApplyAhead(c)
  /\ UNCHANGED <<committed, generation, log, reader, spent>>

\* One output, acknowledged by all replicas. Nothing fences a producer: a zombie
\* emits as well as the owner does. From FetchAhead to Load a session does nothing
\* that others see, so what is emitted there might as well be just before or after.
Emit(c) ==
  LET s == session[c]
  IN  /\ s.outs # <<>> /\ s.phase \in {"loaded", "emit", "gap"}
      /\ log' = Put(log, Head(s.outs).key, Head(s.outs).entry)
      /\ Become(c, [s EXCEPT !.outs = Tail(@)])
      /\ UNCHANGED <<history, committed, generation, reader, spent>>

\* After all acknowledgements. Refused for a member that was removed, which is
\* how a zombie learns of it at the latest. Never lowered: after a rewind the
\* session passes offsets that are committed already.
Commit(c) ==
  LET s == session[c]
  IN  /\ s.phase = "emit" /\ s.outs = <<>> /\ s.open = 0
      /\ IF IsMember(c)
         THEN /\ committed' = Max(committed, s.last + 1)
              /\ Become(c, [s EXCEPT !.phase = "poll", !.next = s.last + 1, !.last = 0])
         ELSE /\ Become(c, Gone)
              /\ UNCHANGED committed
      /\ UNCHANGED <<history, generation, log, reader, spent>>

\* The same for the batch before, once all that it said is acknowledged.
Finish(c) ==
  LET s == session[c]
  IN  /\ s.phase \in {"emit", "gap"} /\ s.open # 0
      /\ IF s.outs = <<>> THEN TRUE ELSE ~Head(s.outs).old
      /\ IF IsMember(c)
         THEN /\ committed' = Max(committed, s.open)
              /\ Become(c, [s EXCEPT !.open = 0])
         ELSE /\ Become(c, Gone)
              /\ UNCHANGED committed
      /\ UNCHANGED <<history, generation, log, reader, spent>>

\* Without input no script call would notice that Redis fell back.
IdleLook(c) ==
  /\ WithIdleLook
  /\ session[c].phase = "poll" /\ session[c].next > Last
  /\ Redis.wm < session[c].base
  /\ Gap(c)
  /\ UNCHANGED <<history, committed, generation, log, reader, spent>>

\* Back to what Redis knows; but never forward past the batch at hand, whose
\* outputs a predecessor may have died on before it emitted them.
Rewind(c) ==
  LET s == session[c]
  IN  /\ s.phase = "gap" /\ s.open = 0
      /\ Become(c, [s EXCEPT !.phase = "poll", !.last = 0,
                             !.next = IF WithRewindBound THEN Min(s.base + 1, s.next)
                                                         ELSE s.base + 1])
      /\ UNCHANGED <<history, committed, generation, log, reader, spent>>

\* A zombie may find out at any time: a heartbeat, or its own death.
Notice(c) ==
  /\ IsZombie(c)
  /\ Become(c, Gone)
  /\ UNCHANGED <<history, committed, generation, log, reader, spent>>

\* The stateful reader of the compacted topic takes the next record of k that
\* the compactor has left. If it has seen a higher version, a zombie spoke late,
\* and compaction would keep the zombie's word: so the reader says the highest
\* again. That is absolute and of the same version, hence harmless.
Repair(k) ==
  LET r == reader[k]
  IN  \E p \in (r.pos + 1)..Len(log[k]) :
        LET new == log[k][p]
        IN  /\ \A skipped \in (r.pos + 1)..(p - 1) : skipped \in Removable(k)
            /\ WithRepair
            /\ log' = IF new.ver < r.seen.ver THEN Put(log, k, r.seen) ELSE log
            /\ reader' = [reader EXCEPT ![k] =
                 [pos |-> p, seen |-> IF new.ver > r.seen.ver THEN new ELSE r.seen]]
            /\ UNCHANGED <<history, committed, generation, session, spent>>

-------------------------------------------------------------------------------
(* Rebuild: Redis from the compacted topic, as of the committed offset.     *)

Cut == committed - 1

\* Of each key, the highest version up to the cut.
Taken(k, kept) ==
  LET below == {i \in kept : log[k][i].ver <= Cut}
  IN  IF below = {} THEN NoEntry
      ELSE log[k][CHOOSE i \in below : \A j \in below : log[k][j].ver <= log[k][i].ver]

\* What lies above the cut says what it replaced. If that is not what was taken,
\* a version between them never reached the topic, or is compacted away: refuse.
\* (The weaker rule asks only that a key with nothing below the cut is new.)
Refused(k, kept) ==
  LET above  == {i \in kept : log[k][i].ver > Cut}
      lowest == log[k][CHOOSE i \in above : \A j \in above : log[k][i].ver <= log[k][j].ver]
      taken  == Taken(k, kept).ver
  IN  /\ above # {}
      /\ IF WithChainRule THEN lowest.prev # taken
                          ELSE taken = 0 /\ lowest.prev # 0

Rebuild ==
  /\ Wiped
  /\ \A c \in Consumers : session[c].phase = "out"
  /\ \E kept \in [Keys -> UNION {Survivors(k) : k \in Keys}] :
       /\ \A k \in Keys : kept[k] \in Survivors(k) /\ ~Refused(k, kept[k])
       /\ history' = Append(history,
            [wm    |-> Cut,
             table |-> [k \in Keys |-> Taken(k, kept[k])],
             marks |-> IF WithMarksRebuilt THEN FoldTo[Cut].marks ELSE Empty.marks])
  /\ UNCHANGED <<committed, generation, session, log, reader, spent>>

-------------------------------------------------------------------------------
(* The world.                                                               *)

Spend(what, limit) == /\ spent[what] < limit
                      /\ spent' = [spent EXCEPT ![what] = @ + 1]

\* kill -9 of the owner, at any moment. (A zombie that dies is a Notice.)
Crash(c) ==
  /\ IsMember(c)
  /\ Spend("crash", MaxCrashes)
  /\ generation' = generation + 1
  /\ Become(c, Gone)
  /\ UNCHANGED <<history, committed, log, reader>>

\* The group gives up on the owner, who does not know, and goes on acting.
Rebalance ==
  /\ ~NoMember
  /\ Spend("rebalance", MaxRebalances)
  /\ generation' = generation + 1
  /\ UNCHANGED <<history, committed, session, log, reader>>

\* Fail-over to a replica that lags, or a restart from an older file: any
\* earlier prefix, down to nothing.
RedisFallsBack ==
  /\ Spend("fallback", MaxFallbacks)
  /\ \E n \in 1..(Len(history) - 1) : history' = SubSeq(history, 1, n)
  /\ UNCHANGED <<committed, generation, session, log, reader>>

\* The script ran, the answer never came: the session will repeat the call.
AnswerLost(c) ==
  /\ session[c].phase = "loaded"
  /\ Passes(session[c])
  /\ Written(session[c]) # Redis
  /\ Spend("lost", MaxLostAnswers)
  /\ WriteToRedis(session[c])
  /\ UNCHANGED <<committed, generation, session, log, reader>>

-------------------------------------------------------------------------------
System ==
  \/ \E c \in Consumers : \/ Assign(c) \/ Fetch(c) \/ FetchAhead(c) \/ Finish(c) \/ Prepare(c) \/ Load(c) \/ Apply(c)
                          \/ Emit(c) \/ Commit(c) \/ IdleLook(c) \/ Rewind(c) \/ Notice(c)
  \/ \E k \in Keys : Repair(k)
  \/ Rebuild

World ==
  \/ \E c \in Consumers : Crash(c) \/ AnswerLost(c)
  \/ Rebalance
  \/ RedisFallsBack

Next == System \/ World

\* Safety needs no fairness. For liveness: who can act, acts in the end; and the
\* world, whose unkindness is bounded, leaves it alone in the end.
Spec     == Init /\ [][Next]_vars
FairSpec == Spec /\ WF_vars(System)

Symmetry == Permutations(Consumers)

-------------------------------------------------------------------------------
(* What must hold always.                                                   *)

IsEntry(e) == e.ver \in 0..Last /\ e.prev \in 0..Last /\ Len(e.val) <= Last

TypeOK ==
  /\ \A n \in 1..Len(history) :
       /\ history[n].wm \in 0..Last
       /\ \A k \in Keys : IsEntry(history[n].table[k])
       /\ history[n].marks \in [Ids -> 0..Last]
  /\ committed \in 1..(Last + 1)
  /\ generation \in 1..(1 + MaxCrashes + MaxRebalances)
  /\ Cardinality({c \in Consumers : IsMember(c)}) <= 1
  /\ \A c \in Consumers :
       LET s == session[c]
       IN  /\ s.phase \in Phases
           /\ s.gen <= generation
           /\ s.base \in 0..Last /\ s.last \in 0..Last /\ s.next \in 0..(Last + 1)
           /\ s.open \in 0..(Last + 1) /\ (s.open # 0 => s.phase # "poll")
           /\ DOMAIN s.cache \subseteq Keys /\ DOMAIN s.marks \subseteq Ids
  /\ \A k \in Keys : /\ \A i \in 1..Len(log[k]) : IsEntry(log[k][i]) /\ log[k][i].ver > 0
                     /\ reader[k].pos \in 0..Len(log[k])

\* Redis is the fold of the prefix that its watermark names: entries and marks.
StateIsFold == Redis = FoldTo[Redis.wm]

\* And so is what a session would compute from: an entry at hand is the fold's at base.
CacheIsFold == \A c \in Consumers : \A k \in DOMAIN session[c].cache :
                 session[c].cache[k] = FoldTo[session[c].base].table[k]

\* Whatever was ever written to the topic is what the fold says at that version.
OutputIsTrue == \A k \in Keys : \A i \in 1..Len(log[k]) :
                  log[k][i] = FoldTo[log[k][i].ver].table[k]

\* What is committed will not be read again: so it must have been emitted, itself
\* or something newer of its key. (log never forgets: this is "was ever written".)
CommittedIsEmitted ==
  \A o \in 1..(committed - 1) :
    FoldTo[o] = [FoldTo[o - 1] EXCEPT !.wm = o]               \* a duplicate: nothing to say
    \/ \E i \in 1..Len(log[Input[o].key]) : log[Input[o].key][i].ver >= o

\* An event that came twice speaks under one coordinate only.
OneCoordinate ==
  \A o, p \in UNION {{log[k][i].ver : i \in 1..Len(log[k])} : k \in Keys} :
    Input[o].id = Input[p].id => o = p

\* Whatever the compactor has left, a rebuild is exact or it refuses.
RebuildIsFold ==
  committed > 1 =>
    \A k \in Keys : \A kept \in Survivors(k) :
      Refused(k, kept) \/ Taken(k, kept) = FoldTo[Cut].table[k]

-------------------------------------------------------------------------------
(* What must hold when nothing more happens.                                *)

ReaderDone == WithRepair => \A k \in Keys : reader[k].pos = Len(log[k])

Finished ==
  /\ \E c \in Consumers : /\ IsMember(c)
                          /\ session[c].phase = "poll" /\ session[c].next > Last
                          /\ WithIdleLook => Redis.wm >= session[c].base
  /\ \A c \in Consumers : ~IsZombie(c)
  /\ ReaderDone

\* The one other end: Redis wiped, and a topic from which no exact rebuild is
\* possible. Nothing wrong is served; an operator must fold the input again.
Stopped ==
  /\ Wiped
  /\ \A c \in Consumers : session[c].phase = "out"
  /\ ReaderDone
  /\ \E k \in Keys : \A kept \in Survivors(k) : Refused(k, kept)

StateIsWhole      == Finished => Redis = FoldTo[Last]
CompactedIsNewest == Finished => \A k \in Keys : CompactedTo(k) = FoldTo[Last].table[k]

\* That these two are all the ends there are ...
RestIsRest == (Finished \/ Stopped) <=> ~ENABLED System
\* ... and that one of them is reached.
Converges  == <>[](Finished \/ Stopped)
===============================================================================
