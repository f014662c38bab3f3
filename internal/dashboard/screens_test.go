package dashboard

import (
	"bytes"
	"context"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var screens = flag.String("screens", "", "a directory to write pictures of the page to")

// TestScreens looks at the page in each width and scheme, and with -screens
// writes what it looks like:
//
//	go test ./internal/dashboard -run Screens -screens "$PWD/docs/screens"
func TestScreens(t *testing.T) {
	browser := chromium(t)
	f, index := sample()
	raw := string(f.sealed[index].Raw)
	s := newSite(t, f.keysJSON)
	for _, c := range []struct {
		name          string
		width, height int64
		scheme, media string
		top           string // what is scrolled to
	}{
		{"verify-light", 1080, 1085, "light", "screen", "h1"},
		{"verify-dark", 1080, 820, "dark", "screen", "#change-title"},
		{"verify-narrow", 400, 1000, "light", "screen", "#result-title"},
		{"", 320, 900, "dark", "screen", "h1"},
		{"", 800, 900, "light", "print", "h1"},
	} {
		b := open(browser, t, s.URL+"/verify", "")
		b.run(chromedp.EmulateViewport(c.width, c.height), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Media: c.media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: c.scheme}},
			})
			return err
		}))
		b.paste(map[string]string{"receipt": raw, "proof": f.proof(index), "keys": f.keysJSON})
		if eval[bool](b, `document.documentElement.scrollWidth > innerWidth`) {
			t.Errorf("at %d pixels the page is wider than its window", c.width)
		}
		b.clean()
		if *screens == "" || c.name == "" {
			continue
		}
		eval[bool](b, `(document.querySelector(`+quoted(c.top)+`).scrollIntoView(), scrollBy(0, -16), new Promise((done) => requestAnimationFrame(() => done(true))))`)
		picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if picture = small(picture); len(picture) > 150_000 {
			t.Errorf("%s has %d bytes", c.name, len(picture))
		}
		if err := os.WriteFile(filepath.Join(*screens, c.name+".png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// small reduces a picture to its most frequent colours.
func small(picture []byte) []byte {
	full := must(png.Decode(bytes.NewReader(picture)))
	size := full.Bounds()
	count := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(full.At(x, y)).(color.RGBA) }
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int { return count[b] - count[a] })
	var palette color.Palette
	for _, c := range colours[:min(len(colours), 256)] {
		palette = append(palette, c)
	}
	nearest := map[color.RGBA]uint8{}
	for c := range count {
		nearest[c] = uint8(palette.Index(c))
	}
	out := image.NewPaletted(size, palette)
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			out.SetColorIndex(x, y, nearest[at(x, y)])
		}
	}
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&b, out); err != nil {
		panic(err)
	}
	return b.Bytes()
}
