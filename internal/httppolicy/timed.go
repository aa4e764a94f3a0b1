package httppolicy

// Timed is a Base of a reboundhttp.Transport that ends attempts by its own timeouts. The connection
// of such an attempt may be dead.
type Timed interface{ OwnTimeouts() }
