package bench

// Plots: an SVG for each suite, with a panel for each kind of work, readable on light and dark
// backgrounds.

import (
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// plotted describes a suite's plot.
type plotted struct {
	x, y   string // labels of the axes
	log    bool   // the y axis is logarithmic
	points func(*Row) []point
}

// point is a point in a panel. Values of x are names, which are placed in the order of the points.
type point struct {
	panel, series, x string
	y                float64
}

// Plot writes a file for each suite into a directory, which it makes if necessary.
func (r *Report) Plot(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, s := range r.Suites {
		file := filepath.Join(dir, s.Name+".svg")
		if err := os.WriteFile(file, []byte(s.svg()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Sizes in a plot, in pixels.
const (
	panelWidth, panelHeight = 360, 260 // a panel alone is twice as wide
	left, right             = 64, 16   // of the axes in a panel
	above, below            = 34, 46
	header                  = 64 // title and legend
)

// Servers differ in colour, and in dashes for people who do not see colours.
const style = `<style>
text { font: 12px system-ui, sans-serif; fill: #333 }
.title { font-size: 16px; font-weight: 600 } .panel { font-weight: 600 }
.axis { stroke: #777; fill: none } .grid { stroke: #ddd } .back { fill: #fff }
.line { fill: none; stroke-width: 2 }
.s0 { stroke: #0b6fcb } .s1 { stroke: #d1580b; stroke-dasharray: 7 3 }
.s2 { stroke: #16803c; stroke-dasharray: 2 3 } .s3 { stroke: #a02bb5; stroke-dasharray: 9 3 2 3 }
.s4 { stroke: #8a6d00; stroke-dasharray: 4 2 } .s5 { stroke: #666 }
.dot { stroke-dasharray: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #ddd } .axis { stroke: #999 } .grid { stroke: #383838 } .back { fill: #161616 }
.s0 { stroke: #5db0ff } .s1 { stroke: #ff9a55 } .s2 { stroke: #5fd38a }
.s3 { stroke: #e08bf0 } .s4 { stroke: #e5c33d } .s5 { stroke: #aaa }
}
</style>
`

// svg draws the suite.
func (s *Suite) svg() string {
	var points []point
	for _, r := range s.Rows {
		points = append(points, s.plot.points(r)...)
	}
	panels := distinct(points, func(p point) string { return p.panel })
	columns := max(min(len(panels), 2), 1)
	if len(panels)%3 == 0 && len(panels) > 0 {
		columns = 3
	}
	width, height := max(columns, 2)*panelWidth, header+(len(panels)+columns-1)/columns*panelHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" `+
		`viewBox="0 0 %[1]d %d" role="img">`+"\n", width, height)
	title := escape(s.Name + ": " + s.title)
	fmt.Fprintf(&b, "<title>%s</title>\n%s", title, style)
	fmt.Fprintf(&b, `<rect class="back" width="100%%" height="100%%"/>`+"\n")
	fmt.Fprintf(&b, `<text class="title" x="16" y="24">%s</text>`+"\n", title)
	at := 16
	for i, name := range s.servers { // a server has the same colour in all plots
		if !slices.ContainsFunc(points, func(p point) bool { return p.series == name }) {
			continue
		}
		fmt.Fprintf(&b, `<path class="line s%d" d="M%d 42h28"/><text x="%d" y="46">%s</text>`+"\n",
			i%6, at, at+34, escape(name))
		at += 60 + 7*len(name)
	}
	for i, panel := range panels {
		of := slices.DeleteFunc(slices.Clone(points),
			func(p point) bool { return p.panel != panel })
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", i%columns*width/columns,
			header+i/columns*panelHeight)
		s.plot.panel(&b, panel, of, s.servers, width/columns)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// panel draws the points of one panel with its axes.
func (p plotted) panel(b *strings.Builder, title string, points []point, series []string,
	width int) {
	places := distinct(points, func(p point) string { return p.x })
	x := func(name string) float64 {
		place := float64(width-left-right) / float64(len(places))
		return left + (float64(slices.Index(places, name))+0.5)*place
	}
	ticks := p.ticks(points)
	scale := func(v float64) float64 { return v }
	if p.log {
		scale = func(v float64) float64 { return math.Log10(max(v, ticks[0])) }
	}
	low, high := scale(ticks[0]), scale(ticks[len(ticks)-1])
	y := func(v float64) float64 {
		return panelHeight - below - (scale(v)-low)/(high-low)*(panelHeight-above-below)
	}
	fmt.Fprintf(b, `<text class="panel" x="%d" y="%d">%s</text>`+"\n", left, above-20,
		escape(title))
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", left, above-6, escape(p.y))
	for _, t := range ticks {
		fmt.Fprintf(b,
			`<path class="grid" d="M%d %.1fH%d"/>`+
				`<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			left, y(t), width-right, left-6, y(t)+4, tickText(t))
	}
	each := labelEach(places, width-left-right)
	for i := 0; i < len(places); i += each {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(places[i]),
			panelHeight-below+16, escape(places[i]))
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", (left+width-right)/2,
		panelHeight-below+34, escape(p.x))
	fmt.Fprintf(b, `<path class="axis" d="M%d %dV%dH%d"/>`+"\n", left, above, panelHeight-below,
		width-right)
	for i, name := range series {
		path, dots := "", ""
		for _, pt := range points {
			if pt.series == name {
				path += fmt.Sprintf("%c%.1f %.1f", "ML"[min(len(path), 1)], x(pt.x), y(pt.y))
				dots += fmt.Sprintf(`<circle class="back dot s%d" cx="%.1f" cy="%.1f" r="3">`+
					`<title>%s, %s: %s</title></circle>`,
					i%6, x(pt.x), y(pt.y), escape(name), escape(pt.x), tickText(pt.y))
			}
		}
		if path != "" {
			fmt.Fprintf(b, `<path class="line s%d" d="%s"/>%s`+"\n", i%6, path, dots)
		}
	}
}

// labelEach returns 1 if there is room for all names beside each other, 2 if for every second, and
// so on.
func labelEach(names []string, width int) int {
	const letter = 7 // pixels, with a gap between names
	longest := 1
	for _, n := range names {
		longest = max(longest, (len(n)+1)*letter)
	}
	return max(1, (len(names)*longest+width-1)/width)
}

// ticks returns at least two round values, the first below and the last above all points.
func (p plotted) ticks(points []point) []float64 {
	low, high := math.Inf(1), 0.0
	for _, pt := range points {
		low, high = min(low, max(pt.y, 1e-3)), max(high, pt.y)
	}
	var ticks []float64
	if p.log {
		from := math.Floor(math.Log10(low))
		for e := from; e <= max(math.Ceil(math.Log10(max(high, low))), from+1); e++ {
			ticks = append(ticks, math.Pow(10, e))
		}
		return ticks
	}
	high = max(high, 1e-3)
	step := math.Pow(10, math.Floor(math.Log10(high)))
	for _, part := range []float64{10, 5, 2} { // at least three steps
		if high/(step/part) <= 6 {
			step /= part
			break
		}
	}
	for v := 0.0; ; v += step {
		ticks = append(ticks, v)
		if v >= high {
			return ticks
		}
	}
}

func tickText(v float64) string {
	if v >= 1000 {
		return abbreviate(int64(v))
	}
	return fmt.Sprintf("%.4g", v)
}

// distinct returns the different values of a property, in the order of the points.
func distinct(points []point, of func(point) string) []string {
	var all []string
	for _, p := range points {
		if !slices.Contains(all, of(p)) {
			all = append(all, of(p))
		}
	}
	return all
}

func escape(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(text))
	return b.String()
}
