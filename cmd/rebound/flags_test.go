package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/rebound-go/rebound/policyfile"
)

// badFlags are arguments of run, and how the error about them begins.
var badFlags = map[string]string{
	"-n 0":                                 "--attempts: ",
	"-n -1":                                "--attempts: ",
	"-n 99999999999999999999":              "--attempts: ",
	"-n 1.5":                               "--attempts: ",
	"-n":                                   "--attempts needs a value",
	"-n --":                                "--attempts needs a value",
	"-d -1":                                "--delay: ",
	"-d x":                                 "--delay: ",
	"-d 1.2.3":                             "--delay: ",
	"-d .":                                 "--delay: ",
	"-d 99999999999":                       "--delay: ",
	"--delay=":                             "--delay: ",
	"-d 1e3":                               "--delay: ",
	"-t 5x":                                "--timeout: ",
	"-t -1s":                               "--timeout: ",
	"--attempt-timeout x":                  "--attempt-timeout: ",
	"--kill-after x":                       "--kill-after: ",
	"--kill-after -1":                      "--kill-after: ",
	"--max-delay 0":                        "--max-delay: ",
	"--step 0":                             "--step: ",
	"--factor 0":                           "--factor: ",
	"--factor NaN":                         "--factor: ",
	"--factor 1e999":                       "--factor: ",
	"--step 1":                             "--step is set: ",
	"--backoff constant --step 1":          "--step is set: ",
	"--backoff x":                          "--backoff: ",
	"--backoff decorrelated --jitter full": "--jitter is set: ",
	"--backoff constant --max-delay 1":     "--max-delay is set: ",
	"--jitter 2..1":                        "--jitter: ",
	"--jitter additive:":                   "--jitter: ",
	"--jitter NaN..2":                      "--jitter: ",
	"-d 5 --max-delay 2":                   "--delay is 5s, above ",
	"-t 1 --attempt-timeout 2":             "--attempt-timeout is 2s, ",
	"--on 0":                               "--on: ",
	"--on=":                                "--on: ",
	"--not-on 256":                         "--not-on: ",
	"--on SIGNO":                           "--on: ",
	"--on-output=":                         "--on-output: ",
	"--on-output (":                        "--on-output: ",
	"--not-on-output a{2,1}":               "--not-on-output: ",
	"--not-on-output \\":                   "--not-on-output: ",
	"--output x":                           "--output is ",
	"--stdin x":                            "--stdin is ",
	"--report x":                           "--report is ",
	"--report-to /":                        "--report-to: ",
	"--quiet=x":                            "--quiet is ",
	"--foreground=2":                       "--foreground is ",
	"--policy nope":                        `"nope" is neither a policy`,
	"-p x.yaml":                            `"x.yaml" is neither a policy`,
	"-policy zero":                         "did you mean --policy, ",
	"-attempts 3":                          "did you mean --attempts, ",
	"-timeout=5":                           "did you mean --timeout, ",
	"-delay 3":                             "did you mean --delay, ",
	"-quiet":                               "did you mean --quiet, ",
	"-z":                                   "there is no flag -z: ",
	"--retries 3":                          "--retries 3: did you mean --attempts 4?",
	"--max-retries=0":                      "--max-retries 0: did you mean --attempts 1?",
	"--retry x":                            "--retry x: did you mean --attempts?",
	"--retries -1":                         "--retries -1: did you mean --attempts?",
	"--tries 3":                            "--tries 3: did you mean --attempts 3?",
	"--interval 2":                         "--interval 2: did you mean --delay 2?",
	"--max-time 60":                        "--max-time 60: did you mean --timeout 60?",
	"--atempts 3":                          "there is no flag --atempts: did you mean --attempts?",
	"--timout 3":                           "there is no flag --timout: did you mean --timeout?",
	"--nothing-like":                       "there is no flag --nothing-like: see rebound run --help",
}

// A line break in an argument makes no second line.
func TestBadFlagsStayOneLine(t *testing.T) {
	for _, flag := range []string{
		"--bog\nus", "--retries=\n", "-\n", "--on=\n", "--output=\n", "--x=\n",
	} {
		var out bytes.Buffer
		code := run([]string{"run", flag, "--", "true"}, nil, &out, &out)
		if code != 125 || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%q: got exit code %d, %q, want 125 and one line", flag, code, &out)
		}
	}
}

// Every flag answers bad input in one line that begins with the flag, and run exits with 125.
func TestBadFlags(t *testing.T) {
	for args, want := range badFlags {
		command := []string{"run"}
		command = append(append(command, strings.Fields(args)...), "--", "true")
		if args == "-n" {
			command = []string{"run", "-n"}
		}
		var out bytes.Buffer
		code := run(command, nil, &out, &out)
		got, ok := strings.CutPrefix(out.String(), "rebound: ")
		if code != 125 || !ok || !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 {
			t.Errorf("%s: got exit code %d, %q, want 125 and one line: %q", args, code, &out, want)
		}
		for _, inner := range []string{"strconv", "invalid arg", "rebound: ", "Exponential", "Policy"} {
			if strings.Contains(got, inner) {
				t.Errorf("%s: got %q, want no %q in it", args, got, inner)
			}
		}
	}
}

// A flag changes its field. A field that no flag has set adapts to it.
func TestFlagsChangeThePolicy(t *testing.T) {
	for args, want := range map[string]string{
		"":                                       "3 1s..1m0s 0s 0s",
		"-d 2":                                   "3 2s..1m0s 0s 0s",
		"-d .5":                                  "3 500ms..1m0s 0s 0s",
		"-d 90":                                  "3 1m30s..1m30s 0s 0s",
		"-d 1m30s --max-delay 2m":                "3 1m30s..2m0s 0s 0s",
		"--max-delay .2":                         "3 200ms..200ms 0s 0s",
		"-t 30 -n 4":                             "4 1s..1m0s 30s 0s",
		"-t 1.5 --attempt-timeout 1":             "3 1s..1m0s 1.5s 1s",
		"--attempt-timeout 250ms":                "3 1s..1m0s 0s 250ms",
		"-n unlimited -t 0":                      "-1 1s..1m0s 0s 0s",
		"-p zero -d 2":                           "0 2s..0s 0s 0s",
		"-p policies.yaml#a":                     "0 0s..0s 1m0s 30s",
		"-p policies.yaml#a -t 10":               "0 0s..0s 10s 10s",
		"-p policies.yaml#a -t 0":                "0 0s..0s 0s 30s",
		"-p policies.yaml#a --attempt-timeout 0": "0 0s..0s 1m0s 0s",
	} {
		flags := policyFlags{}
		c := newPlan()
		c.ResetFlags()
		flags.register(c)
		err := c.ParseFlags(strings.Fields(strings.ReplaceAll(args, "policies.yaml", bounded(t))))
		if err != nil {
			t.Fatal(err)
		}
		p, err := flags.choose()
		var b policyfile.Backoff
		if p.spec.Backoff != nil {
			b = *p.spec.Backoff
		}
		got := fmt.Sprintf("%d %v..%v %v %v", p.spec.Attempts, time.Duration(b.Base),
			time.Duration(b.Max), time.Duration(p.spec.MaxElapsed), time.Duration(p.spec.AttemptTimeout))
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", args, got, err, want)
		}
	}
}

// bounded is a file with a policy that has bounds.
func bounded(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "policies.yaml")
	text := "policies:\n  a: {max_elapsed: 60s, attempt_timeout: 30s}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The help shows the delays, which are those of the policy default.
func TestHelpShowsDefaults(t *testing.T) {
	var out bytes.Buffer
	if code := run([]string{"run", "--help"}, nil, &out, &out); code != 0 {
		t.Fatalf("got exit code %d: %s", code, &out)
	}
	for _, want := range []string{
		`or "unlimited" (default 3)`, "after the first attempt (default 1s)",
		"longest delay (default 1m)", "(exponential) (default 2)", "(default additive:0.5)",
		"(default 10s)",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got no %q in %s", want, &out)
		}
	}
	for name := range habits {
		if strings.Contains(out.String(), "--"+name+" ") {
			t.Errorf("the help has --%s", name)
		}
	}
}

func TestVersion(t *testing.T) {
	info := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}
	if got, want := versionOf(info), "v1.2.3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	info.Settings = []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.modified", Value: "true"},
	}
	if got, want := versionOf(info), "v1.2.3, revision 0123456789ab, modified"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, args := range [][]string{{"--version"}, {"version"}} {
		var out bytes.Buffer
		code := run(args, nil, &out, &out)
		if want := "rebound " + version() + "\n"; code != 0 || out.String() != want {
			t.Errorf("%s: got exit code %d, %q, want %q", args, code, &out, want)
		}
	}
}

// A duration is a number of seconds, or has a unit, whichever command has the flag.
func TestDurations(t *testing.T) {
	for _, c := range newRoot(io.Discard).Commands() {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Value.Type() != "duration" {
				return
			}
			for text, valid := range map[string]bool{
				"2": true, ".5": true, "1m30s": true, "-1": false, "5x": false, "": false,
			} {
				if err := f.Value.Set(text); (err == nil) != valid {
					t.Errorf("%s --%s %q: got %v", c.Name(), f.Name, text, err)
				}
			}
		})
	}
}

// The other commands answer a bad flag as run does.
func TestBadFlagsOfOthers(t *testing.T) {
	for args, want := range map[string]string{
		"batch --grace x":     `--grace: "x" is not a duration`,
		"batch --grce 5":      "there is no flag --grce: did you mean --grace?",
		"batch --rpm x":       `--rpm is "x": want a number`,
		"batch --grace -1":    `--grace: "-1" is not a duration`,
		"batch --first x":     `--first is "x": want a number`,
		"batch --progress -1": `--progress: "-1" is not a duration`,
		"batch --tee=x":       `--tee is "x": want true or false`,
		"proxy --drain -1":    `--drain: "-1" is not a duration`,
		"proxy --idle-timout": "there is no flag --idle-timout: did you mean --idle-timeout?",
	} {
		var out bytes.Buffer
		code := run(strings.Fields(args), nil, &out, &out)
		if code != 125 || !strings.HasPrefix(out.String(), "rebound: "+want) ||
			strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%s: got exit code %d, %q, want 125 and one line: %q", args, code, &out, want)
		}
	}
}

// An invalid value for a batch is an error of one line before anything is sent, and changes no
// file.
func TestBadValuesOfBatch(t *testing.T) {
	for args, want := range map[string]string{
		"--first 0":              "--first 0: want 1 or more rows, or -1 for never",
		"--rpm NaN":              "--rpm and --tpm: want a limit above 0, or 0 to learn it",
		"--rpm inf":              "--rpm and --tpm: want a limit above 0",
		"--tpm NaN":              "--rpm and --tpm: want a limit above 0",
		"--tpm inf":              "--rpm and --tpm: want a limit above 0",
		"--tpm -inf":             "--rpm and --tpm: want a limit above 0",
		"--ordered=":             "--ordered is empty: want a value, or no --ordered",
		"--report=":              "--report is empty: want a value, or no --report",
		"--first -2":             "--first -2: want 1 or more rows, or -1 for never",
		"--ordered in.jsonl":     "--ordered in.jsonl is also the file of the input: want another file",
		"--ordered ./in.jsonl":   "--ordered ./in.jsonl is also the file of the input",
		"--ordered link":         "--ordered link is also the file of the input",
		"--ordered o":            "--ordered o is also the file of the results",
		"--ordered dir/../o":     "--ordered dir/../o is also the file of the results",
		"--ordered o.errors":     "--ordered o.errors is also the file of the errors",
		"--ordered o.journal":    "--ordered o.journal is also the file of the journal",
		"--ordered dir":          "--ordered dir: is a directory",
		"--ordered none/x":       "--ordered none/x: no such file or directory",
		"--report in.jsonl":      "--report in.jsonl is also the file of the input",
		"--report o":             "--report o is also the file of the results",
		"--report none/x":        "--report none/x: no such file or directory",
		"--report .":             "--report .: is a directory",
		"--report x --ordered x": "--report x is also the file of --ordered",
		"-o in.jsonl":            "--output in.jsonl is the input: want another file",
		"-o link":                "--output link is the input: want another file",

		"--idempotency-key=a:b":            `--idempotency-key "a:b": want a header such as`,
		"--idempotency-key=Content-Length": `--idempotency-key "Content-Length": want a header`,
		"--idempotency-key=X -H X:y":       "--idempotency-key X: --header sets it, too: want one",
	} {
		t.Chdir(t.TempDir())
		in := []byte(`{"custom_id":"a","url":"/v1/x"}` + "\n")
		if err := errors.Join(os.WriteFile("in.jsonl", in, 0o600), os.Mkdir("dir", 0o700),
			os.Symlink("in.jsonl", "link")); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		code := run(append(strings.Fields("batch in.jsonl -o o --base http://127.0.0.1:1"),
			strings.Fields(args)...), nil, &out, &out)
		files, err := filepath.Glob("*")
		if code != 125 || !strings.HasPrefix(out.String(), "rebound: "+want) ||
			strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%s: got exit code %d, %q, want 125 and one line: %q", args, code, &out, want)
		}
		if after, _ := os.ReadFile("in.jsonl"); !bytes.Equal(after, in) || len(files) != 3 || err != nil {
			t.Errorf("%s: left %q, with %q in the input", args, files, after)
		}
	}
}
