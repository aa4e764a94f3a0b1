package daemon

import (
	"encoding/binary"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"
)

// Postgres starts a PostgreSQL server on the loopback interface. Its user postgres needs no
// password over TCP. The server does not sync its files: its data survives a process that is
// killed, but not a power failure. It rejects more than 60 connections. If the server is not
// installed, the error wraps exec.ErrNotFound.
func Postgres() (*Daemon, error) {
	// Debian's postgresql-common does not link these programs into PATH.
	const installed = "/usr/lib/postgresql/*/bin/"
	initdb, err := Program(installed+"initdb", "initdb")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL: %w", err)
	}
	postgres, err := Program(installed+"postgres", "postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL: %w", err)
	}
	d, err := New("postgres")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(d.Dir, "data")
	d.Argv = []string{postgres, "-D", data, "-k", d.Dir, "-p", strconv.Itoa(d.Port),
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "deadlock_timeout=100ms",
		"-c", "max_connections=60", "-c", "shared_buffers=16MB"}
	d.Ready = d.postgresAnswers
	// -N skips the sync to disk, which takes most of the time of initdb.
	err = d.SetUp(initdb, "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8",
		"--no-locale")
	if err == nil {
		err = d.Run()
	}
	if err != nil {
		_ = d.Remove()
		return nil, err
	}
	return d, nil
}

// PostgresURL is the URL of a PostgreSQL server at an address, for example that of a [Proxy].
func PostgresURL(addr string) string {
	return "postgres://postgres@" + addr + "/postgres?sslmode=disable"
}

// URL is the URL of a PostgreSQL server.
func (d *Daemon) URL() string { return PostgresURL(d.Addr()) }

// Addr is the server's address, for clients and for a [Proxy].
func (d *Daemon) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(d.Port)) }

// postgresAnswers opens a session with the first message of the protocol: its length, version 3.0,
// and parameters. An open port is not enough, because a server that starts or stops answers this
// message with an error. No driver is needed, since only the nested modules have one.
func (d *Daemon) postgresAnswers() error {
	conn, err := net.DialTimeout("tcp", d.Addr(), time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	const version, parameters = 3 << 16, "user\x00postgres\x00database\x00postgres\x00\x00"
	hello := binary.BigEndian.AppendUint32(nil, uint32(8+len(parameters)))
	hello = append(binary.BigEndian.AppendUint32(hello, version), parameters...)
	if _, err := conn.Write(hello); err != nil {
		return err
	}
	// The first byte of each message is its type: R for authentication, E for an error.
	var kind [1]byte
	if _, err := conn.Read(kind[:]); err != nil {
		return err
	}
	if kind[0] != 'R' {
		return fmt.Errorf("the server answered %q", kind)
	}
	return nil
}
