package witness

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// maxRequest bounds the body of a request: 63 hashes, and a checkpoint with a hundred signatures.
const maxRequest = 64 << 10

// maxProof is the most hashes that a proof between two sizes below 2⁶³ has.
const maxProof = 63

// request asks a witness to cosign a checkpoint.
type request struct {
	old        int64 // the size that the witness last cosigned, as the client believes
	proof      []tlog.Hash
	checkpoint string // the signed note
}

// marshal writes the body of a request.
func (r request) marshal() []byte {
	b := strconv.AppendInt([]byte("old "), r.old, 10)
	for _, h := range r.proof {
		b = append(append(b, '\n'), h.String()...)
	}
	return append(append(b, "\n\n"...), r.checkpoint...)
}

// parseRequest reads what marshal writes, and nothing else. The checkpoint is
// whatever follows the first blank line.
func parseRequest(body []byte) (request, error) {
	if len(body) > maxRequest {
		return request{}, fmt.Errorf("the body has more than %d bytes", maxRequest)
	}
	head, checkpoint, ok := strings.Cut(string(body), "\n\n")
	if !ok {
		return request{}, errors.New("there is no blank line between the proof and the checkpoint")
	}
	r := request{checkpoint: checkpoint}
	lines := strings.Split(head, "\n")
	size, ok := strings.CutPrefix(lines[0], "old ")
	old, err := strconv.ParseInt(size, 10, 64)
	if !ok || err != nil || old < 0 || strconv.FormatInt(old, 10) != size {
		return request{}, errors.New("the first line is not old and a size in decimal")
	}
	r.old = old
	if len(lines)-1 > maxProof {
		return request{}, fmt.Errorf("the proof has %d hashes; none needs more than %d", len(lines)-1, maxProof)
	}
	for _, line := range lines[1:] {
		h, err := base64.StdEncoding.Strict().DecodeString(line)
		// The decoder skips carriage returns, which the length shows.
		if err != nil || len(h) != tlog.HashSize || len(line) != base64.StdEncoding.EncodedLen(tlog.HashSize) {
			return request{}, errors.New("a line of the proof is not the base64 of 32 bytes")
		}
		r.proof = append(r.proof, tlog.Hash(h))
	}
	return r, nil
}
