// Package engines has tests and no code: adapters of a rebound.Policy for job engines, brokers and
// SDKs, which docs/engines.md shows, against the engines themselves.
package engines
