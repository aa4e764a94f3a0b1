package main

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/rebound-go/rebound/cmd/rebound/regular"
	"github.com/rebound-go/rebound/internal/strictjson"
)

// maxFile is larger than any file of policies or of a scenario that a person writes.
const maxFile = maxJSON

// readJSON returns a file as JSON. YAML is converted, and every value keeps its line, so that
// errors about the JSON name the right line.
func readJSON(path string) ([]byte, error) {
	data, err := readText(path)
	if err != nil {
		return nil, err
	}
	wrong := func(format string, args ...any) ([]byte, error) {
		return nil, &strictjson.Error{File: shown(path), Line: 1, Err: fmt.Errorf(format, args...)}
	}
	text := bytes.TrimSpace(data)
	named := strings.EqualFold(filepath.Ext(path), ".json")
	switch {
	case len(text) == 0:
		return wrong("it is empty: want fields, such as policies")
	case named && text[0] != '{':
		return wrong("it does not begin with {: want JSON, or a name that ends in .yaml")
	case named:
		return data, nil
	}
	data, err = yamlToJSON(path, data)
	if err == nil && len(bytes.TrimSpace(data)) == 0 {
		return wrong("it has only comments: want fields, such as policies")
	}
	return data, err
}

// readText returns a file without its byte order mark.
func readText(path string) ([]byte, error) {
	data, err := regular.Read(path, maxFile)
	if err != nil {
		return nil, err
	}
	utf16 := bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff"))
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	at := notText(data)
	switch {
	case utf16:
		err = errors.New("it is text in UTF-16: want UTF-8")
	case at >= 0:
		return nil, &strictjson.Error{
			File: shown(path), Line: 1 + bytes.Count(data[:at], []byte("\n")),
			Err: fmt.Errorf("the byte 0x%02x is not text: want YAML or JSON in UTF-8", data[at]),
		}
	default:
		return data, nil
	}
	return nil, fmt.Errorf("%s: %w", shown(path), err)
}

// notText returns the offset of the first byte that is not text in UTF-8, or -1.
func notText(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 || r < ' ' && !strings.ContainsRune("\t\n\r", r) {
			return i
		}
		i += n
	}
	return -1
}
