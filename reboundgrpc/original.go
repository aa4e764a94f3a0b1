package reboundgrpc

import "reflect"

// original is a reply before the first attempt. An attempt may decode a reply and still fail,
// because the status comes after the reply. Some codecs, such as those of JSON and vtprotobuf,
// would merge the reply of the next attempt into the old one.
type original struct {
	message any           // nil = none
	saved   reflect.Value // if the message has no Reset
}

// originalOf saves the message, unless it has a Reset method, as Protobuf messages have. Other
// messages are saved because the caller may have prepared them, for example with memory for a
// field.
func originalOf(message any) original {
	v := reflect.ValueOf(message)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return original{}
	}
	o := original{message: message}
	if _, ok := message.(interface{ Reset() }); !ok {
		o.saved = reflect.New(v.Type().Elem()).Elem()
		o.saved.Set(v.Elem())
	}
	return o
}

// restore prepares the message for the next attempt.
func (o original) restore() {
	// Reset also clears the unknown fields of a Protobuf message.
	if m, ok := o.message.(interface{ Reset() }); ok {
		m.Reset()
	} else if o.message != nil {
		reflect.ValueOf(o.message).Elem().Set(o.saved)
	}
}
