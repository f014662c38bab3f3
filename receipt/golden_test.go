package receipt

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// golden writes the golden bundle of this version, once and for ever: an old
// one is never written anew, because what was handed out stays verifiable.
var golden = flag.Bool("golden", false, "write testdata/bundle-v1.tar if it is not there")

const (
	goldenTar  = "bundle-v1.tar"
	goldenKeys = "bundle-v1.keys"
)

func TestWriteGolden(t *testing.T) {
	path := filepath.Join("testdata", goldenTar)
	if _, err := os.Stat(path); err == nil || !*golden {
		t.Skip("there is nothing to write")
	}
	l := storyLog(t)
	keys := "# receipts\n" + hex.EncodeToString(l.signer.Public()) + "\n# checkpoints\n" + l.vkey + "\n"
	for name, data := range map[string][]byte{goldenTar: bundleOf(t, l, rolloutScope).tar(t), goldenKeys: []byte(keys)} {
		if err := os.WriteFile(filepath.Join("testdata", name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func readGolden(t testing.TB) (tar []byte, trust Trust) {
	t.Helper()
	tar, err := os.ReadFile(filepath.Join("testdata", goldenTar))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := os.ReadFile(filepath.Join("testdata", goldenKeys))
	if err != nil {
		t.Fatal(err)
	}
	if trust, err = ParsePublicKeys(keys); err != nil {
		t.Fatal(err)
	}
	return tar, trust
}

// A bundle that was handed out once verifies for ever.
func TestGoldenBundle(t *testing.T) {
	tar, trust := readGolden(t)
	r := verifyTar(tar, trust)
	wantReport(t, r, Verified)
	if r.Receipts != 8 || r.Size != 12 || !r.KeysPinned || statusOf(r, CheckCompleteness) != OK {
		t.Errorf("%+v", r)
	}
}

// Every byte of a bundle counts: whichever is changed, the bundle is refused,
// as a tar and as a directory.
func TestEveryByteOfABundle(t *testing.T) {
	tar, trust := readGolden(t)
	step := 1
	if testing.Short() {
		step = 17
	}
	each(len(tar), step, func(i int) {
		changed := clone(tar)
		changed[i] ^= 1 << (i % 8)
		if r := verifyTar(changed, trust); r.Result != Failed && r.Result != Malformed {
			t.Errorf("byte %d of the tar changed from %q to %q: %s", i, tar[i], changed[i], r.Result)
		}
	})
	b := bundleOf(t, storyLog(t), rolloutScope)
	for name, file := range b.dir() {
		each(len(file.Data), 11*step, func(i int) {
			dir, data := b.dir(), clone(file.Data)
			data[i] ^= 1 << (i % 8)
			dir[name].Data = data
			if r := OpenBundleDir(dir).Verify(trust, nil); r.Result != Failed && r.Result != Malformed {
				t.Errorf("byte %d of %s changed from %q to %q: %s", i, name, file.Data[i], data[i], r.Result)
			}
		})
	}
}

// Every cut of a bundle is refused, too.
func TestEveryCutOfABundle(t *testing.T) {
	tar, trust := readGolden(t)
	each(len(tar), 37, func(i int) {
		if r := verifyTar(tar[:i], trust); r.Result != Malformed {
			t.Errorf("cut at %d: %s", i, r.Result)
		}
	})
}

// each calls fn for 0, step, 2·step … below n, on all processors.
func each(n, step int, fn func(i int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := int(next.Add(1)-1) * step; i < n; i = int(next.Add(1)-1) * step {
				fn(i)
			}
		})
	}
	workers.Wait()
}
