package bulkhead

// JSON Schemas from Go types, and the defaults that they promise.
//
// The tags of a field say what its type does not:
//
//	json:"name"      its name; with omitempty or omitzero it is optional
//	doc:"…"          what a model reads about it
//	default:"…"      its value where it is absent: text for a string, else JSON
//	min:"…" max:"…"  the least and greatest number, length of a string, or number of items
//	enum:"a,b"       the only values of it, or of its items
//	pattern:"…"      a regular expression that a string matches

import (
	"encoding"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// schema is the part of JSON Schema that Go types and tags can express.
type schema struct {
	Type                 types            `json:"type,omitempty"`
	Description          string           `json:"description,omitzero"`
	Format               string           `json:"format,omitzero"`
	ContentEncoding      string           `json:"contentEncoding,omitzero"`
	Properties           properties       `json:"properties,omitzero"`
	Required             []string         `json:"required,omitempty"`
	AdditionalProperties any              `json:"additionalProperties,omitzero"`
	Items                *schema          `json:"items,omitzero"`
	Enum                 []jsontext.Value `json:"enum,omitempty"`
	Minimum              jsontext.Value   `json:"minimum,omitempty"`
	Maximum              jsontext.Value   `json:"maximum,omitempty"`
	MinLength            jsontext.Value   `json:"minLength,omitempty"`
	MaxLength            jsontext.Value   `json:"maxLength,omitempty"`
	MinItems             jsontext.Value   `json:"minItems,omitempty"`
	MaxItems             jsontext.Value   `json:"maxItems,omitempty"`
	Pattern              string           `json:"pattern,omitzero"`
	Default              jsontext.Value   `json:"default,omitempty"`
}

// types is one name, or several as a list.
type types []string

func (t types) MarshalJSONTo(out *jsontext.Encoder) error {
	if len(t) == 1 {
		return json.MarshalEncode(out, t[0])
	}
	return json.MarshalEncode(out, []string(t))
}

// properties are in the order of the struct's fields, which is the one to read them in.
type properties []property

type property struct {
	name string
	*schema
}

func (p properties) MarshalJSONTo(out *jsontext.Encoder) error {
	if err := out.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, property := range p {
		if err := out.WriteToken(jsontext.String(property.name)); err != nil {
			return err
		}
		if err := json.MarshalEncode(out, property.schema); err != nil {
			return err
		}
	}
	return out.WriteToken(jsontext.EndObject)
}

func argumentsSchema(t reflect.Type) (*schema, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is not a struct", t)
	}
	return schemaOf(t, nil)
}

// resultSchema is nil for a result that is text.
func resultSchema(t reflect.Type) (*schema, error) {
	if t.Kind() == reflect.String {
		return nil, nil
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	made, err := schemaOf(t, nil)
	if err == nil && !slices.Equal(made.Type, types{"object"}) {
		err = fmt.Errorf("%s is not a string, a struct or a map", t)
	}
	return made, err
}

// schemaOf is the schema of a type that lies within the types of outer.
func schemaOf(t reflect.Type, outer []reflect.Type) (*schema, error) {
	if slices.Contains(outer, t) {
		return nil, fmt.Errorf("%s contains itself", t)
	}
	inner := func(element reflect.Type) (*schema, error) {
		return schemaOf(element, append(slices.Clone(outer), t))
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return &schema{Type: types{"string"}, Format: "date-time"}, nil
	case implements[json.Marshaler](t), implements[json.MarshalerTo](t):
		return &schema{}, nil // Whatever it says.
	case implements[encoding.TextMarshaler](t), implements[encoding.TextAppender](t):
		return &schema{Type: types{"string"}}, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return &schema{Type: types{"boolean"}}, nil
	case reflect.String:
		return &schema{Type: types{"string"}}, nil
	case reflect.Float32, reflect.Float64:
		return &schema{Type: types{"number"}}, nil
	case reflect.Int, reflect.Int64:
		// Their bounds tell a model nothing, and no number has them exactly in JavaScript.
		return &schema{Type: types{"integer"}}, nil
	case reflect.Int8, reflect.Int16, reflect.Int32:
		limit := int64(1) << (t.Bits() - 1)
		return &schema{Type: types{"integer"}, Minimum: number(-limit), Maximum: number(limit - 1)}, nil
	case reflect.Uint, reflect.Uint64:
		return &schema{Type: types{"integer"}, Minimum: number(0)}, nil
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return &schema{Type: types{"integer"}, Minimum: number(0), Maximum: number(int64(1)<<t.Bits() - 1)}, nil
	case reflect.Pointer:
		made, err := schemaOf(t.Elem(), outer)
		if err == nil && len(made.Type) > 0 && !slices.Contains(made.Type, "null") {
			made.Type = append(made.Type, "null")
		}
		return made, err
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return &schema{Type: types{"string"}, ContentEncoding: "base64"}, nil
		}
		items, err := inner(t.Elem())
		made := &schema{Type: types{"array"}, Items: items}
		if t.Kind() == reflect.Array {
			made.MinItems, made.MaxItems = number(int64(t.Len())), number(int64(t.Len()))
		}
		return made, err
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return nil, fmt.Errorf("the keys of %s are not strings", t)
		}
		values, err := inner(t.Elem())
		return &schema{Type: types{"object"}, AdditionalProperties: values}, err
	case reflect.Struct:
		made := &schema{Type: types{"object"}, Properties: properties{}, AdditionalProperties: false}
		err := made.addFields(t, inner)
		return made, err
	case reflect.Interface:
		if t.NumMethod() == 0 {
			return &schema{}, nil // Any JSON.
		}
	}
	return nil, fmt.Errorf("%s has no JSON form", t)
}

// addFields adds the fields of a struct, those of embedded structs among them.
func (s *schema) addFields(t reflect.Type, schemaOf func(reflect.Type) (*schema, error)) error {
	for i := range t.NumField() {
		field := t.Field(i)
		tag, tagged := field.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		if field.Anonymous && name == "" && field.Type.Kind() == reflect.Struct {
			if err := s.addFields(field.Type, schemaOf); err != nil {
				return err
			}
			continue
		}
		if tag == "-" || !field.IsExported() {
			continue
		}
		if name == "" {
			name = field.Name
		}
		optional := field.Type.Kind() == reflect.Pointer
		if tagged && options != "" {
			for option := range strings.SplitSeq(options, ",") {
				if option != "omitempty" && option != "omitzero" {
					return fmt.Errorf("%s.%s: the schema cannot express `%s` in its json tag", t, field.Name, option)
				}
				optional = true
			}
		}
		made, err := schemaOf(field.Type)
		if err == nil {
			err = made.addTags(field)
		}
		if err != nil {
			return fmt.Errorf("%s.%s: %w", t, field.Name, err)
		}
		s.Properties = append(s.Properties, property{name, made})
		if !optional && made.Default == nil {
			s.Required = append(s.Required, name)
		}
	}
	return nil
}

// addTags adds what the tags of a field say.
func (s *schema) addTags(field reflect.StructField) error {
	s.Description = field.Tag.Get("doc")
	s.Pattern = field.Tag.Get("pattern")
	if text, is := field.Tag.Lookup("default"); is {
		value, err := s.valueOf(field.Type, text)
		if err != nil {
			return fmt.Errorf("the default `%s`: %w", text, err)
		}
		s.Default = value
	}
	if text, is := field.Tag.Lookup("enum"); is {
		limited, t := s, field.Type
		if s.Items != nil {
			limited, t = s.Items, base(t).Elem()
		}
		for name := range strings.SplitSeq(text, ",") {
			value, err := limited.valueOf(t, name)
			if err != nil {
				return fmt.Errorf("the value `%s`: %w", name, err)
			}
			limited.Enum = append(limited.Enum, value)
		}
		if slices.Contains(limited.Type, "null") {
			limited.Enum = append(limited.Enum, jsontext.Value("null"))
		}
	}
	for tag, limits := range map[string][3]*jsontext.Value{
		"min": {&s.Minimum, &s.MinLength, &s.MinItems},
		"max": {&s.Maximum, &s.MaxLength, &s.MaxItems},
	} {
		text, is := field.Tag.Lookup(tag)
		if !is {
			continue
		}
		value := jsontext.Value(text)
		if !value.IsValid() || value.Kind() != '0' {
			return fmt.Errorf("%s `%s` is not a number", tag, text)
		}
		switch {
		case slices.Contains(s.Type, "integer"), slices.Contains(s.Type, "number"):
			*limits[0] = value
		case slices.Contains(s.Type, "string"):
			*limits[1] = value
		case slices.Contains(s.Type, "array"):
			*limits[2] = value
		default:
			return fmt.Errorf("%s has no meaning for its type", tag)
		}
	}
	return nil
}

// complete is a value with the defaults of what is absent in it, and with its
// integers written as Go reads them (JSON Schema takes 1.0 and 1e3 for integers).
func (s *schema) complete(value jsontext.Value) (jsontext.Value, error) {
	switch value.Kind() {
	case '0':
		if !slices.Contains(s.Type, "integer") || !strings.ContainsAny(string(value), ".eE") {
			return value, nil
		}
		whole, err := strconv.ParseFloat(string(value), 64)
		if err != nil || whole != math.Trunc(whole) {
			return value, nil
		}
		return jsontext.Value(strconv.FormatFloat(whole, 'f', 0, 64)), nil
	case '[':
		if s.Items == nil {
			return value, nil
		}
		var items []jsontext.Value
		if err := json.Unmarshal(value, &items); err != nil {
			return nil, err
		}
		for i := range items {
			var err error
			if items[i], err = s.Items.complete(items[i]); err != nil {
				return nil, err
			}
		}
		return json.Marshal(items)
	case '{':
		return s.completeObject(value)
	}
	return value, nil
}

func (s *schema) completeObject(value jsontext.Value) (jsontext.Value, error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(value, &members); err != nil {
		return nil, err
	}
	of := map[string]*schema{}
	for _, property := range s.Properties {
		of[property.name] = property.schema
		if _, is := members[property.name]; !is && property.Default != nil {
			members[property.name] = property.Default
		}
	}
	others, _ := s.AdditionalProperties.(*schema)
	for name := range maps.Keys(members) {
		known, is := of[name]
		if !is {
			known = others
		}
		if known == nil {
			continue
		}
		complete, err := known.complete(members[name])
		if err != nil {
			return nil, err
		}
		members[name] = complete
	}
	return json.Marshal(members)
}

// valueOf is the JSON of what a tag says about a field of type t, whose schema this is.
func (s *schema) valueOf(t reflect.Type, text string) (jsontext.Value, error) {
	value := jsontext.Value(text)
	if slices.Contains(s.Type, "string") {
		quoted, err := jsontext.AppendQuote(nil, text)
		if err != nil {
			return nil, err
		}
		value = quoted
	}
	return value, json.Unmarshal(value, reflect.New(t).Interface())
}

// base is what a pointer points to, or the type itself.
func base(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

func implements[I any](t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[I]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[I]())
}

func number(n int64) jsontext.Value { return jsontext.Value(strconv.FormatInt(n, 10)) }
