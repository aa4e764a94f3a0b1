package strictjson

import (
	"fmt"
	"time"
)

// ParseDuration reads a duration in Go's form, such as "1m30s". A negative duration and a number
// without a unit are errors.
func ParseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	// No setting of this project is a negative time.
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no duration: want a number and a unit, such as 500ms or 1m30s",
			text)
	}
	return d, nil
}

// duration is a time.Duration in a file. It has the text form that time.Duration itself lacks.
type duration time.Duration

// UnmarshalText reads the form that ParseDuration accepts. encoding/json writes durations as
// numbers, so there is no counterpart.
func (d *duration) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	*d = duration(v)
	return err
}
