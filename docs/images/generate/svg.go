package main

import (
	"fmt"
	"html"
	"strconv"
	"strings"
)

// canvas gathers the elements of a picture.
type canvas struct {
	width, height int
	title, text   string
	body          strings.Builder
}

// style has the colours on a light and on a dark background. The background is
// part of the picture, so it is legible wherever it stands.
const style = `<style>
text{font:13px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#1f2328}
.bg{fill:#fff}.h{font-weight:600;font-size:15px}.m{fill:#59636e}.s{font-size:12px}
.g{stroke:#d1d9e0;stroke-width:1}.z{stroke:#59636e;stroke-width:1.2}.f{fill:none}
.u{stroke:#bc4c00}.uf{fill:#bc4c00}.p{stroke:#0969da}.pf{fill:#0969da}.o{stroke:#6639ba}.of{fill:#6639ba}.k{stroke:#59636e}.kf{fill:#59636e}
.l{stroke-width:2;stroke-linejoin:round}.b{opacity:.16;stroke:none}.d{stroke-dasharray:5 4}
@media(prefers-color-scheme:dark){
text{fill:#f0f6fc}.bg{fill:#0d1117}.m{fill:#9198a1}.g{stroke:#3d444d}.z{stroke:#9198a1}
.u{stroke:#f0883e}.uf{fill:#f0883e}.p{stroke:#58a6ff}.pf{fill:#58a6ff}.o{stroke:#bc8cff}.of{fill:#bc8cff}.k{stroke:#9198a1}.kf{fill:#9198a1}
.b{opacity:.25}}
</style>
`

// svg is the whole file.
func (c *canvas) svg() string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="t d">
<title id="t">%s</title>
<desc id="d">%s</desc>
%s<rect class="bg" width="%d" height="%d"/>
%s</svg>
`, c.width, c.height, c.width, c.height, html.EscapeString(c.title), html.EscapeString(c.text), style, c.width, c.height, c.body.String())
}

// at writes a coordinate to a tenth of a pixel.
func at(v float64) string {
	text := strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
	if text == "-0" {
		return "0"
	}
	return text
}

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&c.body, "<line class=%q x1=%q y1=%q x2=%q y2=%q/>\n", class, at(x1), at(y1), at(x2), at(y2))
}

func (c *canvas) dot(class string, x, y, r float64) {
	fmt.Fprintf(&c.body, "<circle class=%q cx=%q cy=%q r=%q/>\n", class, at(x), at(y), at(r))
}

func (c *canvas) area(class string, x, y, width, height float64) {
	fmt.Fprintf(&c.body, "<rect class=%q x=%q y=%q width=%q height=%q/>\n", class, at(x), at(y), at(width), at(height))
}

// write puts text; anchor is start, middle or end.
func (c *canvas) write(class, anchor string, x, y float64, text string) {
	fmt.Fprintf(&c.body, "<text class=%q text-anchor=%q x=%q y=%q>%s</text>\n", class, anchor, at(x), at(y), html.EscapeString(text))
}

// point is a place on the canvas.
type point struct{ x, y float64 }

func joined(points []point) string {
	texts := make([]string, len(points))
	for i, p := range points {
		texts[i] = at(p.x) + "," + at(p.y)
	}
	return strings.Join(texts, " ")
}

func (c *canvas) path(class string, points []point) {
	fmt.Fprintf(&c.body, "<polyline class=%q points=%q/>\n", class, joined(points))
}

// band fills what lies between two lines.
func (c *canvas) band(class string, upper, lower []point) {
	all := append([]point{}, upper...)
	for i := len(lower) - 1; i >= 0; i-- {
		all = append(all, lower[i])
	}
	fmt.Fprintf(&c.body, "<polygon class=%q points=%q/>\n", class, joined(all))
}

// axis maps values to pixels.
type axis struct{ from, to, first, last float64 }

func (a axis) of(v float64) float64 {
	return a.first + float64((v-a.from)/(a.to-a.from)*(a.last-a.first))
}

// panel is a pair of axes.
type panel struct {
	*canvas
	x, y axis
}

// place is a point of the panel, kept within its height.
func (p panel) place(x, y float64) point {
	return point{p.x.of(x), p.y.of(max(p.y.from, min(y, p.y.to)))}
}

// grid draws horizontal lines and their labels.
func (p panel) grid(values []float64, label func(float64) string) {
	for _, v := range values {
		y := p.y.of(v)
		p.line("g", p.x.first, y, p.x.last, y)
		p.write("m s", "end", p.x.first-7, y+4, label(v))
	}
}

// below labels values under the panel.
func (p panel) below(values []float64, label func(float64) string) {
	for _, v := range values {
		x := p.x.of(v)
		p.line("k", x, p.y.first, x, p.y.first+4)
		p.write("m s", "middle", x, p.y.first+18, label(v))
	}
}

func number(v float64) string {
	return strings.Replace(strconv.FormatFloat(v, 'g', 4, 64), "-", "−", 1)
}

func percent(v float64) string { return number(v) + " %" }

// points writes a signed difference in points.
func points(v float64) string {
	if v > 0 {
		return "+" + number(v)
	}
	return number(v)
}

func fixed(v float64) string {
	return strings.Replace(strconv.FormatFloat(v, 'f', 1, 64), "-", "−", 1)
}
