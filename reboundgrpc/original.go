package reboundgrpc

import "reflect"

// original is a message before its first attempt. An attempt may decode a reply and fail all the
// same, since the status comes after the reply. Codecs such as JSON's or vtprotobuf's would merge
// the reply of the next attempt into that one.
type original struct {
	message any           // nil = none
	saved   reflect.Value // if the message has no Reset
}

// originalOf saves nothing of a message that has a Reset, as those of Protobuf have. Other messages
// may have been prepared by the caller, such as with a place for a field.
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
	if m, ok := o.message.(interface{ Reset() }); ok {
		m.Reset()
	} else if o.message != nil {
		reflect.ValueOf(o.message).Elem().Set(o.saved)
	}
}
