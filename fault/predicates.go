package fault

// IsTimeout reports whether something in err's tree timed out. Examples are an error whose Timeout
// method returns true, an expired deadline, a system call or gRPC call that timed out, a status of
// 408 or 504, and a timeout code of an SDK or a database. Marks such as rebound.Permanent make no
// difference.
//
// It also examines the errors inside Describers, because it reports what happened, and not what to
// do.
func IsTimeout(err error) bool {
	w := walk{left: maxNodes, through: true}
	w.chain(err, 0)
	return w.flags&timeout != 0
}

// IsConnection reports whether err means that no connection could be made, or that a connection
// broke. Examples are a connection that was refused, reset or closed by the peer, a host or network
// that was not reachable, a name server that failed, a driver's bad connection, an SQLSTATE of
// class 08, and gRPC's UNAVAILABLE. It is false for a host name that does not exist and for an
// invalid certificate.
func IsConnection(err error) bool { return passing(err, connection) }

// passing reports whether err's tree has one of the flags. It returns false if the whole failure is
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
