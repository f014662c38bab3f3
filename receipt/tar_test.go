package receipt

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// 51, 57: forms of a tar that two readers could read differently, or that cost
// a reader more than they are worth.
func TestTamperTar(t *testing.T) {
	b := bundleOf(t, storyLog(t), rolloutScope)
	trust := b.log.trust(t)
	good := b.tar(t)
	end := make([]byte, 2*tarBlock)
	body := good[:len(good)-len(end)]
	// header is that of the README, changed, with its checksum made right again.
	header := func(change func(h []byte)) []byte {
		out := clone(good)
		at := bytes.Index(out, append([]byte(FileReadme), 0))
		h := out[at : at+tarBlock]
		change(h)
		copy(h[148:156], "        ")
		sum := 0
		for _, c := range h {
			sum += int(c)
		}
		copy(h[148:156], fmt.Sprintf("%06o\x00 ", sum))
		return out
	}
	name := func(s string) []byte {
		return header(func(h []byte) { copy(h, append([]byte(s), make([]byte, 50)...)) })
	}
	kind := func(c byte) []byte { return header(func(h []byte) { h[156] = c }) }
	entry := func(name string, content []byte) []byte {
		return append(append(clone(body), tarEntryOf(t, name, content)...), end...)
	}
	for what, data := range map[string][]byte{
		"path upwards":          name("../README"),
		"path upwards within":   name("proofs/../README"),
		"absolute path":         name("/README"),
		"unknown name":          name("readme"),
		"directory":             name("proofs/"),
		"unknown proof":         name("proofs/evt_/x.tlog-proof"),
		"dot":                   name("./README"),
		"symlink":               kind('2'),
		"hard link":             kind('1'),
		"character device":      kind('3'),
		"directory entry":       kind('5'),
		"fifo":                  kind('6'),
		"contiguous file":       kind('7'),
		"old regular file":      kind(0),
		"PAX header":            kind('x'),
		"global PAX header":     kind('g'),
		"GNU long name":         kind('L'),
		"GNU sparse":            kind('S'),
		"GNU magic":             header(func(h []byte) { copy(h[257:], "ustar  \x00") }),
		"no magic":              header(func(h []byte) { copy(h[257:], make([]byte, 8)) }),
		"a prefix":              header(func(h []byte) { h[345] = 'x' }),
		"an owner":              header(func(h []byte) { copy(h[265:], "root") }),
		"other times":           header(func(h []byte) { copy(h[136:], "00000000001") }),
		"other mode":            header(func(h []byte) { copy(h[100:], "0000777") }),
		"size in base 256":      header(func(h []byte) { h[124] = 0x80 }),
		"huge size":             header(func(h []byte) { copy(h[124:], "77777777777") }),
		"wrong checksum":        bytes.Replace(good, []byte("ustar\x0000\x00"), []byte("ustar\x0000\x01"), 1),
		"a file twice":          entry(FileReadme, BundleReadme()),
		"no end":                body,
		"half an end":           append(clone(body), end[:tarBlock]...),
		"data behind the end":   append(clone(good), 'x'),
		"zeros behind the end":  append(clone(good), end...),
		"data in the end":       append(append(clone(body), make([]byte, tarBlock)...), bytes.Repeat([]byte{1}, tarBlock)...),
		"data in the padding":   bytes.Replace(good, append([]byte(`in log order`+"\n"), 0), append([]byte(`in log order`+"\n"), 1), 1),
		"cut within a file":     good[:len(good)/2],
		"cut within a header":   good[:tarBlock/2],
		"nothing":               nil,
		"only the end":          end,
		"files in other order":  append(append(append(clone(body[:len(body)-len(tarEntryOf(t, FileReceipts, b.files[FileReceipts]))-len(tarEntryOf(t, FileLeaves, b.files[FileLeaves]))]), tarEntryOf(t, FileReceipts, b.files[FileReceipts])...), tarEntryOf(t, FileLeaves, b.files[FileLeaves])...), end...),
		"manifest not at first": append(clone(body[len(tarEntryOf(t, FileManifest, b.raw)):]), append(tarEntryOf(t, FileManifest, b.raw), end...)...),
	} {
		if bytes.Equal(data, good) {
			t.Fatalf("%s: nothing was changed", what)
		}
		if r := verifyTar(data, trust); r.Result != Malformed || statusOf(r, CheckFiles) != Failed {
			t.Errorf("%s: %s %+v", what, r.Result, r.Checks)
		}
	}
	wantReport(t, verifyTar(good, trust), Verified)
}

// A tar that says it has ten thousand files, and one file of eight gigabytes,
// are refused before anything of them is kept.
func TestTamperTarBounds(t *testing.T) {
	many := tarEntryOf(t, FileManifest, nil)
	for i := range maxFiles {
		many = append(many, tarEntryOf(t, ProofFile(fmt.Sprintf("evt_%d", i)), nil)...)
	}
	wantReport(t, verifyTar(many, Trust{}), Malformed, CheckFiles)
	huge, err := tarHeader(FileKeys, maxFile)
	if err != nil {
		t.Fatal(err)
	}
	wantReport(t, verifyTar(huge, Trust{}), Malformed, CheckFiles)
}

// 51: the same of a directory.
func TestTamperDirectory(t *testing.T) {
	b := bundleOf(t, storyLog(t), rolloutScope)
	for what, c := range map[string]struct {
		name string
		file fstest.MapFile
	}{
		"link":            {FileLeaves, fstest.MapFile{Data: []byte(FileKeys), Mode: fs.ModeSymlink}},
		"device":          {FileReadme, fstest.MapFile{Mode: fs.ModeDevice}},
		"unknown file":    {".DS_Store", fstest.MapFile{}},
		"unknown folder":  {"more", fstest.MapFile{Mode: fs.ModeDir}},
		"folder as file":  {FileKeys, fstest.MapFile{Mode: fs.ModeDir}},
		"file in folder":  {"proofs/README", fstest.MapFile{}},
		"proofs as file":  {"proofs", fstest.MapFile{}},
		"keys too long":   {FileKeys, fstest.MapFile{Data: make([]byte, MaxBytes+1)}},
		"manifest a link": {FileManifest, fstest.MapFile{Data: []byte("x"), Mode: fs.ModeSymlink}},
	} {
		dir := b.dir()
		dir[c.name] = &c.file
		if c.name == "proofs" {
			for name := range dir {
				if strings.HasPrefix(name, "proofs/") {
					delete(dir, name)
				}
			}
		}
		if r := verifyDir(dir, b.log.trust(t)); r.Result != Malformed {
			t.Errorf("%s: %s %+v", what, r.Result, r.Checks)
		}
	}
	wantReport(t, verifyDir(fstest.MapFS{}, Trust{}), Malformed, CheckFiles)
}
