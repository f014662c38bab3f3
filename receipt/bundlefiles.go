package receipt

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Bundle is a bundle to be read or verified. What is wrong with its form is
// found when it is opened, and said when it is used.
type Bundle struct {
	names []string // in the order of the tar; of a directory in no order that counts
	files map[string]bundleSource
	tar   bool
	err   error // the form is wrong, or could not be read
}

type bundleSource struct {
	size int64
	open func() (io.ReadCloser, error)
}

// OpenBundleDir opens a bundle that was unpacked. Links in fsys must be told
// by its directory entries and not followed: for a directory of the operating
// system, os.OpenRoot(dir).FS() does that.
func OpenBundleDir(fsys fs.FS) *Bundle {
	b := &Bundle{files: map[string]bundleSource{}}
	b.err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." || name == proofDirectory && d.IsDir() {
			return err
		}
		limit, ok := limitOf(name)
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			return fmt.Errorf("%s is a link", quote(name))
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is no regular file", quote(name))
		case !ok:
			return fmt.Errorf("%s is no file of a bundle", quote(name))
		case len(b.names) == maxFiles:
			return fmt.Errorf("more than %d files", maxFiles)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Size() > limit {
			return fmt.Errorf("the file %s has %d bytes, over the limit of %d", name, info.Size(), limit)
		}
		b.names = append(b.names, name)
		b.files[name] = bundleSource{info.Size(), func() (io.ReadCloser, error) { return fsys.Open(name) }}
		return nil
	})
	return b
}

// OpenBundleTar opens a bundle that is a tar of size bytes.
func OpenBundleTar(r io.ReaderAt, size int64) *Bundle {
	b := &Bundle{files: map[string]bundleSource{}, tar: true}
	list, err := readTar(r, size)
	b.err = err
	for _, f := range list {
		b.names = append(b.names, f.name)
		b.files[f.name] = bundleSource{f.size, func() (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(r, f.offset, f.size)), nil
		}}
	}
	return b
}

// IsTar reports whether head, the first bytes of a file, begin a tar.
func IsTar(head []byte) bool {
	const at, magic = 257, "ustar"
	return len(head) >= at+len(magic) && string(head[at:at+len(magic)]) == magic
}

// Names lists the files, in the order in which they stand in a tar.
func (b *Bundle) Names() ([]string, error) { return b.names, b.err }

// Open opens a file by its name. It is as the bundle has it: see [Bundle.Verify].
func (b *Bundle) Open(name string) (io.ReadCloser, error) {
	if b.err != nil {
		return nil, b.err
	}
	f, ok := b.files[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return f.open()
}

// read reads a small file whole.
func (b *Bundle) read(name string) ([]byte, error) {
	f, err := b.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	limit, _ := limitOf(name)
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("the file %s has more than %d bytes", name, limit)
	}
	return data, err
}

// Manifest reads the manifest without checking its signature.
func (b *Bundle) Manifest() (Manifest, error) {
	raw, err := b.read(FileManifest)
	if err != nil {
		return Manifest{}, err
	}
	m, _, err := ParseManifest(raw)
	return m, err
}

// Receipts calls fn for each receipt, in log order, until it fails. The
// receipt's bytes are valid until fn returns. Nothing is verified but the
// receipts' form: it is for who has verified the bundle, see [Bundle.Verify].
func (b *Bundle) Receipts(fn func(index int64, r Receipt) error) error {
	f, err := b.Open(FileReceipts)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	lines := newLineReader(f)
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		index, raw, ok := splitLine(line)
		if !ok {
			return &VerifyError{Check: CheckLine, Detail: "not the line of a receipt", malformed: true}
		}
		r, err := Parse(raw)
		if err == nil {
			err = fn(index, r)
		}
		if err != nil {
			return err
		}
	}
}
