package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/rebound-go/rebound/internal/strictjson"
)

// maxJSON bounds the JSON of a YAML file. Nested aliases can make a small file huge.
const maxJSON = 10 << 20

func yamlToJSON(path string, data []byte) ([]byte, error) {
	file, err := parser.ParseBytes(data, 0)
	var syntax *yaml.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, &strictjson.Error{
			File: path, Line: syntax.Token.Position.Line, Err: errors.New(syntax.Message),
		}
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c := &converter{path: path, line: 1, anchors: map[string]ast.Node{}}
	docs := 0
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if docs++; docs > 1 {
			return nil, c.fail(doc.Body, "a second document begins here: want one in a file")
		}
		if err := c.node(doc.Body); err != nil {
			return nil, err
		}
	}
	return []byte(c.out.String()), nil
}

// converter writes JSON as it walks through YAML.
type converter struct {
	path    string
	out     strings.Builder
	line    int // the line in which out ends
	anchors map[string]ast.Node
	depth   int // how many aliases the current node is inside
}

func (c *converter) fail(n ast.Node, format string, args ...any) error {
	line := n.GetToken().Position.Line
	return &strictjson.Error{File: c.path, Line: line, Err: fmt.Errorf(format, args...)}
}

// reach adds newlines until out is in the line of n. Inside an alias it adds none, because the node
// is from a line above.
func (c *converter) reach(n ast.Node) {
	if c.depth > 0 {
		return
	}
	for ; c.line < n.GetToken().Position.Line; c.line++ {
		c.out.WriteByte('\n')
	}
}

func (c *converter) node(n ast.Node) error {
	if c.out.Len() > maxJSON {
		return c.fail(n, "with its aliases the file has more than 10 MB: want fewer aliases")
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return c.mapping(n, n.Values)
	case *ast.MappingValueNode:
		return c.mapping(n, []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		return c.sequence(n)
	case *ast.AnchorNode:
		c.anchors[n.Name.GetToken().Value] = n.Value
		return c.node(n.Value)
	case *ast.AliasNode:
		target, err := c.target(n)
		if err != nil {
			return err
		}
		c.reach(n)
		c.depth++
		defer func() { c.depth-- }()
		return c.node(target)
	}
	return c.scalar(n)
}

func (c *converter) target(n *ast.AliasNode) (ast.Node, error) {
	name := n.Value.GetToken().Value
	target, ok := c.anchors[name]
	if !ok || c.depth > 100 {
		return nil, c.fail(n, "the alias *%s has no anchor &%s above it", name, name)
	}
	return target, nil
}

// exponent matches a number of JSON that has an exponent.
var exponent = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?[eE][+-]?[0-9]+$`)

func (c *converter) scalar(n ast.Node) error {
	var value any
	switch n := n.(type) {
	case *ast.StringNode:
		value = n.Value
		// The parser returns 1e3 as a text. In YAML 1.2 it is a number.
		if n.GetToken().Type == token.StringType && exponent.MatchString(n.Value) {
			value = json.Number(n.Value)
		}
	case *ast.LiteralNode:
		value = n.Value.Value
	case *ast.IntegerNode:
		value = n.Value
	case *ast.FloatNode:
		value = n.Value
	case *ast.BoolNode:
		value = n.Value
	case *ast.NullNode:
	default:
		return c.fail(n, "%s: want a text, a number, true, false, a list or a map",
			n.GetToken().Value)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return c.fail(n, "%w", err)
	}
	c.reach(n)
	c.out.Write(text)
	return nil
}

func (c *converter) sequence(n *ast.SequenceNode) error {
	c.reach(n)
	c.out.WriteByte('[')
	for i, item := range n.Values {
		if i > 0 {
			c.out.WriteByte(',')
		}
		if err := c.node(item); err != nil {
			return err
		}
	}
	c.out.WriteByte(']')
	return nil
}

func (c *converter) mapping(n ast.Node, entries []*ast.MappingValueNode) error {
	own := map[string]bool{}
	for _, e := range entries {
		own[e.Key.GetToken().Value] = true
	}
	if len(entries) > 0 {
		c.reach(entries[0].Key)
	}
	c.out.WriteByte('{')
	comma := ""
	if err := c.entries(entries, own, false, &comma); err != nil {
		return err
	}
	c.out.WriteByte('}')
	return nil
}

// entries writes the entries of a map. If the map is merged into another one, keys that the other
// one has are left out.
func (c *converter) entries(
	entries []*ast.MappingValueNode, own map[string]bool, merged bool, comma *string,
) error {
	for _, e := range entries {
		key := e.Key.GetToken().Value
		switch {
		case e.Key.IsMergeKey():
			if err := c.merge(e.Value, own, comma); err != nil {
				return err
			}
			continue
		case merged && own[key]:
			continue
		}
		own[key] = true
		c.out.WriteString(*comma)
		*comma = ","
		c.reach(e.Key)
		name, err := json.Marshal(key)
		if err != nil {
			return c.fail(e, "%w", err)
		}
		c.out.Write(name)
		c.out.WriteByte(':')
		if err := c.node(e.Value); err != nil {
			return err
		}
	}
	return nil
}

// merge writes the entries of the map that << names.
func (c *converter) merge(n ast.Node, own map[string]bool, comma *string) error {
	alias, ok := n.(*ast.AliasNode)
	if !ok {
		return c.fail(n, "<< needs an alias, such as *base")
	}
	target, err := c.target(alias)
	if err != nil {
		return err
	}
	c.reach(n)
	c.depth++
	defer func() { c.depth-- }()
	switch target := target.(type) {
	case *ast.MappingNode:
		return c.entries(target.Values, own, true, comma)
	case *ast.MappingValueNode:
		return c.entries([]*ast.MappingValueNode{target}, own, true, comma)
	}
	return c.fail(n, "<< needs the alias of a map")
}
