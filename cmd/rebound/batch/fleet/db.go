// Package fleet is a batch on many machines: its rows are in PostgreSQL, as jobs of River, and any
// number of processes send them.
//
// A row's result and the completion of its job are one transaction, so there is exactly one result
// for a row. A row is marked before it is sent. What a process that is gone had marked is in doubt,
// and is counted.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/cmd/rebound/batch/secrets"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
	"github.com/rebound-go/rebound/fault"
)

// schema has the tables of this package, and those of River.
const schema = "rebound"

const connectTimeout = 10 * time.Second // where the URL has none

// DB is the database of batches.
type DB struct {
	pool  *pgxpool.Pool
	quick *pgxpool.Pool // its commits are not synchronised: for what a crash may take back
	hide  secrets.Set

	address string
}

// Open connects to the database of a URL. A password in it is in no error.
func Open(ctx context.Context, address string) (*DB, error) { return open(ctx, address, 2) }

// open connects with so many connections at most, and one more.
func open(ctx context.Context, address string, most int32) (*DB, error) {
	d := &DB{address: address, hide: secrets.Set{}.With(Passwords(address)...)}
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, errors.New("--db: want a URL such as postgres://user@host/database, or the words " +
			"of libpq")
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	config.ConnConfig.RuntimeParams["application_name"] = "rebound batch"
	if !strings.Contains(address, "pool_max_conns") {
		config.MaxConns = most
	}
	quick := config.Copy()
	quick.MaxConns = 1
	quick.ConnConfig.RuntimeParams["synchronous_commit"] = "off"
	for _, p := range []struct {
		pool   **pgxpool.Pool
		config *pgxpool.Config
	}{{&d.pool, config}, {&d.quick, quick}} {
		if *p.pool, err = pgxpool.NewWithConfig(ctx, p.config); err == nil {
			err = (*p.pool).Ping(ctx)
		}
		if err != nil {
			d.Close()
			return nil, d.own(err)
		}
	}
	return d, nil
}

// Passwords are those of a URL or of libpq's words, as they are written and as they are meant.
func Passwords(address string) (all []string) {
	if config, err := pgxpool.ParseConfig(address); err == nil {
		all = append(all, config.ConnConfig.Password)
	}
	for _, written := range passwordsIn.FindAllStringSubmatch(address, -1) {
		for _, p := range written[1:] {
			if plain, err := url.QueryUnescape(p); err == nil {
				all = append(all, plain)
			}
			all = append(all, p)
		}
	}
	return all
}

// passwordsIn finds the passwords in a URL's user and query, and those of libpq's words.
var passwordsIn = regexp.MustCompile(`^\w+://[^/?#]*?:(.*)@|` +
	`(?i:password)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:\\.|[^\s'&\\])+))`)

// Close closes the connections. It does not wait long for a server that is away.
func (d *DB) Close() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for _, p := range []*pgxpool.Pool{d.pool, d.quick} {
			if p != nil {
				p.Close()
			}
		}
	}()
	select {
	case <-closed:
	case <-time.After(lastLook):
	}
}

// own is an error without the password.
func (d *DB) own(err error) error {
	if err == nil {
		return nil
	}
	if gaveUp := (*rebound.Error)(nil); errors.As(err, &gaveUp) && gaveUp.Err != nil {
		err = gaveUp.Err
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	return fmt.Errorf("the database: %w", cleaned{string(d.hide.Redact([]byte(text))), err})
}

// storable is a text that the database can store: valid, and without zero bytes.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
}

// cleaned is an error whose text has no secret.
type cleaned struct {
	text string
	err  error
}

func (c cleaned) Error() string { return c.text }
func (c cleaned) Unwrap() error { return c.err }

// persist calls fn until it succeeds, a failure is permanent, or ctx ends: the database may be away
// for a while.
func persist(ctx context.Context, fn func(context.Context) error) error {
	return rebound.Run(ctx, &persistent, fn)
}

var persistent = rebound.Policy{
	Name: "database", Attempts: rebound.Unlimited, Budget: budget.Unlimited,
	Backoff:  backoff.Exponential{Base: 50 * time.Millisecond, Max: 2 * time.Second},
	Classify: classify,
}

// classify knows what the driver rejects by itself, without the server: no retry mends it.
func classify(err error) fault.Fault {
	if errors.As(err, new(pgx.ScanArgError)) || strings.Contains(err.Error(), "failed to encode") {
		return fault.Fault{Kind: fault.Permanent, Err: err}
	}
	return fault.Of(err)
}

// info is a batch.
type info struct {
	name  string
	key   store.Key
	hosts map[string]int // rows by their URLs' origins; "" = those of --base
	stops int
}

// named returns the batches of a name, or all of them.
func (d *DB) named(ctx context.Context, name string) ([]info, error) {
	rows, err := d.pool.Query(ctx, `SELECT name, key, hosts, stops FROM rebound.batch
		WHERE $1 IN ('', name) ORDER BY loaded`, name)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (b info, err error) {
		var key []byte
		err = row.Scan(&b.name, &key, &b.hosts, &b.stops)
		copy(b.key[:], key)
		return b, err
	})
}

// find returns the batch of a name. Without a name it is the only batch that there is.
func (d *DB) find(ctx context.Context, name string) (info, error) {
	found, err := d.named(ctx, name)
	if code := (*pgconn.PgError)(nil); errors.As(err, &code) &&
		(code.Code == "42P01" || code.Code == "3F000") { // there are no tables
		found, err = nil, nil
	}
	switch {
	case err != nil:
		return info{}, d.own(err)
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		names := make([]string, len(found))
		for i, b := range found {
			names[i] = b.name
		}
		return info{}, fmt.Errorf("want --batch NAME: the database has %s", strings.Join(names, ", "))
	case name != "":
		return info{}, fmt.Errorf("--batch %s: the database has no batch of that name", name)
	}
	return info{}, errors.New("the database has no batch: want rebound batch load INPUT --db URL " +
		"first")
}

var badName = regexp.MustCompile(`[^a-z0-9]+`)

// CheckName returns an error if a batch cannot have that name, which is also that of River's queue.
func CheckName(name string) error {
	if name == "" || len(name) > 60 || badName.ReplaceAllString(name, "-") != name ||
		strings.Trim(name, "-") != name {
		return fmt.Errorf("--batch %q: want small letters and digits, with - between them", name)
	}
	return nil
}

// NameOf is the name of a batch whose input is a file, without the file's folder and ending.
func NameOf(file string) string {
	file = file[strings.LastIndexAny(file, `/\`)+1:]
	if dot := strings.LastIndexByte(file, '.'); dot > 0 {
		file = file[:dot]
	}
	name := badName.ReplaceAllString(strings.ToLower(file), "-")
	if name = strings.Trim(name[:min(len(name), 60)], "-"); name == "" {
		return "batch"
	}
	return name
}

// migrate makes the tables, and brings those of River to this version.
func (d *DB) migrate(ctx context.Context) error {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	// Two processes must not do this at the same time.
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(7234017283807667300)"); err != nil {
		return err
	}
	defer func() {
		_, _ = conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(7234017283807667300)")
	}()
	if err := ensure(ctx, conn, "to_regnamespace('rebound')", "CREATE SCHEMA rebound"); err != nil {
		return err
	}
	m, err := rivermigrate.New(riverpgxv5.New(d.pool), &rivermigrate.Config{
		Schema: schema, Logger: quiet()})
	if err != nil {
		return err
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	return ensure(ctx, conn, "to_regclass('rebound.worker')", tables) // the last of them
}

// ensure creates what is not there. IF NOT EXISTS would need the right to create it.
func ensure(ctx context.Context, conn *pgxpool.Conn, name, sql string) error {
	var missing bool
	err := conn.QueryRow(ctx, "SELECT "+name+" IS NULL").Scan(&missing)
	if err == nil && missing {
		_, err = conn.Exec(ctx, sql)
	}
	return err
}

// quiet is River's logger. What it would log, such as that the database is away, is reported by us.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// inserter returns a client that inserts jobs, and works on none.
func (d *DB) inserter() (*river.Client[pgx.Tx], error) {
	return river.NewClient(riverpgxv5.New(d.pool), &river.Config{Schema: schema, Logger: quiet()})
}
