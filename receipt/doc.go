// Package receipt is the format of Prova's evidence: signed receipts, the
// append-only log that they stand in, signed checkpoints of that log, and the
// exports that an auditor verifies with no account, no network and no trust in
// the operator. The server seals with it and the verifier opens with it; both
// run the same code.
//
// # Receipt
//
// A receipt is one JSON object in exactly one spelling:
//
//	{"body":{…},"key_id":"<64 hex>","signature":"<base64>"}
//
// The body is the RFC 8785 canonical form of a strict I-JSON object (see
// [Canonical]). The Ed25519 signature covers [PAE] of [PayloadType] and the
// body, so everything that a reader is shown was signed. The integrity hash is
// the lower-case hex SHA-256 of the same bytes: it names the receipt by what
// was signed and never by its signature.
//
// # Log
//
// Each org has an RFC 6962 tree. The data of a leaf is the ASCII text
// event_id "." integrity_hash. A receipt does not contain its index. [Tree]
// computes roots from one leaf after another in logarithmic space. A
// [Checkpoint] is a C2SP signed note over origin, size and root, made with a
// key that signs no receipts.
//
// # Export
//
// An export is NDJSON: a head line, the receipts in log order, and a last line
// with a checkpoint. [VerifyExport] reads it in bounded memory and rebuilds
// the root.
//
// # Invariants
//
//   - Bytes that were signed are kept, served and verified as they are. Nothing
//     is re-encoded in order to verify it.
//   - Everything is pure: no clock, no files, no network, no package state.
//   - [Signer.Seal] returns nothing that [Open] would refuse.
//   - A report never says verified when nothing was checked.
package receipt
