//go:build linux

// Package sql_test runs reboundsql against real drivers and servers. PostgreSQL and MariaDB are
// child processes in temporary folders on free ports; SQLite needs none.
package sql_test

import (
	"context"
	"time"
)

// pause waits for other processes, which no bubble holds.
func pause(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	<-ctx.Done()
}
