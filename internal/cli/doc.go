// Package cli is what the command-line programs have in common: how a command
// is parsed and run, what its exit code says, and how it talks on a terminal
// and without one.
//
// # Invariants
//
//   - Data goes to stdout and talk to stderr, so that a pipe sees data only.
//   - Every way to end has one exit code of this package; the parser's own
//     never leave it. An outage is never 1 or 2: a pipeline reads these as a
//     rollback and a timeout.
//   - It links no network: a verifier uses it too.
package cli
