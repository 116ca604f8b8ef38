use super::super::docs::Docs;
use super::super::{package_docs_of, schema};
use super::types::parameters;

const WIT: &str = r#"
package example:text@0.1.0;

interface words {
    /// How often a word is there.
    record entry {
        /// The word,
        /// in lower case.
        word: string,
        count: u32,
    }

    enum order {
        /// As they come.
        none,
        up,
    }

    /// Counts the words of a text.
    count: func(text: string) -> list<entry>;
    other: func();
}

world w {
    /// Greets.
    export greet: func() -> string;
    export words;
}
"#;

#[test]
fn comments_become_descriptions() {
    let docs = Docs::from_wit(WIT).unwrap();
    let words = Some("example:text/words@0.1.0");
    assert_eq!(docs.of_function(words, "count"), Some("Counts the words of a text."));
    assert_eq!(docs.of_function(words, "other"), None);
    assert_eq!(docs.of_function(None, "greet"), Some("Greets."));
    assert_eq!(docs.of_function(Some("words"), "count"), docs.of_function(words, "count"));
    assert_eq!(docs.of_function(None, "count"), None);

    let interface = r#"
        (type $e (record (field "word" string) (field "count" u32)))
        (export "entry" (type $entry (eq $e)))
        (type $o (enum "none" "up"))
        (export "order" (type $order (eq $o)))
        (export "f" (func (param "entries" (list $entry)) (param "order" (option $order))))"#;
    let schema = schema::object(&parameters(interface, &docs).unwrap());
    let entry = &schema["properties"]["entries"]["items"];
    assert_eq!(entry["description"], "How often a word is there.");
    assert_eq!(entry["properties"]["word"]["description"], "The word,\nin lower case.");
    assert_eq!(entry["properties"]["count"].get("description"), None);
    let order = &schema["properties"]["order"]["anyOf"][0];
    assert_eq!(order["description"], "`none`: As they come.");
}

#[test]
fn documentation_that_cannot_be_read_is_told() {
    let large = vec![1; 300_000];
    let deep = format!("\u{1}{}", "{\"worlds\":".repeat(1_000));
    for bytes in
        [&b""[..], b"\x02{}", b"\x01", b"\x01[", b"\x01{\"worlds\":7}", &large, deep.as_bytes()]
    {
        assert!(Docs::from_section(bytes).is_err());
    }
    assert!(
        Docs::from_section(b"\x00{\"interfaces\":{\"i\":{\"funcs\":{\"f\":\"Does.\"}}}}").is_ok()
    );
    for text in ["", "package a;", "package a:b; world w { import c:d/e; }", "interface"] {
        assert!(Docs::from_wit(text).is_err(), "{text}");
    }
    let hostile = b"\x01{\"worlds\":{\"w\":{\"funcs\":{\"f\":{\"docs\":\"a\x5cu001b[2Jb\"}}}}}";
    assert_eq!(Docs::from_section(hostile).unwrap().of_function(None, "f"), Some("ab"));
}

#[test]
fn a_folder_of_wit_becomes_one_section_that_others_can_read() {
    let folder = std::env::temp_dir().join(format!("bulkhead-wit-{}", std::process::id()));
    let deps = folder.join("deps/other");
    std::fs::create_dir_all(&deps).unwrap();
    std::fs::write(
        folder.join("a.wit"),
        WIT.replace("export words;", "export words; export other:x/y;"),
    )
    .unwrap();
    let other = "package other:x; interface y { /// Is elsewhere.\n there: func(); }";
    let unused = folder.join("deps/unused");
    std::fs::create_dir_all(&unused).unwrap();
    std::fs::write(unused.join("z.wit"), "package unused:x; interface z { /// No.\n f: func(); }")
        .unwrap();
    std::fs::write(deps.join("x.wit"), other).unwrap();
    let section = package_docs_of(&folder);
    std::fs::remove_dir_all(&folder).unwrap();
    let section = section.unwrap();
    assert!(wit_parser::PackageMetadata::decode(&section).is_ok());
    let docs = Docs::from_section(&section).unwrap();
    assert_eq!(docs.of_function(Some("other:x/y"), "there"), Some("Is elsewhere."));
    assert_eq!(docs.of_function(Some("unused:x/z"), "f"), None);
    assert_eq!(
        docs.of_function(Some("example:text/words@0.1.0"), "count"),
        Some("Counts the words of a text.")
    );
    let mine = Docs::from_section(
        b"\x01{\"worlds\":{\"w\":{\"funcs\":{\"greet\":{\"docs\":\"Mine.\"}}}}}",
    )
    .unwrap();
    let merged = mine.merge(docs);
    assert_eq!(merged.of_function(None, "greet"), Some("Mine."));
    assert_eq!(merged.of_function(Some("other:x/y"), "there"), Some("Is elsewhere."));
    assert!(package_docs_of(&folder).is_err());
}

#[test]
fn hostile_wit_is_answered() {
    let chain = |line: fn(usize) -> String| -> String {
        let lines: String = (0..5_000).map(line).collect();
        format!("package a:b; interface i {{ type t5000 = u8; {lines} }}")
    };
    let uses = |count: usize| {
        let used = |at| format!("interface i{at} {{ use i{}.{{t}}; }}", at + 1);
        let lines: String = (0..count).map(used).collect();
        format!(
            "package a:b; {lines} interface i{count} {{ type t = u8; }} world w {{ export i0; }}"
        )
    };
    let includes = |count: usize| {
        let line = |at| format!("world w{at} {{ include w{}; }}", at + 1);
        let lines: String = (0..count).map(line).collect();
        format!("package a:b; {lines} world w{count} {{ export f: func(); }}")
    };
    let lists = format!("{}u8{}", "list<".repeat(10_000), ">".repeat(10_000));
    let rows = [
        (chain(|at| format!("type t{at} = t{};", at + 1)), true),
        (chain(|at| format!("record t{at} {{ f: t{} }}", at + 1)), true),
        (uses(6_000), false),
        (uses(498), true),
        (includes(6_000), false),
        (includes(499), true),
        (format!("package a:b; interface i {{ type t = {lists}; }}"), false),
        (format!("package a:b; {}", "package a:b { ".repeat(10_000)), false),
    ];
    // With half the stack that the threads have on which plugins are loaded.
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    let read = move || {
        for (text, is_read) in rows {
            assert_eq!(Docs::from_wit(&text).is_ok(), is_read, "{text:.80}");
        }
    };
    thread.spawn(read).unwrap().join().unwrap();
}

proptest::proptest! {
    #[test]
    fn any_section_gets_an_answer(bytes: Vec<u8>, json in r#"[\[\]{}",:a-z]{0,64}"#) {
        let _ = Docs::from_section(&bytes);
        let _ = Docs::from_section(format!("\u{1}{json}").as_bytes());
        let _ = Docs::from_wit(&json);
    }
}
