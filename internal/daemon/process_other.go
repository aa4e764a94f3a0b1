//go:build !linux

package daemon

import (
	"os"
	"os/user"
	"syscall"
)

// attributes sets nothing: the server runs as the user of this process.
func attributes(*user.User) *syscall.SysProcAttr { return nil }

// kill kills the process alone. PostgreSQL's children end when they find that it is gone.
func kill(p *os.Process) { _ = p.Kill() }
