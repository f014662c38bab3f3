package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"time"
)

//go:embed assets
var assetFiles embed.FS

// assets are the files that pages load, by name.
type assets struct {
	contents map[string][]byte
	hash     string
}

func loadAssets() (assets, error) {
	a := assets{contents: map[string][]byte{}}
	files, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		return a, err
	}
	names, err := fs.Glob(files, "*")
	if err != nil {
		return a, err
	}
	for _, name := range names {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return a, err
		}
		if contentType(name) == "" {
			return a, fmt.Errorf("asset %s is of no known type", name)
		}
		a.contents[name] = content
	}
	// One hash over all, since modules load one another by relative names.
	all := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(a.contents)) {
		_, _ = fmt.Fprintf(all, "%s %d\n%s", name, len(a.contents[name]), a.contents[name])
	}
	a.hash = hex.EncodeToString(all.Sum(nil))[:16]
	return a, nil
}

// Asset is the path at which a file is served.
func (a assets) Asset(name string) string { return "/assets/" + a.hash + "/" + name }

func contentType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return ""
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])[:32]
}

// zeroTime keeps Last-Modified away: only the tag says whether something changed.
func zeroTime() time.Time { return time.Time{} }

// needs are a module and those that it loads, itself or by way of others; the entry first.
func (a assets) needs(entry string) []string {
	if entry == "" {
		return nil
	}
	found := []string{entry}
	for i := 0; i < len(found); i++ {
		for _, m := range imports.FindAllSubmatch(a.contents[found[i]], -1) {
			if name := string(m[1]); !slices.Contains(found, name) {
				found = append(found, name)
			}
		}
	}
	return found
}

var imports = regexp.MustCompile(`from "\./([^"]+)"`)
