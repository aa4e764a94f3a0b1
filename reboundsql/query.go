package reboundsql

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/rebound-go/rebound"
)

// Query runs one statement that returns rows. It returns the results of scan for all rows, or nil
// if there are no rows. It retries until all rows have been read or p ends the call. If a
// connection breaks in the middle of the rows, the whole query is retried, so no row is returned
// twice. scan must not call Next. The slice returned with an error has no meaning. A nil p or o
// means the defaults.
//
// A query that may change something is not retried if its outcome is unknown, as in [Exec]. Only
// the text decides. A query only reads if it begins with a word such as SELECT, WITH or VALUES, and
// contains no word such as INSERT, UPDATE, DELETE, MERGE, INTO, CALL or CREATE. Query cannot detect
// a SELECT of a function that changes something. If o's Tx is ReadOnly, the query runs in a
// read-only transaction, in which the server rejects changes. Otherwise Query ignores Tx.
func Query[T any](
	ctx context.Context, db *sql.DB, p *rebound.Policy, o *Options,
	scan func(*sql.Rows) (T, error), query string, args ...any,
) ([]T, error) {
	opts := *o.orDefault()
	s := &statement[[]T]{pool: pool{db: db}, writes: !onlyReads(query)}
	s.run = func(ctx context.Context, conn *sql.Conn) ([]T, error) {
		if !opts.readOnly() {
			return read(ctx, conn, scan, query, args)
		}
		tx, err := conn.BeginTx(ctx, opts.Tx)
		if err != nil {
			return nil, err
		}
		defer func() { _ = tx.Rollback() }() // there is nothing to roll back
		return read(ctx, tx, scan, query, args)
	}
	err := s.call(ctx, p, &opts)
	return s.value, err
}

// querier is a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// read reads all rows before any is returned, because a retry in the middle would return rows
// twice.
func read[T any](
	ctx context.Context, q querier, scan func(*sql.Rows) (T, error), query string, args []any,
) (all []T, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// Statements that only read begin with a word of reading and contain no word of writing. The first
// word is not enough: PostgreSQL allows INSERT … RETURNING inside WITH, EXPLAIN ANALYZE runs its
// statement, and SELECT … INTO creates a table.
var (
	reading = []string{"SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN", "DESCRIBE", "DESC",
		"PRAGMA", "FROM"}
	writing = []string{"INSERT", "UPDATE", "DELETE", "MERGE", "UPSERT", "INTO", "CALL", "EXEC",
		"EXECUTE", "CREATE", "ALTER", "DROP", "TRUNCATE"}
)

// onlyReads reports whether query's text shows that it changes nothing. Quotes and comments are not
// parsed, so a word of writing inside them counts as well. Such a mistake does no harm: it only
// prevents a retry.
func onlyReads(query string) bool {
	first := words(withoutComments(query))
	return len(first) > 0 && slices.Contains(reading, first[0]) &&
		!slices.ContainsFunc(words(query), func(w string) bool { return slices.Contains(writing, w) })
}

func words(query string) []string {
	return strings.FieldsFunc(strings.ToUpper(query), func(r rune) bool {
		return r != '_' && r != '$' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && r < 0x80
	})
}

// withoutComments returns query without the comments at its start. Some tools add such comments to
// queries.
func withoutComments(query string) string {
	for {
		query = strings.TrimLeft(query, " \t\r\n(;")
		var found bool
		switch {
		case strings.HasPrefix(query, "--"), strings.HasPrefix(query, "#"):
			_, query, found = strings.Cut(query, "\n")
		case strings.HasPrefix(query, "/*"):
			_, query, found = strings.Cut(query, "*/")
		}
		if !found {
			return query
		}
	}
}
