package strictjson

import (
	"fmt"
	"time"
)

// ParseDuration reads a duration in Go's form, such as "1m30s". A negative duration and a number
// without a unit are errors.
func ParseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	// No setting of this project may be negative, so the check is in one place.
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration: want a number and a unit, such as 500ms or 1m30s",
			text)
	}
	return d, nil
}

// duration is a time.Duration in a file, because time.Duration has no UnmarshalText.
type duration time.Duration

// UnmarshalText reads the form that ParseDuration accepts. There is no MarshalText, because nothing
// writes files with a plain time.Duration.
func (d *duration) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	*d = duration(v)
	return err
}
