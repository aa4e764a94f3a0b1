package chart

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	width       = 21 * vg.Centimeter
	panelHeight = 4.4 * vg.Centimeter
	axisHeight  = 1.1 * vg.Centimeter // of the axis below the last panel
	margin      = 0.4 * vg.Centimeter
	lineHeight  = 0.6 * vg.Centimeter
)

// figure is a picture: a title, a legend, and panels one above the other.
type figure struct {
	title, about  string
	names         []string // of the lines
	note          string   // beside the legend
	panels        []panel
	x             axis
	shades        [][2]float64 // spans of the axis with a darker background
	width, height vg.Length
	table         [][]string // of an HTML page; the first row is the head
}

// axis is the horizontal axis of all panels.
type axis struct {
	label     string
	low, high float64
	step      float64 // from one value of a line to the next
	ticks     plot.Ticker
	bare      plot.Ticker // the same, without numbers
	stairs    bool        // a line is drawn as steps
}

// size sets the size that the panels need.
func (f *figure) size() *figure {
	f.width = width
	f.height = vg.Length(len(f.panels))*panelHeight + axisHeight + f.head() + margin
	return f
}

// head is the height of title and legend.
func (f *figure) head() vg.Length {
	return margin + lineHeight*vg.Length(1+len(f.legendRows()))
}

var (
	grid   = color.Gray{225}
	shadow = color.Gray{238} // of a window
)

// style returns the style of the line of policy i.
func style(i int) draw.LineStyle {
	colors := []color.Color{
		color.RGBA{8, 35, 90, 255}, color.RGBA{195, 70, 0, 255}, color.RGBA{90, 180, 235, 255},
		color.Black, color.RGBA{150, 60, 120, 255}, color.RGBA{120, 190, 110, 255},
	}
	dashes := [][]vg.Length{
		nil, {vg.Points(6), vg.Points(2.5)}, {vg.Points(1.6), vg.Points(1.6)},
		{vg.Points(9), vg.Points(2), vg.Points(2), vg.Points(2)},
		{vg.Points(3), vg.Points(3)}, {vg.Points(12), vg.Points(4)},
	}
	return draw.LineStyle{
		Color: colors[i%6], Dashes: dashes[(i+i/6)%6], Width: vg.Points(1.5),
	}
}

// face returns the style of text.
func face(size vg.Length) draw.TextStyle {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	return draw.TextStyle{
		Color: color.Black, Font: f, Handler: text.Plain{Fonts: font.DefaultCache},
		YAlign: draw.YCenter,
	}
}

func (f *figure) draw(c draw.Canvas) error {
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	f.drawHead(c)
	plots := make([]*plot.Plot, len(f.panels))
	for i := range f.panels {
		p, err := f.plot(i)
		if err != nil {
			return err
		}
		plots[i] = p
	}
	f.drawPanels(draw.Crop(c, margin, -margin, margin, -f.head()), plots)
	return nil
}

// drawPanels draws the plots below each other, with their horizontal axes aligned.
func (f *figure) drawPanels(c draw.Canvas, plots []*plot.Plot) {
	areas := make([]draw.Canvas, len(plots))
	left, right := c.Min.X, c.Max.X
	for i, p := range plots {
		areas[i] = c
		areas[i].Max.Y = c.Max.Y - vg.Length(i)*panelHeight - lineHeight
		areas[i].Min.Y = areas[i].Max.Y - panelHeight + lineHeight
		if i == len(plots)-1 {
			areas[i].Min.Y = c.Min.Y
		}
		data := p.DataCanvas(areas[i])
		left, right = max(left, data.Min.X), min(right, data.Max.X)
	}
	for i, p := range plots {
		label := vg.Point{X: c.Min.X, Y: areas[i].Max.Y + lineHeight/2}
		c.FillText(face(vg.Points(10)), label, f.panels[i].title())
		data := p.DataCanvas(areas[i])
		p.Draw(draw.Crop(areas[i], left-data.Min.X, right-data.Max.X, 0, 0))
	}
}

// plot returns the plot of panel i.
func (f *figure) plot(i int) (*plot.Plot, error) {
	panel := &f.panels[i]
	p := plot.New()
	small := face(vg.Points(9))
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Tick.Label.Font, axis.Tick.Label.Handler = small.Font, small.Handler
		axis.Label.TextStyle.Font, axis.Label.TextStyle.Handler = small.Font, small.Handler
		axis.Padding, axis.Tick.Length = 0, vg.Points(4)
	}
	p.X.Min, p.X.Max, p.X.Tick.Marker = f.x.low, f.x.high, f.x.bare
	if i == len(f.panels)-1 {
		p.X.Label.Text, p.X.Tick.Marker = f.x.label, f.x.ticks
	}
	p.Y.Min, p.Y.Max, p.Y.Tick.Marker = 0, max(panel.max()*1.08, 1), ticks{steps: numbers, most: 5}
	if panel.zoom {
		p.Y.Min, p.Y.Max = panel.bounds()
	}
	if panel.log {
		p.Y.Min, p.Y.Max = 1, panel.max()*1.5
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, powers{}
	}
	if err := f.addShades(p); err != nil {
		return nil, err
	}
	lines := plotter.NewGrid()
	lines.Horizontal.Color, lines.Vertical.Color = grid, grid
	p.Add(lines)
	for j, values := range panel.lines {
		if err := f.addLine(p, values, style(j)); err != nil {
			return nil, err
		}
		if panel.ranges != nil {
			if err := f.addRanges(p, values, panel.ranges[j], style(j)); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// addLine draws a line, as steps if the axis has stairs.
func (f *figure) addLine(p *plot.Plot, values []float64, s draw.LineStyle) error {
	points := make(plotter.XYs, 0, len(values)+1)
	for i, v := range values {
		points = append(points, plotter.XY{X: float64(i) * f.x.step, Y: max(v, p.Y.Min)})
	}
	if f.x.stairs {
		points = append(points, plotter.XY{X: p.X.Max, Y: points[len(points)-1].Y})
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.LineStyle = s
	if f.x.stairs {
		line.StepStyle = plotter.PostStep
	}
	f.add(p, line)
	return nil
}

// add adds a plotter without changing the axes. plot.Plot.Add widens them to the data.
func (f *figure) add(p *plot.Plot, what plot.Plotter) {
	bottom, top, left, right := p.Y.Min, p.Y.Max, p.X.Min, p.X.Max
	p.Add(what)
	p.Y.Min, p.Y.Max, p.X.Min, p.X.Max = bottom, top, left, right
}

// spread is a line's values with a range each.
type spread struct {
	plotter.XYs
	plotter.YErrors
}

// addRanges draws a bar from the least to the most at each value.
func (f *figure) addRanges(
	p *plot.Plot, values []float64, ranges [][2]float64, s draw.LineStyle,
) error {
	var points spread
	for i, v := range values {
		points.XYs = append(points.XYs, plotter.XY{X: float64(i) * f.x.step, Y: v})
		bar := struct{ Low, High float64 }{v - ranges[i][0], ranges[i][1] - v}
		points.YErrors = append(points.YErrors, bar)
	}
	bars, err := plotter.NewYErrorBars(points)
	if err != nil {
		return err
	}
	bars.LineStyle = draw.LineStyle{Color: s.Color, Width: vg.Points(0.8)}
	f.add(p, bars)
	return nil
}

// addShades darkens the background of spans, such as the time of an outage.
func (f *figure) addShades(p *plot.Plot) error {
	for _, shade := range f.shades {
		from, to := shade[0], shade[1]
		area, err := plotter.NewPolygon(plotter.XYs{
			{X: from, Y: p.Y.Min}, {X: to, Y: p.Y.Min}, {X: to, Y: p.Y.Max}, {X: from, Y: p.Y.Max},
		})
		if err != nil {
			return err
		}
		area.Color, area.LineStyle.Width = shadow, 0
		p.Add(area)
	}
	return nil
}

// sample is the length of a line in the legend.
const sample = 1.1 * vg.Centimeter

// legendRows distributes the names over rows that fit the width.
func (f *figure) legendRows() (rows [][]int) {
	used := f.width
	for i := range f.names {
		w := f.entryWidth(i)
		if used+w > f.width-2*margin {
			rows, used = append(rows, nil), 0
		}
		last := len(rows) - 1
		rows[last] = append(rows[last], i)
		used += w
	}
	return rows
}

func (f *figure) entryWidth(i int) vg.Length {
	return sample + 4*margin/2 + face(vg.Points(10)).Width(f.names[i]) + margin
}

func (f *figure) drawHead(c draw.Canvas) {
	y := c.Max.Y - margin - lineHeight/2
	title := f.title
	if f.about != "" {
		title += ": " + f.about
	}
	c.FillText(face(vg.Points(12)), vg.Point{X: c.Min.X + margin, Y: y}, title)
	label := face(vg.Points(10))
	for _, row := range f.legendRows() {
		y -= lineHeight
		x := c.Min.X + margin
		for _, i := range row {
			c.StrokeLine2(style(i), x, y, x+sample, y)
			c.FillText(label, vg.Point{X: x + sample + margin/2, Y: y}, f.names[i])
			x += f.entryWidth(i)
		}
	}
	if f.note != "" {
		note := face(vg.Points(9))
		note.XAlign = draw.XRight
		note.Color = color.Gray{90}
		c.FillText(note, vg.Point{X: c.Max.X - margin, Y: y}, f.note)
	}
}
