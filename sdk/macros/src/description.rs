//! A tool's description: its doc comment, as the author wrote it.

use syn::{Attribute, Error, Expr, ExprLit, ItemFn, Lit, Meta, Result};

/// The text of the doc comment, every paragraph of it.
///
/// The space that people write after `///` is not part of the text; deeper
/// indentation is, since lists and code need it.
pub(crate) fn of(function: &ItemFn) -> Result<String> {
    let mut text = String::new();
    for attribute in &function.attrs {
        for line in doc_lines(attribute)?.lines() {
            text.push_str(line.strip_prefix(' ').unwrap_or(line).trim_end());
            text.push('\n');
        }
    }
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::new(
            function.sig.ident.span(),
            "a tool needs a doc comment: it is the description from which a model \
             decides whether to call it",
        ));
    }
    Ok(text.to_owned())
}

/// What one attribute adds: a doc comment's text, where it is one.
fn doc_lines(attribute: &Attribute) -> Result<String> {
    let Meta::NameValue(meta) = &attribute.meta else {
        return Ok(String::new());
    };
    if !meta.path.is_ident("doc") {
        return Ok(String::new());
    }
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &meta.value else {
        return Err(Error::new_spanned(
            &meta.value,
            "the description of a tool has to be a plain doc comment",
        ));
    };
    // A bare `///` is an empty line; the text of it alone would be no line at all.
    Ok(text.value() + "\n")
}
