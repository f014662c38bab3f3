package dashboard

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
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

// TestRolloutScreens does so with a canary in the middle of its ramp, and the
// list that it stands in. The pictures are those of prova demo --keep, of each page.
func TestRolloutScreens(t *testing.T) {
	browser := chromium(t)
	h := newHouse(t)
	h.clock.at = time.Now().Add(-time.Hour)
	url := h.served()
	id := h.canary()
	b := enter(browser, t, url, h.ownerKey, "/rollouts/"+id)
	for _, path := range []string{"/rollouts", "/rollouts/" + id} {
		b.goTo(url + path)
		for _, c := range []struct {
			width, height int64
			scheme        string
		}{{1080, 600, "light"}, {1080, 1000, "dark"}, {390, 1000, "light"}} {
			b.look(c.width, c.height, c.scheme, "screen")
			if eval[bool](b, `document.documentElement.scrollWidth > innerWidth`) {
				t.Errorf("at %d pixels the page is wider than its window", c.width)
			}
		}
	}
	b.clean()
	if *screens != "" {
		pictureDemo(browser, t)
	}
}

// canary makes a canary that has advanced once and is watched closely, beside others.
func (h *house) canary() string {
	h.t.Helper()
	for _, app := range []string{"support-bot", "search-agent"} {
		h.create(app, func(r *api.CreateRollout) { r.Mode = api.ModeShadow })
		h.traffic(app, 34, 3, 3, 9)
		h.tick(must(h.Rollouts(h.t.Context(), h.owner, authority.RolloutFilter{AppID: app}, "", 1)).Items[0].ID)
	}
	id := h.create("claims-agent", func(r *api.CreateRollout) {
		for _, g := range []string{"success:margin=0.02", "error:margin=0.05:on=hold", "latency_ms:mean:margin=10%:on=hold"} {
			r.Gates = append(r.Gates, must(api.ParseGate(g)))
		}
	}).ID
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same traffic each time
	batch := func(candidates, per int) {
		var events []api.Event
		for i := range candidates * (per + 1) {
			release, slow := "v36", 0.0
			if i%(per+1) == 0 {
				release, slow = "v37", 25
			}
			e := event("claims-agent", release, random.Float64() > 0.08)
			e.Metrics["error"] = api.Bool(random.Float64() < 0.03)
			e.Metrics["latency_ms"] = api.Number(math.Round(500 + slow + 600*random.Float64()))
			e.ProbeID = fmt.Sprintf("claim-%04d", random.IntN(300))
			events = append(events, e)
		}
		h.record(h.owner, events...)
		h.clock.pass(90 * time.Second)
		h.tick(id)
	}
	for range 8 {
		batch(5, 19)
	}
	for range 5 {
		batch(5, 2)
	}
	return id
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
