//go:build unix

package regular_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rebound-go/rebound/cmd/rebound/regular"
)

// Anything that is not a file is an error at once, without blocking.
func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	fifo, socket := filepath.Join(dir, "fifo"), filepath.Join(dir, "socket")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for path, want := range map[string]string{
		fifo: "FIFO", socket: "socket", dir: "directory", "/dev/null": "device", "/dev/zero": "device",
	} {
		_, err := regular.Read(path, 10)
		if text := fmt.Sprintf("%s is a %s: want a regular file", path, want); fmt.Sprint(err) != text {
			t.Errorf("got %v, want %s", err, text)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(fifo, link); err != nil {
		t.Fatal(err)
	}
	if _, err := regular.Open(link); err == nil {
		t.Error("a link to a FIFO was opened")
	}
	if _, err := regular.Open(filepath.Join(dir, "none")); !os.IsNotExist(err) {
		t.Errorf("got %v, want that the file does not exist", err)
	}
}

// A pipe that is already open may be read, and files are read up to the limit.
func TestRead(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("text"); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	data, err := regular.Read(fmt.Sprintf("/dev/fd/%d", r.Fd()), 4)
	if err != nil || string(data) != "text" {
		t.Errorf("got %q, %v, want the content of the pipe", data, err)
	}
	path := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := regular.Read(path, 4); err == nil || !strings.Contains(err.Error(), "has more than") {
		t.Errorf("got %v, want an error about the length", err)
	}
	if data, err := regular.Read(path, 5); err != nil || string(data) != "12345" {
		t.Errorf("got %q, %v", data, err)
	}
}
