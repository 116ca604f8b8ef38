//! What stands in the parentheses of `#[tool(...)]`.

use proc_macro2::{Span, TokenStream};
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{Error, LitBool, LitStr, Result, Token};

/// The longest tool name that the host serves, in characters.
const MAX_NAME_LENGTH: usize = 64;

/// The options of one tool; what the author left out is `None`.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) title: Option<LitStr>,
    pub(crate) read_only: Option<bool>,
    pub(crate) destructive: Option<bool>,
    pub(crate) idempotent: Option<bool>,
    pub(crate) open_world: Option<bool>,
}

impl Options {
    /// Reads the attribute's arguments.
    pub(crate) fn parse(tokens: TokenStream) -> Result<Self> {
        let mut options = Self::default();
        syn::meta::parser(|meta| options.take(&meta)).parse2(tokens)?;
        if options.read_only == Some(true) && options.destructive == Some(true) {
            return Err(Error::new(
                Span::call_site(),
                "a tool that is `read_only` changes nothing, so it cannot be `destructive`",
            ));
        }
        Ok(options)
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let key = meta.path.get_ident().map(ToString::to_string);
        match key.as_deref() {
            Some("name") => set(&mut self.name, text(meta)?, meta),
            Some("title") => set(&mut self.title, text(meta)?, meta),
            Some("read_only") => set(&mut self.read_only, flag(meta)?, meta),
            Some("destructive") => set(&mut self.destructive, flag(meta)?, meta),
            Some("idempotent") => set(&mut self.idempotent, flag(meta)?, meta),
            Some("open_world") => set(&mut self.open_world, flag(meta)?, meta),
            _ => Err(meta.error(
                "not an option of a tool; there are `name`, `title`, `read_only`, \
                 `destructive`, `idempotent` and `open_world`",
            )),
        }
    }
}

/// Refuses a name that the host would refuse when it loads the plugin.
pub(crate) fn check_name(name: &str, span: Span) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.len() <= MAX_NAME_LENGTH && name.chars().all(allowed) {
        return Ok(());
    }
    Err(Error::new(span, "a tool name has 1 to 64 characters of `A-Z a-z 0-9 _ -`"))
}

fn set<T>(slot: &mut Option<T>, value: T, meta: &ParseNestedMeta<'_>) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(meta.error("this option is already set")),
    }
}

fn text(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    meta.value()?.parse()
}

/// `read_only` alone means `read_only = true`.
fn flag(meta: &ParseNestedMeta<'_>) -> Result<bool> {
    if meta.input.peek(Token![=]) { Ok(meta.value()?.parse::<LitBool>()?.value) } else { Ok(true) }
}
