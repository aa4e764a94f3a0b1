// Package house has no code but tests: the rules that this repository keeps, over the files of all
// its modules. They run in the repository alone, and skip where its root module stands by itself.
package house
