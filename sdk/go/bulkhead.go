// Package bulkhead makes tools of Go functions.
//
// A program is a WASI command that the host runs once for each call: the tool's
// name in its arguments, the call's arguments as JSON on standard input, the
// result on standard output. At build time the host runs it with
// BULKHEAD_DESCRIBE=1, and it prints what its tools are called, what they do,
// and the schemas that follow from their types.
package bulkhead

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Definition is one tool: a function, and what a model reads about it.
type Definition struct {
	name, description, title string
	annotations              map[string]bool
	arguments, result        reflect.Type
	run                      func(arguments []byte) ([]byte, error)
}

// Tool defines a tool. Its arguments are a struct, and its result is a string
// (text) or a struct or map (a structured result that has an output schema).
func Tool[A, R any](name, description string, run func(A) (R, error), options ...Option) Definition {
	tool := Definition{
		name: name, description: description, annotations: map[string]bool{},
		arguments: reflect.TypeFor[A](), result: reflect.TypeFor[R](), run: encoded(run),
	}
	for _, option := range options {
		option(&tool)
	}
	return tool
}

// Option says more about a tool.
type Option func(*Definition)

// Title is a name for people.
func Title(title string) Option {
	return func(tool *Definition) { tool.title = title }
}

// What a tool does to the world. These are hints to clients and their users; what
// a caller may do is decided by the operator's scopes.
var (
	// ReadOnly changes nothing.
	ReadOnly = annotation("read_only", true)
	// NotDestructive adds, and neither deletes nor overwrites.
	NotDestructive = annotation("destructive", false)
	// Idempotent has no further effect when it is called again in the same way.
	Idempotent = annotation("idempotent", true)
	// ClosedWorld depends on nothing outside of the host.
	ClosedWorld = annotation("open_world", false)
)

func annotation(name string, value bool) Option {
	return func(tool *Definition) { tool.annotations[name] = value }
}

// Error is a failure that the caller can reason about. All of it reaches the
// agent. Of any other error the agent learns only that the tool failed
// (TOOL_FAILED), since its text may be a path or a query: that goes to the
// operator's log.
type Error struct {
	// Code names the kind of failure: 3 to 64 of A-Z, 0-9 and _, starting with a
	// letter. The host replaces a code of another shape, and its own codes.
	Code string
	// Message is a sentence or two that a model can act on.
	Message string
	// Retryable says that the same call may succeed later.
	Retryable bool
	// RetryAfter says how much later, in whole milliseconds, and implies Retryable.
	RetryAfter time.Duration
	// Details are for a program.
	Details map[string]any
}

// Error is the code and the message.
func (e Error) Error() string { return e.Code + ": " + e.Message }

// NotFound is RECORD_NOT_FOUND for "record": what was named does not exist.
func NotFound(what string) Error {
	kind := strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(what))
	return Error{Code: kind + "_NOT_FOUND", Message: "There is no such " + what + "."}
}

// Conflict is CONFLICT: the request is right but does not fit the present state.
func Conflict(message string) Error { return Error{Code: "CONFLICT", Message: message} }

// Invalid is INVALID_INPUT: the arguments match the schema and still make no sense.
func Invalid(message string) Error { return Error{Code: "INVALID_INPUT", Message: message} }

// Unavailable is TEMPORARILY_UNAVAILABLE: what the tool needs is expected back then.
func Unavailable(retryAfter time.Duration) Error {
	return Error{
		Code:       "TEMPORARILY_UNAVAILABLE",
		Message:    "What this tool depends on is not available right now.",
		RetryAfter: retryAfter,
	}
}

// Serve answers the one call that this process was started for, and exits. It
// describes the tools instead where BULKHEAD_DESCRIBE is 1.
//
// A panic in a goroutine that a tool started, a deadlock and a lack of memory
// cannot be recovered from: they end the process with Go's own trace on standard error.
func Serve(tools ...Definition) {
	stdout := os.Stdout
	// What a tool prints is for the log: only its result may be taken for one.
	os.Stdout = os.Stderr
	answer := call
	if os.Getenv("BULKHEAD_DESCRIBE") == "1" {
		answer = describe
	}
	output, err := answer(tools, os.Args[1:], os.Stdin)
	if err == nil {
		_, err = stdout.Write(output)
	}
	if err != nil {
		// On a line of its own, whatever the tool printed before: the host reads the last one.
		fmt.Fprintf(os.Stderr, "\n%s\n", wire(err))
		os.Exit(1)
	}
	os.Exit(0)
}

// Call runs the tool as the host does, with its arguments as JSON, and returns
// its text or the JSON of its result. It fills in defaults, but leaves it to the
// host to check the arguments against the schema.
func (tool Definition) Call(arguments string) (output string, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			// For the operator. A panic tells the agent nothing, since its author
			// did not write it for one.
			fmt.Fprintf(os.Stderr, "panic: %v\n\n%s", cause, debug.Stack())
			err = Error{Code: "TOOL_PANICKED", Message: "The tool failed at a mistake of its own. The server's log has more."}
		}
	}()
	schema, err := argumentsSchema(tool.arguments)
	if err != nil {
		return "", err
	}
	complete, err := schema.complete(jsontext.Value(arguments))
	if err != nil {
		return "", invalid(err)
	}
	result, err := tool.run(complete)
	return string(result), err
}

// encoded is a tool's function as one from JSON to what the host reads.
func encoded[A, R any](run func(A) (R, error)) func([]byte) ([]byte, error) {
	return func(arguments []byte) ([]byte, error) {
		var decoded A
		if err := json.Unmarshal(arguments, &decoded, json.RejectUnknownMembers(true)); err != nil {
			return nil, invalid(err)
		}
		result, err := run(decoded)
		if err != nil {
			return nil, err
		}
		if value := reflect.ValueOf(result); value.Kind() == reflect.String {
			return []byte(strings.ToValidUTF8(value.String(), "\uFFFD")), nil
		}
		return json.Marshal(result, jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	}
}

// invalid is about arguments that match the schema and still have no place in
// their Go type, such as an integer of twenty digits.
func invalid(err error) Error {
	return Error{Code: "INVALID_INPUT", Message: "The arguments do not fit the tool: " + err.Error() + "."}
}

// call runs the tool that the one argument names. A program with one tool needs
// no argument, so that its author can run it by hand.
func call(tools []Definition, arguments []string, stdin io.Reader) ([]byte, error) {
	at := slices.IndexFunc(tools, func(tool Definition) bool { return slices.Equal(arguments, []string{tool.name}) })
	if at < 0 && len(tools) == 1 && len(arguments) == 0 {
		at = 0
	}
	if at < 0 {
		return nil, Error{Code: "TOOL_FAILED", Message: "The one argument must be the name of a tool of this program."}
	}
	input, err := io.ReadAll(stdin)
	if err != nil {
		return nil, err
	}
	output, err := tools[at].Call(string(input))
	return []byte(output), err
}

// described is a tool as the manifest of a command has it.
type described struct {
	Name         string          `json:"name"`
	Title        string          `json:"title,omitzero"`
	Description  string          `json:"description"`
	InputSchema  *schema         `json:"input_schema"`
	OutputSchema *schema         `json:"output_schema,omitzero"`
	Stdin        string          `json:"stdin"`
	Stdout       string          `json:"stdout"`
	Args         []string        `json:"args"`
	Annotations  map[string]bool `json:"annotations,omitempty"`
}

func describe(tools []Definition, _ []string, _ io.Reader) ([]byte, error) {
	commands := []described{}
	for _, tool := range tools {
		input, err := argumentsSchema(tool.arguments)
		if err != nil {
			return nil, undescribed("the arguments", tool, err)
		}
		output, err := resultSchema(tool.result)
		if err != nil {
			return nil, undescribed("the result", tool, err)
		}
		stdout := "json"
		if output == nil {
			stdout = "text"
		}
		commands = append(commands, described{
			Name: tool.name, Title: tool.title, Description: tool.description,
			InputSchema: input, OutputSchema: output, Stdin: "json", Stdout: stdout,
			Args: []string{tool.name}, Annotations: tool.annotations,
		})
	}
	type manifest struct {
		Command []described `json:"command"`
	}
	return json.Marshal(manifest{commands}, json.Deterministic(true), jsontext.Multiline(true))
}

// undescribed is for the author, who builds the plugin.
func undescribed(what string, tool Definition, err error) Error {
	return Error{Code: "TOOL_FAILED", Message: fmt.Sprintf("%s of %s: %v", what, tool.name, err)}
}

// wire is an error as the host reads it from the last line of standard error. What
// nobody wrote for an agent is printed there before it, for the operator.
func wire(err error) []byte {
	type failure struct {
		Code         string         `json:"code"`
		Message      string         `json:"message"`
		Retryable    bool           `json:"retryable"`
		RetryAfterMs int64          `json:"retryAfterMs,omitzero"`
		Details      map[string]any `json:"details,omitempty"`
	}
	known := Error{Code: "TOOL_FAILED", Message: "The tool failed at something of its own. The operator's log says more."}
	if value, is := errors.AsType[Error](err); is {
		known = value
	} else if pointer, is := errors.AsType[*Error](err); is {
		known = *pointer
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	// Rounded up: whoever waits so long is not too early.
	wait := (known.RetryAfter + time.Millisecond - 1).Milliseconds()
	sent := failure{known.Code, known.Message, known.Retryable || known.RetryAfter > 0, wait, known.Details}
	options := json.JoinOptions(jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	line, err := json.Marshal(sent, options)
	if err != nil {
		// Details without a JSON form must not cost the agent the code and the message.
		sent.Details = nil
		line, _ = json.Marshal(sent, options)
	}
	return line
}
