package bulkhead

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The test binary is a command too, so that a test sees what the host does.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_AS_COMMAND") == "1" {
		Serve(tools...)
	}
	os.Exit(m.Run())
}

type greeting struct {
	Name  string   `json:"name" doc:"Whom to greet." min:"1" max:"40" pattern:"^[a-z]+$"`
	Times int      `json:"times" min:"1" max:"3" default:"1"`
	Tone  string   `json:"tone" enum:"kind,rude" default:"kind"`
	Tags  []string `json:"tags,omitempty" enum:"a,b" max:"4"`
	Note  *string  `json:"note"`
}

type empty struct{}

type list struct {
	Items []int `json:"items"`
}

func greet(args greeting) (string, error) {
	if args.Tone == "rude" {
		return "", Error{Code: "TOO_RUDE", Message: "No.", RetryAfter: 1500 * time.Millisecond, Details: map[string]any{"tone": args.Tone}}
	}
	fmt.Print("for the log")
	return strings.Repeat("Hello "+args.Name+".", args.Times), nil
}

var tools = []Definition{
	Tool("greet", "Greets.", greet, Title("Greeting"), ReadOnly, ClosedWorld),
	Tool("list", "Lists nothing.", func(empty) (list, error) { return list{}, nil }),
	Tool("wrapped", "Fails.", func(empty) (*list, error) { return nil, fmt.Errorf("while: %w", Error{Code: "INNER", Message: "x"}) }),
	Tool("pointer", "Fails.", func(empty) (string, error) { return "", &Error{Code: "POINTED", Message: "x"} }),
	Tool("foreign", "Fails.", func(empty) (string, error) { return "", errors.New("disk \xff") }),
	Tool("panics", "Panics.", func(empty) (string, error) { return "", errors.New([]string{}[len(os.Args)-2]) }),
	Tool("nan", "Has no JSON.", func(empty) (map[string]float64, error) { return map[string]float64{"x": math.NaN()}, nil }),
	Tool("details", "Has details without JSON.", func(empty) (string, error) {
		return "", Error{Code: "ODD", Message: "x", Details: map[string]any{"f": func() {}}}
	}),
	Tool("bytes", "Is not UTF-8.", func(empty) (string, error) { return "a\xffb", nil }),
}

// run is one call as the host makes it: what was printed, and on which line of
// standard error the failure stands.
func run(t *testing.T, tool, stdin string, variables ...string) (stdout, lastLine, stderr string) {
	t.Helper()
	command := exec.Command(os.Args[0], tool)
	command.Env = append(variables, "TEST_AS_COMMAND=1")
	command.Stdin = strings.NewReader(stdin)
	var out, log strings.Builder
	command.Stdout, command.Stderr = &out, &log
	err := command.Run()
	lines := strings.Split(strings.TrimRight(log.String(), "\n"), "\n")
	if err != nil {
		lastLine = lines[len(lines)-1]
	}
	return out.String(), lastLine, log.String()
}

func TestACallAnswersOnStandardOutputAlone(t *testing.T) {
	stdout, _, stderr := run(t, "greet", `{"name": "ada", "times": 2.0}`)
	if stdout != "Hello ada.Hello ada." || stderr != "for the log" {
		t.Errorf("%q, %q", stdout, stderr)
	}
}

func TestFailuresAreTheLastLine(t *testing.T) {
	for tool, want := range map[string]string{
		"wrapped": `{"code":"INNER","message":"x","retryable":false}`,
		"pointer": `{"code":"POINTED","message":"x","retryable":false}`,
		"foreign": `{"code":"TOOL_FAILED","message":"The tool failed at something of its own. The operator's log says more.","retryable":false}`,
		"panics":  `{"code":"TOOL_PANICKED","message":"The tool failed at a mistake of its own. The server's log has more.","retryable":false}`,
		"details": `{"code":"ODD","message":"x","retryable":false}`,
		"nobody":  `{"code":"TOOL_FAILED","message":"The one argument must be the name of a tool of this program.","retryable":false}`,
	} {
		if stdout, last, _ := run(t, tool, "{}"); last != want || stdout != "" {
			t.Errorf("%s: %q and %s", tool, stdout, last)
		}
	}
	want := `{"code":"TOO_RUDE","message":"No.","retryable":true,"retryAfterMs":1500,"details":{"tone":"rude"}}`
	if _, last, _ := run(t, "greet", `{"name":"a","tone":"rude"}`); last != want {
		t.Error(last)
	}
	if _, last, _ := run(t, "nan", "{}"); !strings.Contains(last, "TOOL_FAILED") {
		t.Error(last)
	}
}

func TestAForeignErrorIsInTheLogAlone(t *testing.T) {
	if _, last, stderr := run(t, "foreign", "{}"); !strings.Contains(stderr, "disk \xff") || strings.Contains(last, "disk") {
		t.Errorf("%q, then %s", stderr, last)
	}
}

func TestTheUsualErrorsHaveTheirCodes(t *testing.T) {
	for code, err := range map[string]Error{
		"SALES_ORDER_NOT_FOUND":   NotFound("sales order"),
		"CONFLICT":                Conflict("x"),
		"INVALID_INPUT":           Invalid("x"),
		"TEMPORARILY_UNAVAILABLE": Unavailable(time.Second),
	} {
		if err.Code != code {
			t.Errorf("%s: %s", code, err.Code)
		}
	}
	if got := string(wire(Unavailable(1500 * time.Microsecond))); !strings.Contains(got, `"retryAfterMs":2`) {
		t.Error(got)
	}
}

func TestAPanicIsInTheLog(t *testing.T) {
	if _, _, stderr := run(t, "panics", "{}"); !strings.Contains(stderr, "panic: runtime error: index out of range") || !strings.Contains(stderr, "bulkhead_test.go") {
		t.Error(stderr)
	}
}

func TestTextIsUTF8AndNoListIsNull(t *testing.T) {
	if stdout, _, _ := run(t, "bytes", "{}"); stdout != "a\uFFFDb" {
		t.Errorf("%q", stdout)
	}
	if stdout, _, _ := run(t, "list", "{}"); stdout != `{"items":[]}` {
		t.Errorf("%q", stdout)
	}
}

func TestAProgramDescribesItsTools(t *testing.T) {
	stdout, _, _ := run(t, "", "", "BULKHEAD_DESCRIBE=1")
	var manifest struct {
		Command []jsontext.Value `json:"command"`
	}
	if err := json.Unmarshal([]byte(stdout), &manifest); err != nil || len(manifest.Command) != len(tools) {
		t.Fatal(err, stdout)
	}
	got := manifest.Command[0]
	if err := got.Compact(); err != nil {
		t.Fatal(err)
	}
	want := `{"name":"greet","title":"Greeting","description":"Greets.","input_schema":{"type":"object","properties":{` +
		`"name":{"type":"string","description":"Whom to greet.","minLength":1,"maxLength":40,"pattern":"^[a-z]+$"},` +
		`"times":{"type":"integer","minimum":1,"maximum":3,"default":1},` +
		`"tone":{"type":"string","enum":["kind","rude"],"default":"kind"},` +
		`"tags":{"type":"array","items":{"type":"string","enum":["a","b"]},"maxItems":4},` +
		`"note":{"type":["string","null"]}},"required":["name"],"additionalProperties":false},` +
		`"stdin":"json","stdout":"text","args":["greet"],"annotations":{"open_world":false,"read_only":true}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestArgumentsThatDoNotFitAreInvalid(t *testing.T) {
	for _, arguments := range []string{``, `[]`, `{"name": 7}`, `{"name": "a", "times": 1e30}`, `{"name": "a", "more": 1}`} {
		_, err := tools[0].Call(arguments)
		if known, is := err.(Error); !is || known.Code != "INVALID_INPUT" {
			t.Errorf("%s: %v", arguments, err)
		}
	}
}

func TestSchemasOfTypes(t *testing.T) {
	type embedded struct {
		Inner uint8 `json:"inner"`
	}
	for _, test := range []struct {
		tool Definition
		want string // The properties of the arguments, or the error.
	}{
		{with[struct{ embedded }](), `{"inner":{"type":"integer","minimum":0,"maximum":255}}`},
		{with[struct{ T time.Time }](), `{"T":{"type":"string","format":"date-time"}}`},
		{with[struct{ B []byte }](), `{"B":{"type":"string","contentEncoding":"base64"}}`},
		{with[struct{ M map[string]int8 }](), `{"M":{"type":"object","additionalProperties":{"type":"integer","minimum":-128,"maximum":127}}}`},
		{with[struct{ A [2]bool }](), `{"A":{"type":"array","items":{"type":"boolean"},"minItems":2,"maxItems":2}}`},
		{with[struct {
			V any
			R jsontext.Value
		}](), `{"V":{},"R":{}}`},
		{with[struct {
			P *int `enum:"1,2"`
		}](), `{"P":{"type":["integer","null"],"enum":[1,2,null]}}`},
		{with[struct {
			hidden int
			Not    int `json:"-"`
		}](), `{}`},
		{with[struct{ C chan int }](), "C: chan int has no JSON form"},
		{with[struct{ N *node }](), "contains itself"},
		{with[struct {
			I int `json:",string"`
		}](), "cannot express `string`"},
		{with[struct {
			I int `default:"x"`
		}](), "the default `x`"},
		{with[struct {
			I int `min:"low"`
		}](), "min `low` is not a number"},
		{with[struct {
			B bool `max:"1"`
		}](), "max has no meaning"},
		{with[string](), "string is not a struct"},
	} {
		schema, err := argumentsSchema(test.tool.arguments)
		got := fmt.Sprint(err)
		if err == nil {
			text, err := json.Marshal(schema.Properties)
			if err != nil {
				t.Fatal(err)
			}
			got = string(text)
		}
		if got != test.want && (err == nil || !strings.Contains(got, test.want)) {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

type node struct{ Next *node }

// with is a tool with such arguments.
func with[A any]() Definition {
	return Tool("t", "T.", func(A) (string, error) { return "", nil })
}

func TestDefaultsAreFilledInAtEveryDepth(t *testing.T) {
	type inner struct {
		N int `json:"n" default:"7"`
	}
	type outer struct {
		List []inner          `json:"list"`
		Map  map[string]inner `json:"map"`
		Text string           `json:"text" default:"a, b"`
		Some []int            `json:"some" default:"[1]"`
	}
	tool := Tool("t", "T.", func(args outer) (outer, error) { return args, nil })
	got, err := tool.Call(`{"list": [{}, {"n": 1}], "map": {"k": {}}}`)
	if want := `{"list":[{"n":7},{"n":1}],"map":{"k":{"n":7}},"text":"a, b","some":[1]}`; got != want || err != nil {
		t.Error(got, err)
	}
}
