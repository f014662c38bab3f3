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
// # Bundle
//
// A bundle is a directory, or a tar of it, with a part of a log and all that
// shows it: one receipt, one rollout, or a range of log indexes (see [Scope]).
// Its files are, in this order in a tar,
//
//	manifest.json                     the export receipt: a receipt of the kind "export"
//	README                            for people
//	keys.json                         {"keys":[…]}, a convenience
//	checkpoint                        the log's head, a signed note
//	proofs/<event_id>.tlog-proof …    for receipts that the leaves do not reach
//	leaves                            leaf hashes, 32 bytes each; not for one receipt
//	receipts.ndjson                   {"log_index":…,"receipt":…} in log order
//
// The body of the export receipt has the member "manifest", a [Manifest], which
// names size and SHA-256 of every other file: one signature, in the form of all
// receipts, covers the whole bundle. There are exactly those files. The receipt
// is also appended to the log, behind the size that the bundle speaks of.
//
// The leaves go from the size of the manifest's tree to the size of the log,
// so that the root is rebuilt and each receipt stands at its own index; a
// receipt before them has a C2SP tlog-proof under the same checkpoint. All key
// events of the log are among the receipts. Payloads never are.
//
// The tar is plain ustar in one spelling: each header holds name, mode 0000644,
// uid and gid 0, size, time 0, checksum, type '0' and the magic, in the octal
// form of archive/tar, and nothing else; padding is zero; two blocks of zeros
// end it. What another tool packed is verified as a directory.
//
// # Streams and keys
//
// The receipts of one rollout are numbered from 0 (see [Stream]) and each holds
// the integrity hash of the one before. In exports from index 0 and in bundles
// every key that signs must have been added by a key event of the log, must
// hold at the index where it signs, and must not have been retired or revoked
// for it; a log without any key event says nothing about keys.
//
// # Invariants
//
//   - Bytes that were signed are kept, served and verified as they are. Nothing
//     is re-encoded in order to verify it.
//   - Everything is pure: no clock, no files, no network, no package state.
//   - [Signer.Seal] returns nothing that [Open] would refuse.
//   - A report never says verified when nothing was checked.
package receipt
