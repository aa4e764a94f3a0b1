package limit_test

import "github.com/rebound-go/rebound/gate"

var success = gate.Outcome{Result: gate.OK}
