module github.com/rebound-go/rebound/examples/fleet

go 1.25.0

replace github.com/rebound-go/rebound => ../../

require github.com/rebound-go/rebound v0.0.0
