package engines

import "errors"

var errReset = errors.New("connection reset")
