package rows

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// Attachments are the files that rows may name. All are below one directory: an os.Root follows no
// link and no .. out of it.
type Attachments struct{ root *os.Root }

// OpenAttachments opens the directory. With an empty name, every file is an error.
func OpenAttachments(dir string) (Attachments, error) {
	if dir == "" {
		return Attachments{}, nil
	}
	root, err := os.OpenRoot(dir)
	return Attachments{root}, err
}

// reference is the object that stands for a file in a body.
type reference struct {
	File string `json:"$file"`
	As   string `json:"as"` // data_url, base64 or text; empty = data_url
}

// check returns an error if the row names a file that cannot be sent.
func (a Attachments) check(r Row) error {
	if r.BodyFile != "" {
		return a.checkFile(r.BodyFile)
	}
	_, err := a.expand(r.Body, func(ref reference) ([]byte, error) {
		return []byte("null"), a.checkFile(ref.File)
	})
	return err
}

func (a Attachments) checkFile(name string) error {
	if a.root == nil {
		return fmt.Errorf("invalid_file: %q: want --files DIR, to send files", name)
	}
	info, err := a.root.Stat(filepath.FromSlash(name))
	switch {
	case err != nil:
		return fmt.Errorf("invalid_file: %q below %s: %w", name, a.root.Name(), cause(err))
	case !info.Mode().IsRegular():
		return fmt.Errorf("invalid_file: %q below %s is not a regular file", name, a.root.Name())
	}
	return nil
}

// cause returns an error of package os without the path, which the message already has.
func cause(err error) error {
	if path := (*os.PathError)(nil); errors.As(err, &path) {
		return path.Err
	}
	return err
}

// Body returns the body of a row, with the content of its files.
func (a Attachments) Body(r Row) ([]byte, error) {
	if r.BodyFile != "" {
		return a.read(r.BodyFile)
	}
	return a.expand(r.Body, a.encode)
}

func (a Attachments) read(name string) ([]byte, error) {
	f, err := a.root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// encode returns the JSON text that stands for a file.
func (a Attachments) encode(ref reference) ([]byte, error) {
	data, err := a.read(ref.File)
	if err != nil {
		return nil, err
	}
	switch ref.As {
	case "text":
		if !utf8.Valid(data) {
			return nil, fmt.Errorf("invalid_file: %q is not UTF-8 text: want base64 or data_url", ref.File)
		}
		return json.Marshal(string(data))
	case "base64":
		return json.Marshal(base64.StdEncoding.EncodeToString(data))
	}
	kind := mime.TypeByExtension(strings.ToLower(filepath.Ext(ref.File)))
	if kind == "" {
		kind = http.DetectContentType(data)
	}
	kind = strings.ReplaceAll(kind, " ", "") // as in text/plain; charset=utf-8
	return json.Marshal("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(data))
}

// expand replaces each reference in a JSON text by the result of fn. Other values keep their exact
// text.
func (a Attachments) expand(
	body json.RawMessage, fn func(reference) ([]byte, error),
) ([]byte, error) {
	if !bytes.Contains(body, []byte(`"$file"`)) {
		return body, nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) == nil && object != nil {
		if _, is := object["$file"]; is {
			return expandReference(body, fn)
		}
	}
	return expandInside(body, func(value json.RawMessage) ([]byte, error) {
		return a.expand(value, fn)
	})
}

func expandReference(text []byte, fn func(reference) ([]byte, error)) ([]byte, error) {
	var ref reference
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&ref); err != nil {
		return nil, fmt.Errorf("invalid_file: %w", err)
	}
	switch ref.As {
	case "", "data_url", "base64", "text":
		return fn(ref)
	}
	return nil, fmt.Errorf("invalid_file: \"as\" is %q: want data_url, base64 or text", ref.As)
}

// expandInside applies fn to the values of an object or the elements of an array.
func expandInside(
	text json.RawMessage, fn func(json.RawMessage) ([]byte, error),
) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	open, err := dec.Token()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	isObject := open == json.Delim('{')
	if !isObject && open != json.Delim('[') {
		return text, nil // a string that contains "$file"
	}
	fmt.Fprint(&out, open)
	for first := true; dec.More(); first = false {
		if !first {
			out.WriteByte(',')
		}
		if isObject {
			name, err := dec.Token()
			if err != nil {
				return nil, err
			}
			quoted, _ := json.Marshal(name)
			out.Write(quoted)
			out.WriteByte(':')
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		expanded, err := fn(value)
		if err != nil {
			return nil, err
		}
		out.Write(expanded)
	}
	end, _ := dec.Token()
	fmt.Fprint(&out, end)
	return out.Bytes(), nil
}
