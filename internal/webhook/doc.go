// Package webhook carries decisions to the systems that act on them: [Sender]
// posts a signed delivery to a URL that a user chose, and [Receiver] is the
// other end, an http.Handler that verifies a delivery and acts on it once.
//
// Invariants of the Sender:
//
//   - It connects to no address that is not public unless the operator opened
//     the range. The check is made on the resolved address, at every dial.
//   - It follows no redirect and uses no proxy: both would move the request to
//     an address that nobody checked.
//   - One attempt ends within its time limit, whatever the receiver does.
//   - What it reports of an answer is short, printable and holds neither a
//     secret nor the query of a URL.
//
// Invariants of the Receiver:
//
//   - Nothing is acted on, or even decoded, before its signature is verified.
//   - One decision is acted on once: a retry, or the same decision under
//     another id, is acknowledged and left alone.
//   - A decision never overtakes a later one of its rollout.
//   - A delivery is acknowledged only after it was acted on.
package webhook
