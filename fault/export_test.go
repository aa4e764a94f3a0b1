package fault

var SplitQuoted = splitQuoted
