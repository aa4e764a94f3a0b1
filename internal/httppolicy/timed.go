package httppolicy

// Timed is a Base of a reboundhttp.Transport that ends attempts by timeouts of its own, after which
// their connections may be dead.
type Timed interface{ OwnTimeouts() }
