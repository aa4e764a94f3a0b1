//go:build !linux

package daemon

import (
	"os"
	"os/user"
	"syscall"
)

// attributes sets nothing, so the server runs as the user of this process.
func attributes(*user.User) *syscall.SysProcAttr { return nil }

// kill kills only the process itself. PostgreSQL's children end when they notice that it is gone.
func kill(p *os.Process) { _ = p.Kill() }
