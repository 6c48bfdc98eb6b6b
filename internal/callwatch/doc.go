// Package callwatch gives the system calls of a child process that change files into the
// hands of the test that started it.
//
// The kernel lets one process decide about the calls of another (seccomp_unotify(2)). A
// child installs a filter with HandOver and passes the listener to the test, which sees
// each call before it is made, from whatever part of the program: SQLite's, the os
// package's. It lets the call go on, answers it with an error, or ends the child. While it
// thinks, nothing else of the child changes a file either, so a copy of the folder is what
// a kill at this call would leave.
//
// It is there on Linux on amd64 only. Nothing outside of tests imports it.
package callwatch
