//! A policy file's statements, each with its place.
//!
//! The file is cut before it is parsed, so that each statement is bounded before a
//! recursive parser sees it, every broken one is reported at once, and a decision can
//! name the line that it rests on.

/// The longest statement, in bytes: an allow-list of a thousand names.
pub(super) const LONGEST_STATEMENT: usize = 64 << 10;

/// How many statements a file may hold: each is looked at for each call.
pub(super) const MOST_STATEMENTS: usize = 1_000;

/// How deep brackets may nest: nobody reads more, and the parser recurses.
pub(super) const DEEPEST_BRACKETS: usize = 64;

/// One statement, up to and with its semicolon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statement<'t> {
    /// Where it begins in the file, in bytes.
    pub(super) start: usize,
    /// Without what stands before it: space and comments.
    pub(super) text: &'t str,
}

/// What is wrong, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) message: String,
}

impl Wrong {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// The statements of `text`. What is not Cedar is in one of them, for the parser to say.
///
/// # Errors
/// Where there are too many, one is too long, or its brackets nest too deep.
pub(super) fn statements(text: &str) -> Result<Vec<Statement<'_>>, Wrong> {
    let mut statements = Vec::new();
    let mut start = None;
    let mut depth = 0_usize;
    let mut bytes = text.bytes().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        if byte == b'/' && bytes.peek().is_some_and(|(_, next)| *next == b'/') {
            while bytes.next_if(|(_, byte)| *byte != b'\n').is_some() {}
            continue;
        }
        if start.is_none() && !byte.is_ascii_whitespace() {
            start = Some(at);
        }
        match byte {
            b'"' => skip_string(&mut bytes),
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b';' => {
                push(&mut statements, text, start.take().unwrap_or(at), at + 1)?;
                depth = 0;
            }
            _ => {}
        }
        if depth > DEEPEST_BRACKETS {
            let message = format!("brackets nest deeper than {DEEPEST_BRACKETS}");
            return Err(Wrong::new(at, message));
        }
    }
    if let Some(start) = start {
        push(&mut statements, text, start, text.len())?;
    }
    Ok(statements)
}

/// Up to the closing quote; a string that never ends takes the rest of the file.
fn skip_string(bytes: &mut impl Iterator<Item = (usize, u8)>) {
    while let Some((_, byte)) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

fn push<'t>(
    to: &mut Vec<Statement<'t>>,
    all: &'t str,
    start: usize,
    end: usize,
) -> Result<(), Wrong> {
    if end - start > LONGEST_STATEMENT {
        let most = LONGEST_STATEMENT >> 10;
        return Err(Wrong::new(start, format!("a statement is longer than {most}KiB")));
    }
    if to.len() == MOST_STATEMENTS {
        let message = format!("there are more than {MOST_STATEMENTS} statements");
        return Err(Wrong::new(start, message));
    }
    // Both ends are at ASCII characters, or at the end.
    to.push(Statement { start, text: all.get(start..end).unwrap_or_default() });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(usize, &str)> {
        let statements = statements(text).unwrap();
        statements.into_iter().map(|statement| (statement.start, statement.text)).collect()
    }

    #[test]
    fn statements_end_at_semicolons_that_are_code() {
        let text = "// one; two\npermit(a); \n@x(\"a;\\\";\") forbid // ;\n(ü);\nrest";
        let expected =
            [(12, "permit(a);"), (24, "@x(\"a;\\\";\") forbid // ;\n(ü);"), (54, "rest")];
        assert_eq!(texts(text), expected);
        assert_eq!(texts(" // nothing\n "), []);
        assert_eq!(texts(";\"never ended;"), [(0, ";"), (1, "\"never ended;")]);
    }

    #[test]
    fn what_is_too_much_is_refused_where_it_is() {
        let deep = format!("{}{}", "(".repeat(64), ")".repeat(64));
        assert!(statements(&deep).is_ok());
        assert_eq!(statements(&"[".repeat(1 << 20)).unwrap_err().at, 64);
        assert!(statements(&format!("{};", "a".repeat(LONGEST_STATEMENT - 1))).is_ok());
        assert!(statements(&format!(" {};", "a".repeat(LONGEST_STATEMENT))).unwrap_err().at == 1);
        assert!(statements(&"a;".repeat(MOST_STATEMENTS)).is_ok());
        let more = statements(&"a;".repeat(MOST_STATEMENTS + 1)).unwrap_err();
        assert_eq!(more.at, 2 * MOST_STATEMENTS);
    }
}
