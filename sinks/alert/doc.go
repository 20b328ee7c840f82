// Package alert tells people: it turns facts that somebody must know of (records that were
// given up, stock that was sold and is not there, connections that need their owner, lag) into
// a webhook or a mail. It is the only place that does.
//
// What comes in: alerts.v1, stock.alarms.v1 and every topic of dead letters. What goes out:
// notifications, each for one kind and subject; the same ones again within a window are
// counted and told together when it ends. What it keeps: those windows, in memory. What a crash
// does: a batch that was not confirmed comes again, so that every fact is told at least once;
// the windows are forgotten, so that one that was told just before may be told once more.
package alert
