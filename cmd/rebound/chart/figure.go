package chart

import (
	"fmt"
	"image/color"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/rebound-go/rebound/sim"
)

// figure is a picture: a title, a legend, and panels one above the other.
type figure struct {
	result        sim.Result
	panels        []panel
	step          float64 // seconds from one value to the next
	width, height vg.Length
}

func newFigure(r sim.Result) *figure {
	f := &figure{result: r, width: width}
	f.panels, f.step = panels(r)
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

// style is how the line of policy i looks.
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

// face is the text of the picture.
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

// drawPanels draws one plot below the other, so that a time is at the same place in all of them.
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

// plot makes the panel i.
func (f *figure) plot(i int) (*plot.Plot, error) {
	panel := &f.panels[i]
	p := plot.New()
	small := face(vg.Points(9))
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Tick.Label.Font, axis.Tick.Label.Handler = small.Font, small.Handler
		axis.Label.TextStyle.Font, axis.Label.TextStyle.Handler = small.Font, small.Handler
		axis.Padding, axis.Tick.Length = 0, vg.Points(4)
	}
	p.X.Min, p.X.Max = 0, f.result.Scenario.Duration.Seconds()
	p.X.Tick.Marker = ticks{steps: seconds, most: 12}
	if i == len(f.panels)-1 {
		p.X.Label.Text = "time in s"
	} else {
		p.X.Tick.Marker = ticks{steps: seconds, most: 12, bare: true}
	}
	p.Y.Min, p.Y.Max, p.Y.Tick.Marker = 0, max(panel.max()*1.08, 1), ticks{steps: numbers, most: 5}
	if panel.log {
		p.Y.Min, p.Y.Max = 1, panel.max()*1.5
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, powers{}
	}
	if err := f.addWindows(p); err != nil {
		return nil, err
	}
	lines := plotter.NewGrid()
	lines.Horizontal.Color, lines.Vertical.Color = grid, grid
	p.Add(lines)
	for j, values := range panel.lines {
		if err := f.addLine(p, values, style(j)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// addLine draws a line as steps: each value holds for a whole step of time.
func (f *figure) addLine(p *plot.Plot, values []float64, s draw.LineStyle) error {
	points := make(plotter.XYs, 0, len(values)+1)
	for i, v := range values {
		points = append(points, plotter.XY{X: float64(i) * f.step, Y: max(v, p.Y.Min)})
	}
	points = append(points, plotter.XY{X: p.X.Max, Y: points[len(points)-1].Y})
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.LineStyle, line.StepStyle = s, plotter.PostStep
	bottom, top, right := p.Y.Min, p.Y.Max, p.X.Max
	p.Add(line) // which widens the axes to its data
	p.Y.Min, p.Y.Max, p.X.Max = bottom, top, right
	return nil
}

// addWindows shades the times at which something is wrong.
func (f *figure) addWindows(p *plot.Plot) error {
	for _, w := range f.result.Scenario.Server.Windows {
		from, to := w.From.Seconds(), min(w.To, f.result.Scenario.Duration).Seconds()
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

// legendRows distributes the policies over as many rows as their names need.
func (f *figure) legendRows() (rows [][]int) {
	used := f.width
	for i := range f.result.Policies {
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
	return sample + 4*margin/2 + face(vg.Points(10)).Width(f.result.Policies[i].Policy) + margin
}

func (f *figure) drawHead(c draw.Canvas) {
	s := f.result.Scenario
	y := c.Max.Y - margin - lineHeight/2
	title := s.Name
	if s.About != "" {
		title += ": " + s.About
	}
	c.FillText(face(vg.Points(12)), vg.Point{X: c.Min.X + margin, Y: y}, title)
	label := face(vg.Points(10))
	for _, row := range f.legendRows() {
		y -= lineHeight
		x := c.Min.X + margin
		for _, i := range row {
			c.StrokeLine2(style(i), x, y, x+sample, y)
			c.FillText(label, vg.Point{X: x + sample + margin/2, Y: y}, f.result.Policies[i].Policy)
			x += f.entryWidth(i)
		}
	}
	if len(s.Server.Windows) > 0 {
		note := face(vg.Points(9))
		note.XAlign = draw.XRight
		note.Color = color.Gray{90}
		c.FillText(note, vg.Point{X: c.Max.X - margin, Y: y}, f.note())
	}
}

// note explains the shade and the step.
func (f *figure) note() string {
	step := time.Duration(f.step * float64(time.Second)).Round(time.Microsecond)
	return fmt.Sprintf("grey: trouble; a step is %v", step)
}
