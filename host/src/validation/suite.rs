//! The official JSON-Schema-Test-Suite, draft 2020-12, in numbers.
//!
//! Each schema is compiled as an input schema is, but for the object at its root. The
//! tables are asserted, so that a change of what is accepted shows, whoever makes it: an
//! edit here, or a new version of the library.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jsonschema::Validator;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::nodes::Exact;
use super::schema;
use super::tree::Tree;

#[derive(Deserialize)]
struct Group<'a> {
    description: String,
    // Texts, so that numbers stay as they are written.
    #[serde(borrow)]
    schema: &'a RawValue,
    #[serde(borrow)]
    tests: Vec<Case<'a>>,
}

#[derive(Deserialize)]
struct Case<'a> {
    description: String,
    #[serde(borrow)]
    data: &'a RawValue,
    valid: bool,
}

/// What became of the cases of one file.
#[derive(Default)]
struct Count {
    right: usize,
    refused: usize,
    wrong: usize,
}

impl Count {
    fn add(&mut self, other: &Self) {
        self.right += other.right;
        self.refused += other.refused;
        self.wrong += other.wrong;
    }
}

/// Everything that differs from the suite, by file.
struct Run {
    counts: BTreeMap<String, Count>,
    /// Why schemas were refused at load, and of how many cases.
    refusals: BTreeMap<&'static str, usize>,
    wrong: Vec<String>,
}

fn run() -> Run {
    let text = include_str!("../../../tests/json-schema/draft2020-12.json");
    let files: BTreeMap<String, Vec<Group<'_>>> = serde_json::from_str(text).unwrap();
    let (mut counts, mut refusals, mut wrong) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (file, groups) in files {
        let count: &mut Count = counts.entry(file.clone()).or_default();
        for group in groups {
            let compiled: Result<Validator<Exact>, String> =
                schema::read(group.schema.get()).and_then(|schema| schema::compile(&schema));
            let validator = match compiled {
                Ok(validator) => validator,
                Err(why) => {
                    count.refused += group.tests.len();
                    *refusals.entry(reason(&why)).or_default() += group.tests.len();
                    continue;
                }
            };
            for case in group.tests {
                let accepted = Tree::read(case.data.get()).map(|tree| validator.is_valid(&tree));
                if accepted == Ok(case.valid) {
                    count.right += 1;
                } else {
                    count.wrong += 1;
                    wrong.push(format!("{file}: {}: {}", group.description, case.description));
                }
            }
        }
    }
    Run { counts, refusals, wrong }
}

fn reason(why: &str) -> &'static str {
    ["another document", "bounded time", "dialect", "not kept exactly", "not a JSON Schema"]
        .into_iter()
        .find(|reason| why.contains(reason))
        .unwrap_or("something else")
}

/// `FILE right refused wrong`, for the files that a filter takes.
fn table(run: &Run, takes: impl Fn(&str) -> bool) -> String {
    let mut table = String::new();
    for (file, count) in run.counts.iter().filter(|(file, _)| takes(file)) {
        let Count { right, refused, wrong } = count;
        let name = file.rsplit('/').next().unwrap();
        writeln!(table, "{name:<28}{right:>5}{refused:>5}{wrong:>5}").unwrap();
    }
    table
}

fn sum(run: &Run, takes: impl Fn(&str) -> bool) -> (usize, usize, usize) {
    let mut sum = Count::default();
    run.counts.iter().filter(|(file, _)| takes(file)).for_each(|(_, count)| sum.add(count));
    (sum.right, sum.refused, sum.wrong)
}

fn is_required(file: &str) -> bool {
    !file.starts_with("optional/")
}

fn is_format(file: &str) -> bool {
    file.starts_with("optional/format/")
}

#[test]
fn the_suite_in_numbers() {
    let run = run();
    let optional = |file: &str| !is_required(file) && !is_format(file);
    // Right, refused at load, wrong.
    assert_eq!(sum(&run, is_required), (1_106, 132, 19));
    assert_eq!(sum(&run, optional), (138, 20, 0));
    assert_eq!(sum(&run, is_format), (491, 0, 0));
    let refusals =
        [("another document", 126), ("bounded time", 14), ("dialect", 9), ("not kept exactly", 3)];
    assert_eq!(run.refusals, refusals.into());
}

/// A file whose cases are all right is not listed.
#[test]
fn what_differs_from_the_suite_is_known() {
    let run = run();
    let differs =
        |file: &str| run.counts.get(file).is_some_and(|count| count.refused + count.wrong > 0);
    assert_eq!(
        table(&run, differs),
        "\
anchor                          0    8    0
defs                            0    2    0
dynamicRef                      0   42    0
format                        114    0   19
anchor                          0    4    0
bignum                          6    3    0
cross-draft                     0    1    0
dynamicRef                      0    2    0
format-assertion                0    4    0
id                              0    3    0
unknownKeyword                  0    3    0
ref                            37   40    0
refRemote                       0   31    0
unevaluatedItems               64    2    0
unevaluatedProperties         122    2    0
vocabulary                      0    5    0
"
    );
    // The suite's default is to note formats; here they are asserted.
    for wrong in &run.wrong {
        let noted = wrong.starts_with("format: ") && wrong.ends_with("annotation by default");
        assert!(noted, "{wrong}");
    }
}

/// Every format that the suite has cases for is asserted, and right.
#[test]
fn formats_are_asserted() {
    assert_eq!(
        table(&run(), is_format),
        "\
date                           47    0    0
date-time                      25    0    0
duration                       26    0    0
ecmascript-regex                1    0    0
email                          22    0    0
hostname                       25    0    0
idn-email                      10    0    0
idn-hostname                   65    0    0
ipv4                           16    0    0
ipv6                           40    0    0
iri                            15    0    0
iri-reference                  13    0    0
json-pointer                   38    0    0
regex                           8    0    0
relative-json-pointer          18    0    0
time                           45    0    0
unknown                         7    0    0
uri                            26    0    0
uri-reference                  13    0    0
uri-template                   10    0    0
uuid                           21    0    0
"
    );
}
