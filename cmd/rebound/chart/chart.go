// Package chart draws the results of simulations. A panel shows one kind of number over time, or
// over the values of a field, with a line for each policy. Lines differ in dashes and brightness,
// so that a print in grey is readable.
package chart

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/rebound-go/rebound/sim"
)

// CanDraw returns an error if the name of a file does not end in .svg, .png or .html.
func CanDraw(path string) error {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".svg", ".png", ".html":
		return nil
	}
	return fmt.Errorf("cannot draw %s: want a name that ends in .svg, .png or .html", path)
}

// Draw writes a picture of the result to the file, in the format that its name ends in.
func Draw(path string, r sim.Result) error { return overTime(r).write(path) }

// DrawSweep writes a picture of the sweep to the file, in the format that its name ends in.
func DrawSweep(path string, s Sweep) error { return overValues(s).write(path) }

func (f *figure) write(path string) error {
	if err := CanDraw(path); err != nil {
		return err
	}
	var out bytes.Buffer
	var err error
	switch strings.ToLower(filepath.Ext(path)) {
	case ".svg":
		err = f.svg(&out)
	case ".png":
		err = f.png(&out)
	default:
		err = f.html(&out)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

func (f *figure) svg(out io.Writer) error {
	c := vgsvg.New(f.width, f.height)
	if err := f.draw(draw.New(c)); err != nil {
		return err
	}
	var text bytes.Buffer
	if _, err := c.WriteTo(&text); err != nil {
		return err
	}
	// These typefaces have the same widths. One of them is used if Liberation Sans is missing.
	_, err := strings.NewReplacer(
		"font-family:Liberation Sans", "font-family:Liberation Sans,Arial,Helvetica,sans-serif",
	).WriteString(out, text.String())
	return err
}

// dotsPerInch makes a picture sharp on high-resolution screens, too.
const dotsPerInch = 144

func (f *figure) png(out io.Writer) error {
	c := vgimg.NewWith(vgimg.UseWH(f.width, f.height), vgimg.UseDPI(dotsPerInch))
	if err := f.draw(draw.New(c)); err != nil {
		return err
	}
	_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(out)
	return err
}
