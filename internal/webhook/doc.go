// Package webhook carries decisions to the systems that act on them: [Sender]
// posts a signed delivery to a URL that a user chose. The other end is
// prova.WebhookReceiver of the SDK.
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
package webhook
