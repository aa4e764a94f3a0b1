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
)

// traced is a driver as libraries for tracing wrap it: its type is not the driver's.
type traced struct{ driver.Driver }

func init() {
	sql.Register("traced-pgx", traced{stdlib.GetDefaultDriver()})
	sql.Register("traced-postgres", traced{&pq.Driver{}})
	sql.Register("traced-mysql", traced{&mysql.MySQLDriver{}})
}

// startPostgres starts a PostgreSQL server of the test's own.
func startPostgres(t testing.TB) *daemon {
	t.Helper()
	const installed = "/usr/lib/postgresql/*/bin/"
	initdb, postgres := program(t, installed+"initdb", "initdb"),
		program(t, installed+"postgres", "postgres")
	d := &daemon{port: freePort(t)}
	d.dir, d.user = folder(t, "postgres")
	data := filepath.Join(d.dir, "data")
	d.setUp(t, initdb, "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8",
		"--no-locale")
	d.dsn = "pgx " + d.postgres("127.0.0.1:"+strconv.Itoa(d.port))
	// What is not synchronised to the disk survives a killed process, if not a power failure.
	d.argv = []string{postgres, "-D", data, "-k", d.dir, "-p", strconv.Itoa(d.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "deadlock_timeout=100ms",
		"-c", "max_connections=60", "-c", "shared_buffers=16MB"}
	d.begin(t)
	return d
}

func (d *daemon) postgres(addr string) string {
	return "postgres://postgres@" + addr + "/postgres?sslmode=disable"
}

// overSocket is a DSN of the server's socket.
func (d *daemon) overSocket() string {
	return fmt.Sprintf("postgres://postgres@/postgres?host=%s&port=%d&sslmode=disable", d.dir, d.port)
}

// startMariaDB starts a MariaDB server of the test's own.
func startMariaDB(t testing.TB) *daemon {
	t.Helper()
	install, server := program(t, "mariadb-install-db"), program(t, "mariadbd", "/usr/sbin/mariadbd")
	d := &daemon{port: freePort(t)}
	d.dir, d.user = folder(t, "mysql")
	data := filepath.Join(d.dir, "data")
	// A folder of its own for temporary tables, too: several set-ups at the same time remove each
	// other's.
	tmp := "--tmpdir=" + d.dir
	d.setUp(t, install, "--no-defaults", "--datadir="+data, tmp, "--skip-test-db",
		"--auth-root-authentication-method=normal", "--innodb-log-file-size=16M")
	d.dsn = "mysql " + d.mysql("127.0.0.1:"+strconv.Itoa(d.port))
	d.argv = []string{server, "--no-defaults", "--datadir=" + data, tmp,
		"--socket=" + filepath.Join(d.dir, "s"), "--port=" + strconv.Itoa(d.port),
		"--pid-file=" + filepath.Join(d.dir, "pid"), "--bind-address=127.0.0.1",
		"--skip-name-resolve", "--innodb-flush-log-at-trx-commit=2",
		"--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M", "--skip-log-bin"}
	d.begin(t)
	return d
}

func (d *daemon) mysql(addr string) string { return "root@tcp(" + addr + ")/mysql" }

func (d *daemon) begin(t testing.TB) {
	t.Helper()
	if err := d.run(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.kill)
}

// direct opens the server's database.
func (d *daemon) direct(t testing.TB) *sql.DB {
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
