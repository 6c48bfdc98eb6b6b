// Package request keeps the register of what persons ask for by law: access, portability,
// deletion, correction, restriction, objection, opting out of sale and sharing, limiting the
// use of sensitive data.
//
// It keeps who asked for what and when, by when the law wants an answer, who found out that
// the person is who they say, and what became of each thing. It carries nothing out by
// itself but the flags of a person (package index); it sends nothing, and makes no package.
//
// # Who somebody is
//
// Until somebody has noted that a name is the person's, the register gives nothing away about
// that name and notes nothing as done: no records, no outcome but a refusal for just that, no
// flag of a restriction or an objection. Each name of a request is proven by itself. There is
// no call that leaves this out. The record of a check counts once, in all requests, and one
// that is older than the request does not count for it. A person who asks for deletion proves again who they are, a day at
// most before the first thing is noted as destroyed. Who opts out of sale and sharing, or
// limits sensitive data, proves nothing (11 CCR 7060(b)): the flag is there with the request.
//
// # Clocks
//
// The place of a person chooses the law, the law the rules of package clock, and the rules
// the duties of package retention: one to answer, and one to acknowledge where the law has
// that. Pauses, extensions and restarts are events of the duty's clock, and what its rule does
// not know is refused. A duty that comes near its end is raised (Kinds); it ends when the
// request is closed, and not by itself.
//
// # Crashes
//
// Each change is one transaction, with the duty, the flag, and what is to be put on record
// beside it. Tell puts it on record again and again until the log has it.
package request
