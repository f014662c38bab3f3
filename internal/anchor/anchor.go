// Package anchor keeps the heads of logs in a small file of the data
// directory, outside the database: a restored backup or a failover does not
// take it back.
//
// The file is replaced as a whole and is on disk before Save returns. It holds
// no secret. A file that cannot be read is an error and never an empty one.
package anchor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/durable"
)

// Name is the name of the file in the data directory.
const Name = "anchor.json"

// File is an [authority.Anchor].
type File struct{ path string }

var _ authority.Anchor = File{}

// In is the file of a data directory, which must be there.
func In(dir string) File { return File{filepath.Join(dir, Name)} }

// content is what the file holds.
type content struct {
	About string          `json:"about"`
	Logs  map[string]head `json:"logs"` // by log id
}

type head struct {
	Size     int64  `json:"size"`
	RootHash string `json:"root_hash"` // base64
}

const about = "The heads of the logs that this server has shown. It notices with them that a database went back; do not edit or restore this file."

// Load reads the heads; none if there is no file yet.
func (f File) Load() (map[string]authority.LogHead, error) {
	heads := map[string]authority.LogHead{}
	data, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return heads, nil
	}
	if err != nil {
		return nil, err
	}
	var c content
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	if c.Logs == nil {
		return nil, fmt.Errorf("%s holds no logs", f.path)
	}
	for id, h := range c.Logs {
		root, err := tlog.ParseHash(h.RootHash)
		if err != nil || h.Size < 1 {
			return nil, fmt.Errorf("%s: log %q: size %d, root_hash %q", f.path, id, h.Size, h.RootHash)
		}
		heads[id] = authority.LogHead{Size: h.Size, Root: root}
	}
	return heads, nil
}

// Save writes all heads, so that after a crash there are the new ones or the old ones.
func (f File) Save(heads map[string]authority.LogHead) error {
	c := content{About: about, Logs: map[string]head{}}
	for id, h := range heads {
		c.Logs[id] = head{Size: h.Size, RootHash: h.Root.String()}
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return durable.Replace(f.path, append(data, '\n'))
}
