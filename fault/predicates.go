package fault

// IsTimeout reports whether something in err took too long: anything in its tree whose method
// Timeout says so, an expired deadline, a system call that timed out, a gRPC deadline, a status of
// 408 or 504, an SDK's or a database's code for it. Marks change nothing about that.
//
// Describers are looked into: a predicate is about what happened, not about what to do.
func IsTimeout(err error) bool {
	w := walk{left: maxNodes, through: true}
	w.chain(err, 0)
	return w.flags&timeout != 0
}

// IsConnection reports whether err says that no connection could be made, or that it broke: it was
// refused, reset or closed by the peer, a host or network was not reachable, a name server failed,
// a driver's connection was bad, an SQLSTATE is one of class 08, a gRPC service was unavailable. A
// name that does not exist, and a certificate that fails, are no such thing.
func IsConnection(err error) bool { return passing(err, connection) }

// passing reports whether err's tree shows one of the flags and does not come down to something
// else: a dial that fails because a name does not exist, or because it was called off.
func passing(err error, want flags) bool {
	w := walk{left: maxNodes, through: true}
	p := w.chain(err, 0)
	if w.flags&want == 0 {
		return false
	}
	// The whole tree decides: a connection that could not be made for a reason that stays is no
	// passing failure.
	k := w.conclude(err, p).Kind
	return k != Permanent && k != Canceled
}
