module github.com/rebound-go/rebound/cmd/rebound

go 1.25.0

require (
	github.com/goccy/go-yaml v1.19.2
	github.com/rebound-go/rebound v0.0.0
	github.com/spf13/cobra v1.10.2
	github.com/spf13/pflag v1.0.9
	golang.org/x/sys v0.37.0
)

require github.com/inconshreveable/mousetrap v1.1.0 // indirect

replace github.com/rebound-go/rebound => ../../
