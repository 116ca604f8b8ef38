// The tools of {{name}}: each function in main is one. The types of its argument and its
// result become the schemas that every call is checked against.
package main

import (
	"strings"

	"bulkhead"
)

// Args are the arguments of greet.
type Args struct {
	Name string `json:"name" doc:"Who is greeted." max:"100"`
}

// Greeting is the result of greet.
type Greeting struct {
	Greeting string `json:"greeting" doc:"What to say."`
}

func greet(args Args) (Greeting, error) {
	name := strings.TrimSpace(args.Name)
	if name == "" {
		return Greeting{}, bulkhead.Error{Code: "EMPTY_NAME", Message: "The name is empty; ask who is to be greeted."}
	}
	return Greeting{Greeting: "Hello, " + name + "!"}, nil
}

func main() {
	bulkhead.Serve(bulkhead.Tool("greet", "Greets somebody by name.", greet,
		bulkhead.Title("Greet"), bulkhead.ReadOnly, bulkhead.ClosedWorld))
}
