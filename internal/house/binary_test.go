package house_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"testing"
)

var long = flag.Bool("long", false, "run the programs of the pages, and measure the command")

// hellos are programs by the name of their row in docs/performance.md.
var hellos = map[string]string{
	"hello": `package main

import "fmt"

func main() { fmt.Println("hello") }
`,
	"hello, called by `rebound.Run`": `package main

import (
	"context"
	"fmt"

	"github.com/rebound-go/rebound"
)

func main() {
	_ = rebound.Run(context.Background(), nil, func(context.Context) error {
		_, err := fmt.Println("hello")
		return err
	})
}
`,
	"a GET with `net/http`": `package main

import "net/http"

func main() { _, _ = http.Get("http://localhost") }
`,
	"a GET through `reboundhttp.Transport`": `package main

import (
	"net/http"

	"github.com/rebound-go/rebound/reboundhttp"
)

func main() {
	client := &http.Client{Transport: &reboundhttp.Transport{}}
	_, _ = client.Get("http://localhost")
}
`,
}

// The sizes of stripped programs in docs/performance.md are true to a tenth.
func TestBinarySizes(t *testing.T) {
	if runtime.GOOS+"/"+runtime.GOARCH != "linux/amd64" {
		t.Skip("the page has the sizes of linux/amd64")
	}
	page, dir := read(t, "docs/performance.md"), t.TempDir()
	check := func(row, module, what string) {
		out := filepath.Join(dir, "program")
		c := exec.Command("go", "-C", module, "build", "-trimpath", "-ldflags=-s -w", "-o", out, what)
		c.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off") // without -race
		if text, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", row, err, text)
		}
		info, err := os.Stat(out)
		if err != nil {
			t.Fatal(err)
		}
		got := float64(info.Size()) / 1e6
		m := regexp.MustCompile(regexp.QuoteMeta("| "+row+" | ") + `([\d.]+) MB`).FindStringSubmatch(page)
		if m == nil {
			t.Errorf("docs/performance.md has no row %q, its size is %.1f MB", row, got)
			return
		}
		if want, _ := strconv.ParseFloat(m[1], 64); got > 1.1*want || got < .9*want {
			t.Errorf("docs/performance.md has %s MB for %s, got %.1f", m[1], row, got)
		}
	}
	for row, program := range hellos {
		name := filepath.Join(dir, "main.go")
		if err := os.WriteFile(name, []byte(program), 0o600); err != nil {
			t.Fatal(err)
		}
		check(row, ".", name)
	}
	if *long {
		check("the command `rebound`", "cmd/rebound", ".")
	}
}

// Programs that use rebound contain only the methods that they need. If one function looks up a
// method by a name that the linker cannot see, the linker keeps all exported methods. text/template
// and html/template do, so with them the command would be a seventh larger.
func TestLinkerDropsMethods(t *testing.T) {
	dir := t.TempDir()
	// keeper returns the linker's line about such a function, or "".
	keeper := func(module, what string) string {
		c := exec.Command("go", "-C", module, "build", "-ldflags=-dumpdep", "-o",
			filepath.Join(dir, "program"), what)
		c.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off") // without -race
		text, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %.999s", module, err, text)
		}
		return string(regexp.MustCompile(`(?m)^.* <ReflectMethod>.*$`).Find(text))
	}
	program := func(text string) string {
		name := filepath.Join(dir, "main.go")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	if keeper(".", program(lookup)) == "" {
		t.Fatal("no line about a program that looks up a method")
	}
	if line := keeper(".", program(hellos["a GET through `reboundhttp.Transport`"])); line != "" {
		t.Error(line)
	}
	if line := keeper("cmd/rebound", "."); line != "" {
		t.Error(line)
	}
}

// lookup is a program that looks up a method by a name that the linker cannot see.
const lookup = `package main

import (
	"os"
	"reflect"
)

func main() { reflect.ValueOf(os.Stdout).MethodByName(os.Args[1]).Call(nil) }
`
