package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rebound-go/rebound/cmd/rebound/batch/money"
)

// states are the letters of the states of the rows a, b and c, and the other findings of recovery.
func states(t testing.TB, d disk, path string) (string, Recovered, error) {
	t.Helper()
	s, err := openOn(d, path, true)
	if err != nil {
		return "", Recovered{}, err
	}
	defer s.Close()
	key, err := s.Key()
	if err != nil {
		return "", Recovered{}, err
	}
	ids := []string{"a", "b", "c"}
	table := NewTable(len(ids))
	for _, id := range ids {
		table.Add(Row{ID: key.Hash(id), Digest: 7})
	}
	table.Complete()
	r, err := s.Recover(table, key)
	text := ""
	for _, id := range ids {
		i, _ := table.Find(key.Hash(id))
		text += "p?DF"[table.State(i):][:1]
	}
	return text, r, err
}

const (
	lineA   = `{"custom_id":"a","id":"rebound-1","response":{"status_code":200},"rebound":{"cost":2}}`
	lineB   = `{"custom_id":"b","id":"rebound-2","response":null,"rebound":{"stopped":"exhausted"}}`
	openAI  = `{"id":"batch_req_1","custom_id":"a","response":{"status_code":200},"error":null}`
	expired = `{"id":"batch_req_2","custom_id":"b","response":null,"error":{"code":"batch_expired"}}`
	vllm    = `{"id":"vllm-1","custom_id":"b","response":{"status_code":400,"body":{}},"error":null}`
	google  = `{"response":{"candidates":[]},"key":"a"}`
	claude  = `{"custom_id":"a","result":{"type":"succeeded","message":{}}}`
	late    = `{"custom_id":"b","result":{"type":"expired"}}`
	request = `{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{}}`
)

// The lines of a journal with the zero key.
var begin = string(mark{kind: 'B'}.append(nil))

func sent(id string) string {
	return string(mark{kind: 'S', row: Row{ID: Key{}.Hash(id), Digest: 7}, cost: 3}.append(nil))
}

func back(id string) string {
	return string(mark{kind: 'R', row: Row{ID: Key{}.Hash(id)}}.append(nil))
}

var recoveries = []struct {
	name                     string
	results, errors, journal string
	want                     string // the states, or the error
	left                     string // of the results; empty = all
}{
	{"nothing", "", "", "", "ppp", ""},
	{"both files", lineA + "\n", lineB + "\n", begin + sent("a") + sent("b"), "DFp", ""},
	{"sent", "", "", begin + sent("c"), "pp?", ""},
	{"come back", "", "", begin + sent("c") + back("c"), "ppp", ""},
	{"come back, then sent", "", "", begin + sent("c") + back("c") + sent("c"), "pp?", ""},
	{"of another row", "", "", begin + sent("x"), "ppp", ""},

	{"torn result", lineA + "\n" + lineB[:30], "", begin + sent("b"), "D?p", lineA + "\n"},
	{"torn custom_id", lineA + "\n" + lineB[:15], "", begin, "Dpp", lineA + "\n"},
	{"zeros", lineA + "\n\x00\x00", "", begin, "Dpp", lineA + "\n"},
	{"torn, then zeros", lineA + "\n" + lineB[:3] + "\x00", "", begin, "Dpp", lineA + "\n"},
	{"only the newline is missing", lineA, "", begin, "Dpp", lineA + "\n"},
	{"torn mark", "", "", begin + sent("a") + sent("b")[:20], "?pp", ""},
	{"torn journal", "", "", begin[:20], "ppp", ""},
	{"zeros are the journal", "", "", "\x00\x00", "ppp", ""},

	{"garbage between", lineA + "\nxyz\n" + lineB + "\n", "", begin,
		fmt.Sprintf("results: damaged at byte %d", len(lineA)+1), ""},
	{"zeros between", "\x00\x00" + lineA + "\n", "", begin, "results: damaged at byte 0", ""},
	{"zeros within", strings.Replace(lineA, "200", "2\x000", 1) + "\n", "", begin,
		"results: damaged at byte 0: this line contains zero bytes", ""},
	{"a line without its end", lineA[:50] + "\n", "", begin, "results: damaged at byte 0", ""},
	{"a row twice", lineA + "\n", lineA + "\n", begin,
		`.errors: damaged at byte 0: this is a second`, ""},
	{"a mark is changed", "", "", begin + strings.Replace(sent("a"), " 3 ", " 4 ", 1),
		fmt.Sprintf(".journal: damaged at byte %d: the checksum of this line", len(begin)), ""},
	{"no journal", "", "", "a diary\n", ".journal: damaged at byte 0", ""},
	{"no journal, without a line", "", "", "Bonjour", ".journal: damaged at byte 0", ""},

	{"OpenAI's", openAI + "\n", expired + "\n", "", "DFp", ""},
	{"OpenAI's, without a newline", expired + "\n" + openAI, "", "", "Dpp",
		expired + "\n" + openAI + "\n"},
	{"what has expired is sent", openAI + "\n" + expired + "\n", "", "", "Dpp", ""},
	{"and has a result later", expired + "\n" + strings.Replace(lineA, `"a"`, `"b"`, 1) + "\n", "",
		begin, "pDp", ""},
	{"vLLM's", openAI + "\n" + vllm + "\n", "", "", "Dpp", ""},
	{"Google's", google + "\n", "", "", "Dpp", ""},
	{"Anthropic's", claude + "\n" + late + "\n", "", "", "Dpp", ""},

	{"an input", request + "\n", "", "", "results: damaged at byte 0: this is not a line of results",
		""},
	{"an input, without a newline", request, "", begin, "results: damaged at byte 0", ""},
	{"an input that is torn", request[:30], "", begin, "results: damaged at byte 0", ""},
	{"zeros, before there was a journal", "\x00\x00\x00", "", "", "results: damaged at byte 0", ""},
	{"torn, before there was a journal", lineA + "\n" + lineB[:30], "", "", "results: damaged", ""},
	{"a letter", "Dear Sir,\nyours", "", begin, "results: damaged at byte 0", ""},
	{"a letter as errors", "", "Dear Sir,\nyours", begin, ".errors: damaged at byte 0", ""},
}

func TestRecovery(t *testing.T) {
	for _, test := range recoveries {
		t.Run(test.name, func(t *testing.T) {
			d := newSimDisk(rand.New(rand.NewPCG(1, 2)))
			for name, text := range map[string]string{
				"results": test.results, "results.errors": test.errors, "results.journal": test.journal,
			} {
				d.names[name] = &simNode{data: []byte(text)}
			}
			got, _, err := states(t, d, "results")
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if test.left == "" {
				test.left = test.results
			}
			if left := string(d.names["results"].data); left != test.left {
				t.Errorf("the results are %q, want %q", left, test.left)
			}
			if err != nil && string(d.names["results.journal"].data) != test.journal {
				t.Errorf("the journal was changed by a rejected run")
			}
			if again, _, err := states(t, d, "results"); err == nil && again != got {
				t.Errorf("got %s the second time, %s the first", again, got)
			}
		})
	}
}

func TestRecoveryCounts(t *testing.T) {
	var k Key
	journal := mark{kind: 'B', key: k}.append(nil)
	journal = mark{kind: 'S', row: Row{k.Hash("a"), 7}, cost: 5}.append(journal)
	journal = mark{kind: 'S', row: Row{k.Hash("b"), 8}, cost: 6}.append(journal)
	journal = mark{kind: 'G', generation: 4, cost: 1000}.append(journal)
	d := newSimDisk(rand.New(rand.NewPCG(1, 2)))
	other := strings.Replace(lineA, `"a"`, `"z"`, 1)
	d.names["out"] = &simNode{data: []byte(lineA + "\n" + other + "\n")}
	d.names["out.journal"] = &simNode{data: journal}
	_, got, err := states(t, d, "out")
	want := Recovered{Spent: 4e9 + 6 + 1000, Changed: 1, Foreign: 1, Generation: 4,
		Reserved: map[uint64]money.Amount{k.Hash("b"): 6}}
	if !reflect.DeepEqual(got, want) || err != nil {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// A second process is rejected, as is a path that is not a file.
func TestOpenRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	first, err := Open(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, true); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("got %v for a second process", err)
	}
	symbolic, hard := path+"-symbolic", path+"-hard"
	if err := errors.Join(os.Symlink("out", symbolic), os.Link(path, hard)); err != nil {
		t.Log(err) // Windows may not allow it
	} else {
		for _, link := range []string{symbolic, hard} {
			if _, err := Open(link, true); err == nil || !strings.Contains(err.Error(), "another process") {
				t.Errorf("got %v for a second process by a link", err)
			}
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := Open(path, true)
	if err != nil {
		t.Fatalf("after the first was closed: %v", err)
	}
	defer second.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file for its owner alone", info, err)
	}
	if _, err := Open(filepath.Join(path, "below"), true); err == nil {
		t.Error("a path below a file was opened")
	}
	if _, err := Open(os.DevNull, true); err == nil {
		t.Error("a device was opened")
	}
	if _, err := Open(filepath.Join(t.TempDir(), "no", "out"), true); !errors.Is(err,
		fs.ErrNotExist) {
		t.Errorf("got %v without a directory", err)
	}
}
