package prova

import (
	"bytes"
	"errors"

	"github.com/cobound/prova/receipt"
)

// VerifyReceipt checks a receipt, such as that of an [api.ReceiptItem] or of an
// ingest's answer, against keys that the caller has pinned, and returns what it
// says. It asks no server. [receipt.ParsePublicKeys] reads the keys from the
// answer of /api/v1/keys, which is to be fetched once, over a channel that the
// caller trusts.
//
// Without a pinned key for receipts it is an error: a receipt that is checked
// with the keys that came along shows nothing. The error for a receipt that does
// not hold is a [*receipt.VerifyError]. A receipt alone does not show where it
// stands in the log: a log index beside it is not signed.
func VerifyReceipt(raw []byte, pinned receipt.Trust) (receipt.Receipt, error) {
	if len(pinned.Receipt) == 0 {
		return receipt.Receipt{}, errors.New("no key for receipts is pinned; get the server's from /api/v1/keys, over a channel that you trust")
	}
	return receipt.Open(bytes.Trim(raw, " \t\r\n"), pinned.Receipt)
}
