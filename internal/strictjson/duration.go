package strictjson

import (
	"fmt"
	"time"
)

// ParseDuration reads a duration as Go writes it, such as "1m30s". A negative one, and a number
// without a unit, are errors.
func ParseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no duration: want a number and a unit, such as 500ms or 1m30s",
			text)
	}
	return d, nil
}

// duration is a time.Duration in a file.
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	*d = duration(v)
	return err
}
