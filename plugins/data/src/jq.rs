//! jq: compiles a query and runs it, both with errors that a model can act on.

use bulkhead_sdk::prelude::*;
use bulkhead_sdk::{RawValue, Value};
use jaq_core::compile::Undefined;
use jaq_core::data::JustLut;
use jaq_core::load::parse::Def;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::native::Fun;
use jaq_core::{Compiler, Ctx, Filter, Vars};
use jaq_json::Val;
use serde::Serialize;

use crate::json;

/// The largest query, in words and signs. Compiling recurses for each level of
/// nesting, pipes and minus signs included; the stack that wasmtime gives a guest,
/// 512 KiB, ends at about 600 levels.
const MAX_TOKENS: usize = 500;

/// The longest part of a message that comes from a value.
const MAX_MESSAGE_CHARS: usize = 300;

/// What a query yields.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Results {
    /// Whether the query yields more results than were returned.
    pub(crate) truncated: bool,
    /// The results, in order.
    #[schemars(with = "Vec<Value>")]
    pub(crate) results: Vec<Box<RawValue>>,
}

/// How many results a query returns, unless it is said.
pub(crate) fn default_limit() -> usize {
    100
}

/// Runs a query over each of the inputs, until there are `limit` results.
///
/// # Errors
/// `INVALID_QUERY` with the position, `QUERY_FAILED`.
pub(crate) fn run(
    query: &str,
    inputs: impl IntoIterator<Item = Val>,
    limit: usize,
) -> Result<Results, ToolError> {
    let filter = compile(query)?;
    let context = || Ctx::<JustLut<Val>>::new(&filter.lut, Vars::new([]));
    let mut results = Vec::new();
    for result in inputs.into_iter().flat_map(|input| filter.id.run((context(), input))) {
        match result {
            Ok(_) if results.len() == limit => {
                return Ok(Results { truncated: true, results });
            }
            Ok(value) => results.push(json::write(&value)?),
            Err(exception) => match exception.get_err() {
                Ok(error) => return Err(failed(&error.into_val())),
                // `halt` ends the query with what it has yielded.
                Err(_) => break,
            },
        }
    }
    Ok(Results { truncated: false, results })
}

/// Compiles with as little of jq's library as the query needs.
///
/// A fresh instance parses the library for each call, which costs more than most
/// queries: nothing for `.a[0].b`, 2 M fuel for `map` and `select`, 7 M fuel for
/// all of it. What is missing shows as an undefined name. A query means the same
/// at each step, because the library redefines no native function; pinned by
/// `the_library_hides_no_native_function`.
fn compile(query: &str) -> Result<Filter<JustLut<Val>>, ToolError> {
    if token_count(query) > MAX_TOKENS {
        let message = format!("The query has more than {MAX_TOKENS} words and signs.");
        return Err(ToolError::new("INVALID_QUERY", message));
    }
    let arena = Arena::default();
    let load = |library: Vec<Def>| {
        let file = File { code: query, path: () };
        let modules = Loader::new(library).load(&arena, file);
        modules.map_err(|errors| invalid(query, errors, from_load))
    };
    let link = |modules| Compiler::default().with_funs(natives()).compile(modules);
    let core = || jaq_core::defs();
    let all = || core().chain(jaq_std::defs()).chain(jaq_json::defs());
    if let Ok(filter) = link(load(Vec::new())?) {
        return Ok(filter);
    }
    if let Ok(filter) = link(load(core().collect())?) {
        return Ok(filter);
    }
    link(load(all().collect())?).map_err(|errors| invalid(query, errors, from_compile))
}

fn natives() -> impl Iterator<Item = Fun<JustLut<Val>>> {
    jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs())
}

/// Words and signs, those in strings included: at least as many as a query has
/// levels of nesting.
fn token_count(query: &str) -> usize {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let words = query.split(|c| !word(c)).filter(|word| !word.is_empty());
    let signs = query.chars().filter(|&c| !word(c) && !c.is_whitespace());
    words.count() + signs.count()
}

/// What is wrong with a query, and the part of it that shows where.
type Problem<'a> = (String, &'a str);

fn from_load(error: load::Error<&str>) -> Option<Problem<'_>> {
    match error {
        load::Error::Io(errors) => {
            let (path, _) = errors.into_iter().next()?;
            Some(("there are no modules to import".to_owned(), path))
        }
        load::Error::Lex(errors) => {
            let (expected, found) = errors.into_iter().next()?;
            Some((format!("expected {}", expected.as_str()), found))
        }
        load::Error::Parse(errors) => {
            let (expected, found) = errors.into_iter().next()?;
            Some((format!("expected {}", expected.as_str()), found))
        }
    }
}

fn from_compile<'a>(errors: Vec<(&'a str, Undefined)>) -> Option<Problem<'a>> {
    let (name, undefined) = errors.into_iter().next()?;
    let kind = undefined.as_str();
    let mut what = format!("there is no {kind} `{name}`");
    if let Undefined::Filter(arity) = undefined {
        what.push_str(&format!(" with {arity} arguments"));
    }
    Some((what, name))
}

/// The first problem, as an error with its position.
fn invalid<'a, E>(
    query: &'a str,
    errors: load::Errors<&'a str, (), E>,
    problem: impl Fn(E) -> Option<Problem<'a>>,
) -> ToolError {
    // A problem in the library, which has no place in the query, would be ours.
    let in_query = errors.into_iter().filter(|(file, _)| file.code == query);
    let mut problems = in_query.filter_map(|(_, error)| problem(error));
    let Some((what, part)) = problems.next() else {
        return ToolError::new("INVALID_QUERY", "The query is not valid jq.");
    };
    let before = query.get(..load::span(query, part).start).unwrap_or(query);
    let position = before.chars().count() + 1;
    ToolError::new(
        "INVALID_QUERY",
        format!("The query is not valid jq at character {position}: {what}."),
    )
    .detail("position", position)
}

/// What the query ran into, or raised with `error`. It may hold a whole input.
fn failed(error: &Val) -> ToolError {
    let message = if let Val::TStr(text) = error {
        String::from_utf8_lossy(text).into_owned()
    } else {
        error.to_string()
    };
    let mut shown: String = message.chars().take(MAX_MESSAGE_CHARS).collect();
    if shown.len() < message.len() {
        shown.push('…');
    }
    ToolError::new("QUERY_FAILED", format!("The query failed: {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, input: &str, expected: &str) {
        let results = run(query, json::read(input).unwrap(), 100).unwrap();
        let results: Vec<&str> = results.results.iter().map(|json| json.get()).collect();
        assert_eq!(results.join(" "), expected, "{query}");
    }

    #[track_caller]
    fn check_error(query: &str, code: &str, message: &str) {
        let error = run(query, [Val::Null], 100).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(message), "{error}");
    }

    #[test]
    fn queries_of_every_library() {
        check(".a[1].b", r#"{"a": [1, {"b": "x"}]}"#, r#""x""#);
        check("map(select(. > 1))", "[1, 2, 3]", "[2,3]");
        check("group_by(.k) | map(length)", r#"[{"k":1},{"k":2},{"k":1}]"#, "[2,1]");
        check("[.[] | tonumber] | add", r#"["1", "2.5"]"#, "3.5");
        check("def f: . * 2; f", "4", "8");
        check(r#"gsub("a+"; "b")"#, r#""caat""#, r#""cbt""#);
        check(r#"@base64, @html "<\(.)>""#, r#""<""#, r#""PA==" "<&lt;>""#);
    }

    #[test]
    fn what_went_in_comes_out() {
        let json = r#"{"z":1,"a":[12345678901234567890123,-0.10,1E400,"\u0001é"],"":null}"#;
        check(".", json, json);
        check("[infinite, nan]", "null", "[null,null]");
    }

    #[test]
    fn each_input_is_queried() {
        check(". + 1", "1 2\n3", "2 3 4");
        check("1, halt, 2", "null", "1");
    }

    #[test]
    fn the_limit_ends_an_endless_query() {
        let results = run("repeat(1)", [Val::Null], 3).unwrap();
        assert_eq!((results.results.len(), results.truncated), (3, true));
        assert!(!run("1, 2, 3", [Val::Null], 3).unwrap().truncated);
    }

    #[test]
    fn an_invalid_query_is_located() {
        check_error("", "INVALID_QUERY", "at character 1: expected term");
        check_error(r#"."é" | ]"#, "INVALID_QUERY", "at character 8");
        check_error(".a | (.b", "INVALID_QUERY", "expected closing parenthesis");
        check_error(
            "map(foo(1))",
            "INVALID_QUERY",
            "at character 5: there is no filter `foo` with 1 arguments",
        );
        check_error("$x", "INVALID_QUERY", "there is no variable `$x`");
        check_error("$ENV.HOME", "INVALID_QUERY", "there is no variable `$ENV`");
        check_error(r#"import "x" as x; 1"#, "INVALID_QUERY", "no modules");
    }

    #[test]
    fn a_query_is_bounded() {
        check(&("1".to_owned() + &"|1".repeat(30)), "null", "1");
        check_error(&("-".repeat(500) + "1"), "INVALID_QUERY", "more than 500 words and signs");
        check_error(&"[".repeat(501), "INVALID_QUERY", "more than 500 words and signs");
    }

    #[test]
    fn a_failing_query_says_why() {
        check_error(r#"error("no luck")"#, "QUERY_FAILED", "The query failed: no luck");
        check_error("[1] | .a", "QUERY_FAILED", "cannot index [1] with \"a\"");
        check_error("{(1|tostring): 1} | {(\"a\"|length): 2}", "QUERY_FAILED", "key");
        let error = failed(&Val::from("x".repeat(10_000)));
        assert!(error.message.chars().count() < 350);
    }

    #[test]
    fn the_library_hides_no_native_function() {
        let natives: Vec<_> =
            natives().map(|(name, arguments, _)| (name, arguments.len())).collect();
        let library = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        for definition in library {
            let name = (definition.name, definition.args.len());
            assert!(!natives.contains(&name), "{name:?}");
        }
    }
}
