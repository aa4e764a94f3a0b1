package daemon

import (
	"net"
	"strconv"
	"time"
)

// Redis starts a Redis server with further arguments. It listens on the loopback interface alone,
// needs no password, and stores nothing unless the arguments say so. It is ready when it answers,
// which may be with an error: it may be loading what it had stored. The error is exec.ErrNotFound
// where the server is not installed.
func Redis(args ...string) (*Daemon, error) {
	program, err := Program("redis-server")
	if err != nil {
		return nil, err
	}
	d, err := New("redis")
	if err != nil {
		return nil, err
	}
	d.Argv = append([]string{program, "--port", strconv.Itoa(d.Port), "--bind", "127.0.0.1",
		"--dir", d.Dir, "--save", "", "--appendonly", "no", "--daemonize", "no"}, args...)
	d.Ready = d.redisAnswers
	if err := d.Run(); err != nil {
		_ = d.Remove()
		return nil, err
	}
	return d, nil
}

// redisAnswers sends a command in the protocol's form for people, and takes any answer. It needs no
// client, which only nested modules have.
func (d *Daemon) redisAnswers() error {
	conn, err := net.DialTimeout("tcp", d.Addr(), time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}
