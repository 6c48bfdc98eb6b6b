package policy

// CountSeen and LookSeen are the queries of limits on different ones, for tests of how the
// database goes about them.
const CountSeen = countSeen

var LookSeen = lookSeen
