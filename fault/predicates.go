package fault

// IsTimeout reports whether something in err's tree timed out: an error whose Timeout method
// returns true, an expired deadline, a system call that timed out, a gRPC deadline, a status of 408
// or 504, or the timeout code of an SDK or a database. Marks such as rebound.Permanent make no
// difference.
//
// It also examines the errors inside Describers, because it reports what happened, and not what to
// do.
func IsTimeout(err error) bool {
	w := walk{left: maxNodes, through: true}
	w.chain(err, 0)
	return w.flags&timeout != 0
}

// IsConnection reports whether err means that no connection could be made, or that it broke.
// Examples: the connection was refused, reset or closed by the peer; a host or network was not
// reachable; a name server failed; a driver's connection was bad; an SQLSTATE is in class 08; a
// gRPC service was unavailable. It is false for a host name that does not exist and for an invalid
// certificate.
func IsConnection(err error) bool { return passing(err, connection) }

// passing reports whether err's tree has one of the flags, unless the failure as a whole is
// permanent or canceled, such as a dial that fails because the name does not exist.
func passing(err error, want flags) bool {
	w := walk{left: maxNodes, through: true}
	p := w.chain(err, 0)
	if w.flags&want == 0 {
		return false
	}
	// The whole tree decides: if no connection could be made for a permanent reason, the failure does
	// not pass.
	k := w.conclude(err, p).Kind
	return k != Permanent && k != Canceled
}
