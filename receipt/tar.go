package receipt

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A tar of a bundle is plain ustar in one spelling, so that no two readers can
// find different files in it and no byte of it is without meaning: regular
// files only, of mode 0644, with all else that a header can say zero or empty;
// padding of zeros; two blocks of zeros at the end and nothing behind them.

const tarBlock = 512

// tarHeader is the one header of a file.
func tarHeader(name string, size int64) ([]byte, error) {
	var b bytes.Buffer
	err := tar.NewWriter(&b).WriteHeader(plainHeader(name, size))
	return b.Bytes(), err
}

func plainHeader(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, Format: tar.FormatUSTAR}
}

// tarFile is where a file lies in a tar.
type tarFile struct {
	name         string
	offset, size int64
}

// readTar lists the files of a tar of size bytes. It reads headers and padding
// only. An error of r is returned as it is; every other one says what is not as
// it should be.
func readTar(r io.ReaderAt, size int64) ([]tarFile, error) {
	var files []tarFile
	seen := map[string]bool{}
	block := make([]byte, tarBlock)
	for at := int64(0); ; {
		if err := readFull(r, block, at); err != nil {
			return nil, err
		}
		if isZero(block) {
			if err := readFull(r, block, at+tarBlock); err != nil {
				return nil, err
			}
			if !isZero(block) || at+2*tarBlock != size {
				return nil, errors.New("the tar does not end with two blocks of zeros and nothing behind them")
			}
			return files, nil
		}
		f, err := tarEntry(block)
		if err != nil {
			return nil, err
		}
		if seen[f.name] {
			return nil, fmt.Errorf("the file %s stands in the tar twice", f.name)
		}
		if seen[f.name] = true; len(files) == maxFiles {
			return nil, fmt.Errorf("more than %d files", maxFiles)
		}
		f.offset = at + tarBlock
		padding := (tarBlock - f.size%tarBlock) % tarBlock
		if f.size > size-f.offset-padding {
			return nil, fmt.Errorf("the tar ends within the file %s", f.name)
		}
		if err := readFull(r, block[:padding], f.offset+f.size); err != nil {
			return nil, err
		}
		if !isZero(block[:padding]) {
			return nil, fmt.Errorf("the padding behind the file %s is not zero", f.name)
		}
		files = append(files, f)
		at = f.offset + f.size + padding
	}
}

// tarEntry reads a header, and names what is most wrong with it.
func tarEntry(block []byte) (tarFile, error) {
	kind := block[156]
	switch kind {
	case tar.TypeReg:
	case tar.TypeLink, tar.TypeSymlink:
		return tarFile{}, errors.New("the tar holds a link")
	case tar.TypeXHeader, tar.TypeXGlobalHeader, tar.TypeGNULongName, tar.TypeGNULongLink, tar.TypeGNUSparse:
		return tarFile{}, errors.New("the tar holds extended headers; unpack it and give the directory")
	default:
		return tarFile{}, fmt.Errorf("the tar holds an entry of the type %q, which is no regular file", kind)
	}
	h, err := tar.NewReader(bytes.NewReader(block)).Next()
	if err != nil {
		return tarFile{}, fmt.Errorf("not a tar header: %w", err)
	}
	limit, ok := limitOf(h.Name)
	switch {
	case strings.HasPrefix(h.Name, "/") || strings.Contains(h.Name, ".."):
		return tarFile{}, fmt.Errorf("the path %s leads out of the bundle", quote(h.Name))
	case !ok:
		return tarFile{}, fmt.Errorf("%s is no file of a bundle", quote(h.Name))
	case h.Size > limit:
		return tarFile{}, fmt.Errorf("the file %s has %d bytes, over the limit of %d", h.Name, h.Size, limit)
	}
	want, err := tarHeader(h.Name, h.Size)
	if err != nil {
		return tarFile{}, err
	}
	if !bytes.Equal(block, want) {
		return tarFile{}, fmt.Errorf("the header of the file %s is not in its one spelling (byte %d); unpack the tar and give the directory", h.Name, firstDifference(block, want))
	}
	return tarFile{name: h.Name, size: h.Size}, nil
}

// readFull fills p from offset.
func readFull(r io.ReaderAt, p []byte, offset int64) error {
	n, err := r.ReadAt(p, offset)
	if n == len(p) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the tar is cut off")
	}
	return err
}

func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// BundleWriter writes a bundle as a tar. The files come in the order of the
// manifest and must be those that it names: a file of another size or digest is
// an error, and what was written then lacks its end. After an error every call
// returns the same error.
type BundleWriter struct {
	tar   *tar.Writer
	files []BundleFile // still to come
	open  *FileSum
	err   error
}

// NewBundleWriter writes the manifest, an export receipt as it was sealed.
func NewBundleWriter(w io.Writer, manifest []byte) (*BundleWriter, error) {
	m, _, err := ParseManifest(manifest)
	if err != nil {
		return nil, err
	}
	b := &BundleWriter{tar: tar.NewWriter(w), files: m.Files}
	if err := b.tar.WriteHeader(plainHeader(FileManifest, int64(len(manifest)))); err != nil {
		return nil, err
	}
	_, err = b.tar.Write(manifest)
	return b, err
}

// Create begins the next file, whose name the caller says so that it cannot
// write one in the place of another. The writer is valid until the next call.
func (b *BundleWriter) Create(name string) (io.Writer, error) {
	if b.end(); b.err != nil {
		return nil, b.err
	}
	if len(b.files) == 0 || b.files[0].Name != name {
		b.err = fmt.Errorf("bundle: the file %s is not the next one of the manifest", quote(name))
		return nil, b.err
	}
	b.open = NewFileSum(name)
	b.err = b.tar.WriteHeader(plainHeader(name, b.files[0].Size))
	return io.MultiWriter(b.tar, b.open), b.err
}

// Write writes the next file at once.
func (b *BundleWriter) Write(name string, content []byte) error {
	w, err := b.Create(name)
	if err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		b.err = err
	}
	return b.err
}

// Close ends the bundle after its last file. It does not close the underlying writer.
func (b *BundleWriter) Close() error {
	if b.end(); b.err == nil && len(b.files) > 0 {
		b.err = fmt.Errorf("bundle: the file %s was not written", b.files[0].Name)
	}
	if b.err == nil {
		b.err = b.tar.Close()
	}
	return b.err
}

// end compares the file that is being written with the manifest.
func (b *BundleWriter) end() {
	if b.err != nil || b.open == nil {
		return
	}
	if got := b.open.File(); got != b.files[0] {
		b.err = fmt.Errorf("bundle: the file %s was to have %d bytes and the digest %s, and has %d and %s",
			got.Name, b.files[0].Size, b.files[0].SHA256, got.Size, got.SHA256)
	}
	b.files, b.open = b.files[1:], nil
}
