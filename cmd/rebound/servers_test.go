package main

// stopServers stops the servers that tests share.
var stopServers = func() {}
