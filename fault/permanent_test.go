package fault_test

import (
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io/fs"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestHopeless(t *testing.T) {
	_, atoi := strconv.Atoi("x")
	_, float := strconv.ParseFloat("1e999", 64)
	_, syntax := json.Marshal(json.RawMessage("{"))
	var channel any = make(chan int)
	_, unsupported := json.Marshal([]any{channel})
	_, value := json.Marshal(math.NaN())
	_, open := os.Open(filepath.Join(t.TempDir(), "absent"))
	_, base := base64.StdEncoding.DecodeString("!")
	_, fields := csv.NewReader(strings.NewReader(`a"b`)).Read()
	_, date := time.Parse(time.RFC3339, "x")
	_, lookPath := exec.LookPath("no such program")
	check(t, []row{
		{"syntax", json.Unmarshal([]byte("{"), new(any)), permanent, maybe, "json.SyntaxError"},
		{"type", json.Unmarshal([]byte("1"), new(string)), permanent, maybe,
			"json.UnmarshalTypeError"},
		{"target", &json.InvalidUnmarshalError{}, permanent, maybe, "json.InvalidUnmarshalError"},
		{"unsupported type", unsupported, permanent, maybe, "json.UnsupportedTypeError"},
		{"unsupported value", value, permanent, maybe, ""},
		{"marshaler", syntax, permanent, maybe, "json.MarshalerError"},
		{"xml", xml.Unmarshal([]byte("<"), new(any)), permanent, maybe, "xml.SyntaxError"},
		{"csv", fields, permanent, maybe, "csv.ParseError"},
		{"base64", base, permanent, maybe, "base64.CorruptInputError"},
		{"number", atoi, permanent, maybe, "strconv.NumError"},
		{"range", float, permanent, maybe, "strconv.NumError"},
		{"time", date, permanent, maybe, "time.ParseError"},
		{"absent file", open, permanent, maybe, ""},
		{"not exist", fs.ErrNotExist, permanent, maybe, "file does not exist"},
		{"permission", &fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission},
			permanent, maybe, "permission denied"},
		{"program", lookPath, permanent, maybe, "executable file not found in"},
		{"program that is not to be run", &exec.Error{Name: "x", Err: errors.New("x")}, permanent,
			maybe, "exec.Error"},
		{"bare program", exec.ErrNotFound, permanent, maybe, "executable file not found in"},
		{"body too large", &http.MaxBytesError{Limit: 1}, permanent, maybe, ""},
	})
}

// TestUndecided are errors similar to those above that only their origin can classify.
func TestUndecided(t *testing.T) {
	check(t, []row{
		{"exit code", &exec.ExitError{ProcessState: &os.ProcessState{}}, unknown, maybe, ""},
		{"exists", fs.ErrExist, unknown, maybe, ""},
		{"own Is", ownIs{}, permanent, maybe, "fault_test.ownIs"},
	})
}

type ownIs struct{}

func (ownIs) Error() string        { return "x" }
func (ownIs) Is(target error) bool { return target == fs.ErrNotExist }
