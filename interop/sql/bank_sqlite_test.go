//go:build linux

package sql_test

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-go/rebound/reboundsql"
)

// A teller of SQLite is a process: this test binary, started with these variables.
const (
	branchFile = "REBOUND_BANK_FILE"
	branchName = "REBOUND_BANK_NAME"
	branchKind = "REBOUND_BANK_KIND"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(branchFile); file != "" {
		if err := branch(file, os.Getenv(branchName), os.Getenv(branchKind)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// branch is the process of four tellers. It prints their reports, one line for each transfer.
func branch(file, name, kind string) error {
	duration, err := time.ParseDuration(os.Getenv("REBOUND_BANK_TIME"))
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", sqliteDSN(file))
	if err != nil {
		return err
	}
	defer db.Close()
	// SQLite is always serializable, and its driver has no option for it.
	serializable = nil
	tell := plain(db)
	switch kind {
	case "naive":
		tell = naive(db)
	case "reboundsql":
		tell = resilient(db, patient(&tally{}), nil)
	}
	l := &ledger{print: func(outcome string, m transfer) { fmt.Println(outcome, m.key) }}
	l.serve(name, tellers/4, duration, tell)
	return nil
}

// branches runs four of them on one file, kills the last in the middle of its work, and collects
// their reports.
func branches(t *testing.T, file, kind string) *ledger {
	l := &ledger{}
	var open sync.WaitGroup
	for i := range 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), branchFile+"="+file, branchKind+"="+kind,
			fmt.Sprintf("%s=b%d", branchName, i), "REBOUND_BANK_TIME="+bankTime.String())
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if i == 3 {
			time.AfterFunc(*bankTime/2, func() { cmd.Process.Kill() })
		}
		open.Go(func() {
			for lines := bufio.NewScanner(out); lines.Scan(); {
				l.read(lines.Text())
			}
			if err := cmd.Wait(); err != nil && i != 3 {
				t.Error(err)
			}
		})
	}
	open.Wait()
	return l
}

// read takes a report from a line.
func (l *ledger) read(line string) {
	outcome, key, _ := strings.Cut(line, " ")
	err := errors.New(outcome)
	switch outcome {
	case "done":
		err = nil
	case "doubt":
		err = reboundsql.ErrOutcomeUnknown
	}
	l.report(transfer{key: key}, err)
}

func TestBankSQLite(t *testing.T) {
	kinds := []string{"plain", "reboundsql"}
	if thorough() {
		kinds = []string{"plain", "naive", "reboundsql"}
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			file := t.TempDir() + "/bank.db"
			db := open(t, "sqlite", sqliteDSN(file))
			openBank(t, db, kind == "reboundsql")
			a := branches(t, file, kind).audit(t, db)
			t.Logf("4 processes, 1 of them killed\n%s\n%s", auditHead, a.row(kind))
			if kind == "reboundsql" {
				a.honest(t, kind)
			}
		})
	}
}
