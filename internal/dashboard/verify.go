package dashboard

import "github.com/cobound/prova/receipt"

// check is a row of the list of checks. What became of it is filled in by the browser.
type check struct {
	Name receipt.CheckName
	What string
}

// Checks that only a page makes, of a proof that was pasted beside the receipt.
const (
	checkProof     receipt.CheckName = "proof"
	checkInclusion receipt.CheckName = "inclusion"
)

// verifyChecks are the checks of one receipt, in the order in which they are shown.
func verifyChecks() []check {
	return []check{
		{receipt.CheckEnvelope, "three members, in their one spelling"},
		{receipt.CheckCanonicalForm, "the body equals its RFC 8785 form, byte for byte"},
		{receipt.CheckSchema, "what every receipt must hold, with its types"},
		{receipt.CheckEventID, "form of the event id"},
		{receipt.CheckKind, "form of the kind"},
		{receipt.CheckTimes, "form and order of the times"},
		{receipt.CheckKeyID, "envelope, body and key name one key"},
		{receipt.CheckTrust, "whose keys are used"},
		{receipt.CheckKnownKey, "the key is among them"},
		{receipt.CheckSignature, "Ed25519 over the body's exact bytes"},
		{checkProof, "form of the proof from the log"},
		{receipt.CheckCheckpoint, "signature of the log's head"},
		{checkInclusion, "the receipt's leaf leads to the signed root"},
	}
}
