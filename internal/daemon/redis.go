package daemon

import (
	"net"
	"strconv"
	"time"
)

// Redis starts a Redis server on the loopback interface, with further arguments. It needs no
// password, and stores nothing unless the arguments say so. It counts as ready when it answers,
// even with an error, since it may be loading its data. If the server is not installed, the error
// wraps exec.ErrNotFound.
func Redis(args ...string) (*Daemon, error) {
	program, err := Program("redis-server")
	if err != nil {
		return nil, err
	}
	d, err := New("redis")
	if err != nil {
		return nil, err
	}
	// The defaults come first, since the last of repeated arguments counts.
	d.Argv = append([]string{program, "--port", strconv.Itoa(d.Port), "--bind", "127.0.0.1",
		"--dir", d.Dir, "--save", "", "--appendonly", "no", "--daemonize", "no"}, args...)
	d.Ready = d.redisAnswers
	if err := d.Run(); err != nil {
		_ = d.Remove()
		return nil, err
	}
	return d, nil
}

// redisAnswers sends a command in the protocol's plain text form, and accepts any answer. No client
// is needed, since only the nested modules have one.
func (d *Daemon) redisAnswers() error {
	conn, err := net.DialTimeout("tcp", d.Addr(), time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	// A server that accepts the connection but does not answer must not hang the test.
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}
