// Package channel describes the systems behind the gateway: which calls they
// have, what each call does, where text, identifiers and addresses stand in
// their bodies, and who the caller says to be.
//
// One vendor is one YAML file (format `version: 1`, see docs/channel-files.md).
// The files of this folder are embedded; an operator's own file goes through the
// same loader. The package has no vendor's name in its code: what YAML cannot
// say becomes a word of the format, not a branch on a name.
//
// # What it does
//
//   - Load and Parse turn a file into a Channel. Parse reports every mistake at
//     once, each with file, line, column, the allowed values and a hint.
//   - Channel.Match finds the operation of a method and path. It never fails: a
//     call the file does not know is named `unmapped.<method>`, takes its effect
//     from the method and is inspected whole.
//   - Operation.Request and Operation.Response are the compiled places of a body
//     for package redact/walk: never fields, HTML, subjects, records, times,
//     vendor addresses, fields that a write overwrites.
//   - Channel.Credential, Channel.AssertedUser and Channel.Whoami say what was
//     presented, who it claims to speak for and how to ask the vendor.
//   - Channel.RewriteURL and Channel.RewriteHeaders turn addresses of the
//     upstream in its answers into addresses of the gateway.
//   - Action says by which calls a record is deleted or redacted, and what their answers prove.
//   - Trail.Query and Trail.Read ask for the log that the vendor itself keeps and take
//     its answers apart.
//
// # What it refuses to do
//
// It decides nothing, keeps no state, opens no connection and reads no clock. A
// claimed user is returned as claimed; whether a claim counts is policy's
// question. A Channel never changes after Parse and is safe for concurrent use.
//
// # What stays compatible
//
// A file with `version: 1` keeps its meaning. A word the loader does not know is
// an error and not ignored, so that a file written for a newer gateway fails
// loudly on an older one.
package channel
