package daemon

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// attributes makes a child of root run as the owner of its folder.
func attributes(owner *user.User) *syscall.SysProcAttr {
	if owner == nil {
		return nil
	}
	// On Linux the ids of users are numbers.
	uid, _ := strconv.ParseUint(owner.Uid, 10, 32)
	gid, _ := strconv.ParseUint(owner.Gid, 10, 32)
	return &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)},
	}
}

// kill kills a process and its children, and waits until all of them are gone. Otherwise a server
// started again in the same folder would find their shared memory in use. It cannot use a process
// group: PostgreSQL's children make groups of their own.
func kill(p *os.Process) {
	_ = syscall.Kill(p.Pid, syscall.SIGSTOP) // it must not begin another process meanwhile
	family := append(children(p.Pid), p.Pid)
	for _, pid := range family {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	for _, pid := range family {
		// A killed process of another parent is gone only when that parent has waited for it.
		for range 500 {
			if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				break
			}
			pause(2 * time.Millisecond)
		}
	}
}

// children are the processes whose parent is pid. The second field of a process's stat is its name,
// in parentheses, and may contain spaces.
func children(pid int) (all []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		text, _ := os.ReadFile(stat)
		_, rest, _ := strings.Cut(string(text), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
			all = append(all, child)
		}
	}
	return all
}
