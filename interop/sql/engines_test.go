//go:build linux

package sql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/lib/pq"
	_ "modernc.org/sqlite"

	"github.com/rebound-go/rebound/internal/daemon"
)

// traced is a driver inside a wrapper, as tracing libraries make it. Its type is not the driver's.
type traced struct{ driver.Driver }

func init() {
	sql.Register("traced-pgx", traced{stdlib.GetDefaultDriver()})
	sql.Register("traced-postgres", traced{&pq.Driver{}})
	sql.Register("traced-mysql", traced{&mysql.MySQLDriver{}})
}

// database is a server, with a driver's name, a space, and the DSN.
type database struct {
	*daemon.Daemon
	dsn string
}

// startPostgres starts a PostgreSQL server for one test.
func startPostgres(t testing.TB) *database {
	t.Helper()
	d := daemon.Require(t, daemon.Postgres)
	return &database{d, "pgx " + d.URL()}
}

// overSocket is a DSN of the server's socket.
func (d *database) overSocket() string {
	return fmt.Sprintf("postgres://postgres@/postgres?host=%s&port=%d&sslmode=disable", d.Dir, d.Port)
}

// startMariaDB starts a MariaDB server for one test.
func startMariaDB(t testing.TB) *database {
	t.Helper()
	d := &database{Daemon: daemon.Require(t, mariaDB)}
	d.dsn = "mysql " + d.mysql(d.Addr())
	return d
}

func mariaDB() (*daemon.Daemon, error) {
	install, err := daemon.Program("mariadb-install-db")
	if err != nil {
		return nil, err
	}
	server, err := daemon.Program("mariadbd", "/usr/sbin/mariadbd")
	if err != nil {
		return nil, err
	}
	d, err := daemon.New("mysql")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(d.Dir, "data")
	// Each server also has its own folder for temporary tables, because concurrent set-ups remove each
	// other's.
	tmp := "--tmpdir=" + d.Dir
	d.Argv = []string{server, "--no-defaults", "--datadir=" + data, tmp,
		"--socket=" + filepath.Join(d.Dir, "s"), "--port=" + strconv.Itoa(d.Port),
		"--pid-file=" + filepath.Join(d.Dir, "pid"), "--bind-address=127.0.0.1",
		"--skip-name-resolve", "--innodb-flush-log-at-trx-commit=2",
		"--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M", "--skip-log-bin"}
	d.Ready = func() error { return ping("mysql", (&database{}).mysql(d.Addr())) }
	err = d.SetUp(install, "--no-defaults", "--datadir="+data, tmp,
		"--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=16M")
	if err == nil {
		err = d.Run()
	}
	if err != nil {
		_ = d.Remove()
	}
	return d, err
}

func (d *database) mysql(addr string) string { return "root@tcp(" + addr + ")/mysql" }

// direct opens the server's database.
func (d *database) direct(t testing.TB) *sql.DB {
	t.Helper()
	driver, dsn, _ := strings.Cut(d.dsn, " ")
	return open(t, driver, dsn)
}

func ping(driver, dsn string) error {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return db.PingContext(ctx)
}

// open opens a database and closes it at the end, when no connection may be in use.
func open(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := db.Stats().InUse; n != 0 {
			t.Errorf("%s: %d connections in use at the end, want 0", driver, n)
		}
		db.Close()
	})
	return db
}

func mustExec(t testing.TB, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func mustCount(t testing.TB, db *sql.DB, query string, args ...any) (n int) {
	t.Helper()
	if err := db.QueryRow(query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// sqliteFile is a database in a file of the test's own.
func sqliteFile(t testing.TB) string {
	return sqliteDSN(filepath.Join(t.TempDir(), "bank.db"))
}

func sqliteDSN(file string) string {
	return fmt.Sprintf("file:%s?_pragma=journal_mode(wal)&_pragma=synchronous(off)"+
		"&_pragma=busy_timeout(20)", file)
}
