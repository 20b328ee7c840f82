---------------------------- MODULE ClickHouseSink ----------------------------
(***************************************************************************)
(* How one partition of a topic gets into ClickHouse so that aggregates    *)
(* count every record once.  ClickHouse has no transaction with Kafka; it  *)
(* drops an insert whose token it has seen lately.  So a batch must have   *)
(* the same bounds whenever it is tried again, by whomever: the bounds are *)
(* written down first, as metadata of the committed offset (the intent),   *)
(* and the token is made of them.                                          *)
(*                                                                         *)
(* The actions bear the names of the crash points in the code:             *)
(*   Assign Fetch Intent Insert Confirm                                    *)
(* and the world's: Crash Rebalance AnswerLost OthersInsert.               *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
  Consumers, Last, MaxBatch,      \* records 1..Last, at most MaxBatch in a batch
  Window,                         \* blocks the table remembers for deduplication
  MaxCrashes, MaxRebalances, MaxLostAnswers, MaxOthers,
  WithToken,                      \* the insert carries a token of the batch's bounds
  WithIntent,                     \* the bounds are kept with the committed offset
  WithGeneration                  \* the group refuses the commit of a removed member

Offsets == 1..Last

\* The table is partitioned by month. An insert over several months is not
\* atomic: each month is a block of its own, and lands or does not.
Month(o) == (o \div 2) + 1        \* 1 | 2 3 | 4: batches straddle
MonthsOf(f, l) == {Month(o) : o \in f..l}

Max(a, b) == IF a > b THEN a ELSE b

VARIABLES
  committed,   \* [off, intent]: next record, and the end of the batch begun there (0: none)
  generation,  \* of the group
  session,     \* what each consumer holds in memory
  rows,        \* how often each record is counted in the table
  window,      \* the last Window block tokens, oldest first
  spent        \* what the world has done so far

vars == <<committed, generation, session, rows, window, spent>>

\*   out -Assign-> poll -Fetch-> chosen -Intent-> intended -Insert*-> inserted
\*   inserted -Confirm-> poll, or -Fetch-> chosen, whose Intent is also the
\*   confirmation: in a running stream one commit per batch does for both.
\*   Assign finds an open intent: -> intended, at once.
Phases == {"out", "poll", "chosen", "intended", "inserted"}

Gone == [phase |-> "out", gen |-> 0, f |-> 0, l |-> 0, todo |-> {}]

IsMember(c) == session[c].phase # "out" /\ session[c].gen = generation
IsZombie(c) == session[c].phase # "out" /\ session[c].gen # generation
NoMember    == \A c \in Consumers : ~IsMember(c)
MayCommit(c) == IsMember(c) \/ ~WithGeneration

Init ==
  /\ committed  = [off |-> 1, intent |-> 0]
  /\ generation = 1
  /\ session    = [c \in Consumers |-> Gone]
  /\ rows       = [o \in Offsets |-> 0]
  /\ window     = <<>>
  /\ spent      = [crash |-> 0, rebalance |-> 0, lost |-> 0, others |-> 0]

Become(c, s) == session' = [session EXCEPT ![c] = s]

-------------------------------------------------------------------------------
\* An open intent is taken up with exactly its bounds, for its predecessor may
\* have inserted all, some or none of it.
Assign(c) ==
  /\ session[c].phase = "out"
  /\ NoMember
  /\ Become(c, IF committed.intent = 0
               THEN [Gone EXCEPT !.phase = "poll", !.gen = generation, !.f = committed.off]
               ELSE [phase |-> "intended", gen |-> generation,
                     f |-> committed.off, l |-> committed.intent,
                     todo |-> MonthsOf(committed.off, committed.intent)])
  /\ UNCHANGED <<committed, generation, rows, window, spent>>

Fetch(c) ==
  LET s == session[c]
      f == IF s.phase = "inserted" THEN s.l + 1 ELSE s.f
  IN  /\ s.phase \in {"poll", "inserted"}
      /\ \E n \in 1..MaxBatch :
           /\ f + n - 1 <= Last
           /\ Become(c, [s EXCEPT !.phase = "chosen", !.f = f, !.l = f + n - 1])
      /\ UNCHANGED <<committed, generation, rows, window, spent>>

\* No intent, no insert: a removed member stops here.
Intent(c) ==
  LET s == session[c]
  IN  /\ s.phase = "chosen"
      /\ IF MayCommit(c)
         THEN /\ committed' = [off |-> s.f, intent |-> IF WithIntent THEN s.l ELSE 0]
              /\ Become(c, [s EXCEPT !.phase = "intended", !.todo = MonthsOf(s.f, s.l)])
         ELSE /\ Become(c, Gone)
              /\ UNCHANGED committed
      /\ UNCHANGED <<generation, rows, window, spent>>

\* The server's side of one block: known token, nothing; else rows and token.
Remember(token) ==
  LET w == Append(window, token)
  IN  window' = IF Len(w) > Window THEN Tail(w) ELSE w

Lands(s, m) ==
  LET token == [f |-> s.f, l |-> s.l, month |-> m]
  IN  IF WithToken /\ \E i \in 1..Len(window) : window[i] = token
      THEN UNCHANGED <<rows, window>>
      ELSE /\ rows' = [o \in Offsets |->
                        IF o \in s.f..s.l /\ Month(o) = m THEN rows[o] + 1 ELSE rows[o]]
           /\ Remember(token)

\* Month by month, so that a crash may fall between. A zombie inserts as well as
\* the owner does: nothing in ClickHouse knows about groups.
Insert(c) ==
  LET s == session[c]
  IN  /\ s.phase = "intended"
      /\ \E m \in s.todo :
           /\ Lands(s, m)
           /\ Become(c, [s EXCEPT !.todo = @ \ {m},
                                  !.phase = IF s.todo = {m} THEN "inserted" ELSE @])
      /\ UNCHANGED <<committed, generation, spent>>

\* When no next batch is at hand (idle, revoked, shutting down).
Confirm(c) ==
  LET s == session[c]
  IN  /\ s.phase = "inserted"
      /\ IF MayCommit(c)
         THEN /\ committed' = [off |-> s.l + 1, intent |-> 0]
              /\ Become(c, [s EXCEPT !.phase = "poll", !.f = s.l + 1, !.l = 0])
         ELSE /\ Become(c, Gone)
              /\ UNCHANGED committed
      /\ UNCHANGED <<generation, rows, window, spent>>

Notice(c) ==
  /\ IsZombie(c)
  /\ Become(c, Gone)
  /\ UNCHANGED <<committed, generation, rows, window, spent>>

-------------------------------------------------------------------------------
Spend(what, limit) == /\ spent[what] < limit
                      /\ spent' = [spent EXCEPT ![what] = @ + 1]

Crash(c) ==
  /\ IsMember(c)
  /\ Spend("crash", MaxCrashes)
  /\ generation' = generation + 1
  /\ Become(c, Gone)
  /\ UNCHANGED <<committed, rows, window>>

\* The old owner does not know, and goes on; perhaps with an open intent.
Rebalance ==
  /\ ~NoMember
  /\ Spend("rebalance", MaxRebalances)
  /\ generation' = generation + 1
  /\ UNCHANGED <<committed, session, rows, window>>

\* A block landed, the client was not told: it sends the whole batch again.
AnswerLost(c) ==
  LET s == session[c]
  IN  /\ s.phase = "intended"
      /\ Spend("lost", MaxLostAnswers)
      /\ \E m \in s.todo : Lands(s, m)
      /\ Become(c, [s EXCEPT !.todo = MonthsOf(s.f, s.l)])
      /\ UNCHANGED <<committed, generation>>

\* The window belongs to the table, not to the partition: other writers use it up.
OthersInsert ==
  /\ Spend("others", MaxOthers)
  /\ Remember([f |-> 0, l |-> 0, month |-> 0])
  /\ UNCHANGED <<committed, generation, session, rows>>

-------------------------------------------------------------------------------
System == \E c \in Consumers :
            Assign(c) \/ Fetch(c) \/ Intent(c) \/ Insert(c) \/ Confirm(c) \/ Notice(c)

World == \/ \E c \in Consumers : Crash(c) \/ AnswerLost(c)
         \/ Rebalance
         \/ OthersInsert

Next     == System \/ World
Spec     == Init /\ [][Next]_vars
FairSpec == Spec /\ WF_vars(System)
Symmetry == Permutations(Consumers)

-------------------------------------------------------------------------------
TypeOK ==
  /\ committed.off \in 1..(Last + 1)
  /\ committed.intent \in {0} \cup (committed.off)..Last
  /\ Len(window) <= Window
  /\ Cardinality({c \in Consumers : IsMember(c)}) <= 1
  /\ \A c \in Consumers :
       LET s == session[c]
       IN  /\ s.phase \in Phases
           /\ (s.todo # {}) <=> (s.phase = "intended")
           /\ s.phase \in {"chosen", "intended", "inserted"} => s.f <= s.l

\* No record is ever counted twice ...
CountedOnce == \A o \in Offsets : rows[o] <= 1

\* ... and what is committed is counted: the commit is never ahead of the insert.
CommitNotAhead == \A o \in 1..(committed.off - 1) : rows[o] = 1

\* What is in the table is committed or under an open intent, so that whoever
\* comes next knows of it.
InsertedIsIntended ==
  \A o \in Offsets : rows[o] > 0 => o < Max(committed.off, committed.intent + 1)

Finished ==
  /\ \E c \in Consumers : IsMember(c) /\ session[c].phase = "poll" /\ session[c].f > Last
  /\ \A c \in Consumers : ~IsZombie(c)

AllCounted == Finished => \A o \in Offsets : rows[o] = 1
RestIsRest == Finished <=> ~ENABLED System
Converges  == <>[]Finished
===============================================================================
