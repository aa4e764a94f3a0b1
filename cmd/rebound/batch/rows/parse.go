package rows

// Parse reads and checks a single line, except for the files that it names.
func (in *Input) Parse(line []byte) (Row, error) { return in.parse(line) }
