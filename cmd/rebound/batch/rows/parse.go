package rows

// Parse reads and checks a line of an input that was checked as a whole before, all but the files
// that it names.
func (in *Input) Parse(line []byte) (Row, error) { return in.parse(line) }
