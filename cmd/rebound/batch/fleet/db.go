// Package fleet runs a batch on many machines. The rows are in PostgreSQL, as jobs of River, and
// any number of workers send them.
//
// One transaction stores a row's result and completes its job, so each row has exactly one result.
// A row is marked before it is sent. If its worker is lost, a marked row is in doubt.
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

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/budget"
	"github.com/rebound-go/rebound/cmd/rebound/batch/secrets"
	"github.com/rebound-go/rebound/cmd/rebound/batch/store"
	"github.com/rebound-go/rebound/fault"
)

// schema is the schema of this package's tables, and of River's.
const schema = "rebound"

const connectTimeout = 10 * time.Second // unless the URL sets connect_timeout

// DB is the database of batches.
type DB struct {
	pool  *pgxpool.Pool
	quick *pgxpool.Pool // its commits are not synced, for data that a crash may lose
	hide  secrets.Set

	address string
}

// Open connects to the database at address, a URL or libpq's words. Errors do not contain its
// password.
func Open(ctx context.Context, address string) (*DB, error) { return open(ctx, address, 2) }

// open connects with at most most+1 connections, unless address sets pool_max_conns.
func open(ctx context.Context, address string, most int32) (*DB, error) {
	d := &DB{address: address, hide: secrets.Set{}.With(Passwords(address)...)}
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, errors.New("--db: want a URL such as postgres://user@host/database, " +
			"or the words of libpq")
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	config.ConnConfig.RuntimeParams["application_name"] = "rebound batch"
	if !strings.Contains(address, "pool_max_conns") {
		config.MaxConns = most
	}
	config.MaxConns = max(config.MaxConns, 2) // load needs one for its lock, and one for River
	quick := config.Copy()
	quick.MaxConns = 1
	quick.ConnConfig.RuntimeParams["synchronous_commit"] = "off"
	for _, p := range []struct {
		pool   **pgxpool.Pool
		config *pgxpool.Config
	}{{&d.pool, config}, {&d.quick, quick}} {
		if *p.pool, err = pgxpool.NewWithConfig(ctx, p.config); err == nil {
			err = ping(ctx, *p.pool)
		}
		if err != nil {
			d.Close()
			return nil, d.own(err)
		}
	}
	return d, nil
}

// ping returns an error if the server does not answer within its connect_timeout.
func ping(ctx context.Context, p *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, p.Config().ConnConfig.ConnectTimeout)
	defer cancel()
	return p.Ping(ctx)
}

// Passwords returns the passwords in a URL or in libpq's words, as written and decoded.
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

// passwordsIn matches the passwords in a URL's user and query, and in libpq's words.
var passwordsIn = regexp.MustCompile(`^\w+://[^/?#]*?:(.*)@|` +
	`(?i:password)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:\\.|[^\s'&\\])+))`)

// Close closes the connections. If the server does not answer, it gives up after lastLook.
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

// own returns an error of the database, on one line and without the password.
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

// storable returns a text that PostgreSQL can store: valid UTF-8 without zero bytes.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
}

// cleaned is an error whose text is redacted.
type cleaned struct {
	text string
	err  error
}

func (c cleaned) Error() string { return c.text }
func (c cleaned) Unwrap() error { return c.err }

// persist retries fn until it succeeds, fails permanently, or ctx ends. So it outlasts a restart of
// the database.
func persist(ctx context.Context, fn func(context.Context) error) error {
	return rebound.Run(ctx, &persistent, fn)
}

var persistent = rebound.Policy{
	Name: "database", Attempts: rebound.Unlimited, Budget: budget.Unlimited,
	Backoff:  backoff.Exponential{Base: 50 * time.Millisecond, Max: 2 * time.Second},
	Classify: classify,
}

// classify adds the errors of the driver itself to fault.Of. A retry does not help against them.
func classify(err error) fault.Fault {
	if errors.As(err, new(pgx.ScanArgError)) || strings.Contains(err.Error(), "failed to encode") {
		return fault.Fault{Kind: fault.Permanent, Err: err}
	}
	return fault.Of(err)
}

// info has the data of a batch that workers need.
type info struct {
	name  string
	key   store.Key
	hosts map[string]int // number of rows by origin; "" = URLs without a host
	stops int            // how often a worker has stopped all others
}

// named returns the batch of that name. Without a name, it returns all batches.
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

// find returns the batch of that name. Without a name, it returns the only batch.
func (d *DB) find(ctx context.Context, name string) (info, error) {
	if err := d.checkVersion(ctx); err != nil {
		return info{}, d.own(err)
	}
	found, err := d.named(ctx, name)
	if code := (*pgconn.PgError)(nil); errors.As(err, &code) &&
		(code.Code == "42P01" || code.Code == "3F000") { // the tables do not exist
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
		return info{}, fmt.Errorf("--batch is missing: want one of %s", strings.Join(names, ", "))
	case name != "":
		return info{}, fmt.Errorf("--batch %s: the database has no batch of that name", name)
	}
	return info{}, errors.New("the database has no batch: load one with rebound batch load INPUT " +
		"--db URL")
}

var badName = regexp.MustCompile(`[^a-z0-9]+`)

// CheckName returns an error if a batch cannot have that name, which is also the name of its queue
// in River.
func CheckName(name string) error {
	if name == "" || len(name) > 60 || badName.ReplaceAllString(name, "-") != name ||
		strings.Trim(name, "-") != name {
		return fmt.Errorf("--batch %q: want up to 60 small letters and digits, with - between them", name)
	}
	return nil
}

// NameOf returns the name of a batch, from the name of its input file.
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

// quiet is River's logger. It discards everything, because workers report what users need.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// inserter returns a client that only inserts jobs.
func (d *DB) inserter() (*river.Client[pgx.Tx], error) {
	return river.NewClient(riverpgxv5.New(d.pool), &river.Config{Schema: schema, Logger: quiet()})
}
