package authority

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/receipt"
)

// Tile is a piece of an org's log as C2SP tlog-tiles names it: Width hashes of
// a level, or as many entries, from Index·256 on.
type Tile struct {
	// Level of the hashes: 0 are the leaves, and a hash of the next level is over a whole tile of this one.
	Level int
	// Entries asks for the data of the leaves; Level is 0 then.
	Entries bool
	Index   int64
	Width   int // 1 to 256; below that the tile is partial
}

// Tile reads a tile. Only what the newest checkpoint covers is served: a tile
// is kept for ever by whoever asked, and what was not signed yet could still be
// lost. The hashes are checked against the log's head, the entries against
// their hashes, so that a damaged log serves no tile.
func (a *Authority) Tile(ctx context.Context, p Principal, t Tile) ([]byte, error) {
	if err := p.need(api.AuditRead); err != nil {
		return nil, err
	}
	if t.Entries && p.Environment != "" {
		return nil, fail(CodeForbidden, "the entries name receipts of all environments; this key is limited to the environment %q", p.Environment)
	}
	var out []byte
	err := a.hashes(ctx, p.Org, func(s Snapshot, head Head, source receipt.HashSource) error {
		c, err := s.Checkpoint()
		if err != nil && !errors.Is(err, ErrNotFound) {
			return storeError("checkpoint", err)
		}
		if !t.within(c.Size) {
			return fail(CodeNotFound, "the newest checkpoint has the size %d, and such a log has no such tile", c.Size)
		}
		hashes, err := head.Tree.Hashes(source).ReadHashes(t.stored())
		if err != nil {
			return err
		}
		if t.Entries {
			out, err = entryBundle(s, t, hashes)
			return err
		}
		out = make([]byte, 0, len(hashes)*tlog.HashSize)
		for _, h := range hashes {
			out = append(out, h[:]...)
		}
		return nil
	})
	return out, err
}

// within reports whether a log of a size has the tile. A partial tile is served
// for every width up to what there is: any smaller size may have been signed.
func (t Tile) within(size int64) bool {
	if t.Level < 0 || t.Level > 62/tileBits || t.Entries && t.Level != 0 || t.Index < 0 || t.Width < 1 || t.Width > receipt.TileWidth {
		return false
	}
	there := size >> (tileBits * t.Level)
	return t.Index <= there/receipt.TileWidth && t.Index*receipt.TileWidth+int64(t.Width) <= there
}

// tileBits is the height of a tile: receipt.TileWidth is 1<<tileBits.
const tileBits = 8

// stored are the tile's hashes as package tlog numbers them.
func (t Tile) stored() []int64 {
	out := make([]int64, t.Width)
	for i := range out {
		out[i] = tlog.StoredHashIndex(tileBits*t.Level, t.Index*receipt.TileWidth+int64(i))
	}
	return out
}

// entryBundle writes the data of leaves, each behind its length in two bytes.
func entryBundle(s Snapshot, t Tile, hashes []tlog.Hash) ([]byte, error) {
	first := t.Index * receipt.TileWidth
	entries, err := s.Entries(EntryFilter{From: first, Before: first + int64(t.Width)}, t.Width)
	if err != nil {
		return nil, storeError("receipt", err)
	}
	if len(entries) != t.Width {
		return nil, fmt.Errorf("%d receipts from %d on, want %d", len(entries), first, t.Width)
	}
	var out []byte
	for i, e := range entries {
		r, err := receipt.Parse(e.Raw)
		if err == nil && (e.Index != first+int64(i) || r.LeafHash != hashes[i]) {
			err = errors.New("its leaf hash is another")
		}
		if err != nil {
			return nil, fmt.Errorf("receipt %s at index %d is not the one that was logged: %w", e.EventID, e.Index, err)
		}
		data := receipt.LeafData(r.EventID, r.IntegrityHash)
		out = binary.BigEndian.AppendUint16(out, uint16(len(data))) //nolint:gosec // an event id and 64 hex digits
		out = append(out, data...)
	}
	return out, nil
}
