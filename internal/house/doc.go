// Package house has only tests. They check the rules of this repository in the files of all its
// modules. They are skipped outside the repository, where the root module is alone.
package house
