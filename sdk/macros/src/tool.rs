//! `#[tool]`: the function as it was, and beside it the type that declares it.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Error, FnArg, Ident, ItemFn, Result, ReturnType, Safety, Signature, Type};

use crate::description;
use crate::options::{Options, check_name};

/// The function, followed by its declaration or by what is wrong with it.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let function: ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(_) => {
            return Error::new_spanned(item, "`#[tool]` stands on a function").into_compile_error();
        }
    };
    let declaration = declare(options, &function).unwrap_or_else(|error| {
        let error = error.into_compile_error();
        let stand_in = stand_in(&function);
        quote! { #error #stand_in }
    });
    quote! {
        #function
        #declaration
    }
}

/// What `plugin!` finds when a tool has a mistake, so that the mistake is the only
/// thing that is reported.
fn stand_in(function: &ItemFn) -> TokenStream {
    let ItemFn { vis, sig, .. } = function;
    let ident = &sig.ident;
    let name = ident.to_string();
    quote! {
        #[allow(non_camel_case_types, unreachable_pub)]
        #vis enum #ident {}

        impl ::bulkhead_sdk::Tool for #ident {
            const NAME: &'static str = #name;

            fn declaration() -> ::bulkhead_sdk::Declaration {
                ::core::unreachable!()
            }

            fn call(_: &str) -> ::core::result::Result<::bulkhead_sdk::Output, ::bulkhead_sdk::ToolError> {
                ::core::unreachable!()
            }
        }
    }
}

/// The type that stands for the tool.
///
/// It has the function's own name: functions live in the namespace of values, so
/// the namespace of types is free, and wherever one is imported, so is the other.
/// It has no values; only its implementation of `Tool` matters.
fn declare(options: TokenStream, function: &ItemFn) -> Result<TokenStream> {
    let options = Options::parse(options)?;
    let signature = &function.sig;
    check_signature(signature)?;

    let ident = &signature.ident;
    let visibility = &function.vis;
    let name = tool_name(&options, ident)?;
    let title = optional(options.title.as_ref());
    let description = description::of(function)?;
    let annotations = annotations(&options);
    let returned = returned(signature)?;

    // A type that lacks a trait is reported where the author wrote it.
    let returned_here = here(returned);
    let returns = quote_spanned! { returned_here =>
        let returns = ::bulkhead_sdk::expansion::Returns::<#returned>::new();
    };
    let output_schema = quote_spanned! { returned_here => returns.success().schema() };
    let output = quote_spanned! { returned_here =>
        returns.success().output(returns.value(returned)?)
    };
    let (input_schema, call) = match argument(signature)? {
        Some(argument) => {
            let argument_here = here(argument);
            (
                quote_spanned! { argument_here =>
                    ::bulkhead_sdk::expansion::input_schema::<#argument>()
                },
                quote_spanned! { argument_here =>
                    #ident(::bulkhead_sdk::expansion::decode::<#argument>(arguments)?)
                },
            )
        }
        None => (quote! { ::bulkhead_sdk::expansion::no_arguments() }, quote! { #ident() }),
    };

    // Mixed-site hygiene: no local of ours shadows a tool of the same name.
    Ok(quote_spanned! { Span::mixed_site() =>
        #[doc(hidden)]
        #[allow(non_camel_case_types, unreachable_pub)]
        #visibility enum #ident {}

        #[automatically_derived]
        #[allow(unused_imports, unused_variables)]
        impl ::bulkhead_sdk::Tool for #ident {
            const NAME: &'static str = #name;

            fn declaration() -> ::bulkhead_sdk::Declaration {
                use ::bulkhead_sdk::expansion::{Fallback as _, Infallible as _};
                #returns
                ::bulkhead_sdk::Declaration {
                    name: #name,
                    title: #title,
                    description: #description,
                    input_schema: #input_schema,
                    output_schema: #output_schema,
                    annotations: #annotations,
                }
            }

            fn call(
                arguments: &str,
            ) -> ::core::result::Result<::bulkhead_sdk::Output, ::bulkhead_sdk::ToolError> {
                use ::bulkhead_sdk::expansion::{Fallback as _, Infallible as _};
                #returns
                let returned = #call;
                #output
            }
        }
    })
}

/// The place of `tokens`, with the hygiene of our own names.
fn here(tokens: &impl Spanned) -> Span {
    Span::mixed_site().located_at(tokens.span())
}

/// A tool is called with JSON and answers with JSON, once.
fn check_signature(signature: &Signature) -> Result<()> {
    let refuse = |tokens: &dyn ToTokens, message| Err(Error::new_spanned(tokens, message));
    if let Some(token) = &signature.asyncness {
        return refuse(token, "a tool is not `async`: host calls return when they are done");
    }
    if let Safety::Unsafe(token) = &signature.safety {
        return refuse(token, "a tool cannot be `unsafe`: its caller is not Rust");
    }
    if let Some(token) = &signature.abi {
        return refuse(token, "a tool is a plain Rust function");
    }
    if !signature.generics.params.is_empty() {
        return refuse(
            &signature.generics,
            "a tool cannot be generic: its schema is that of one type",
        );
    }
    Ok(())
}

fn tool_name(options: &Options, function: &Ident) -> Result<String> {
    let (name, span) = match &options.name {
        Some(name) => (name.value(), name.span()),
        None => (function.unraw().to_string(), function.span()),
    };
    check_name(&name, span)?;
    Ok(name)
}

/// The type of the arguments, or `None` for a tool that takes none.
fn argument(signature: &Signature) -> Result<Option<&Type>> {
    let mut inputs = signature.inputs.iter();
    let ty = match inputs.next() {
        None => return Ok(None),
        Some(FnArg::Receiver(receiver)) => {
            return Err(Error::new_spanned(
                receiver,
                "a tool is a free function: no state outlives a call",
            ));
        }
        Some(FnArg::Typed(argument)) => &*argument.ty,
    };
    if let Some(more) = inputs.next() {
        return Err(Error::new_spanned(
            more,
            "a tool takes one argument: a struct with a field for each of its parameters",
        ));
    }
    if let Type::Reference(reference) = ty {
        return Err(Error::new_spanned(
            reference,
            "a tool owns its arguments: take the struct by value",
        ));
    }
    Ok(Some(ty))
}

fn returned(signature: &Signature) -> Result<&Type> {
    match &signature.output {
        ReturnType::Type(_, ty) => Ok(ty),
        ReturnType::Default => Err(Error::new(
            signature.ident.span(),
            "a tool answers its caller: return a `String`, a type that is `Serialize` and \
             `JsonSchema`, an `Output`, or a `Result` of one of them",
        )),
    }
}

fn annotations(options: &Options) -> TokenStream {
    let read_only = optional(options.read_only.as_ref());
    let destructive = optional(options.destructive.as_ref());
    let idempotent = optional(options.idempotent.as_ref());
    let open_world = optional(options.open_world.as_ref());
    quote! {
        ::bulkhead_sdk::Annotations {
            read_only: #read_only,
            destructive: #destructive,
            idempotent: #idempotent,
            open_world: #open_world,
        }
    }
}

/// `Option`'s own tokens would be the bare value, or nothing.
fn optional(value: Option<&impl ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote! { ::core::option::Option::Some(#value) },
        None => quote! { ::core::option::Option::None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the macro answers to a mistake.
    #[track_caller]
    fn check(options: TokenStream, item: TokenStream, expected: &str) {
        let expansion = expand(options, item).to_string();
        assert!(expansion.contains("compile_error"), "accepted: {expansion}");
        assert!(expansion.contains(expected), "not {expected:?} but: {expansion}");
    }

    #[test]
    fn a_tool_is_a_documented_function_of_one_struct() {
        let none = TokenStream::new;
        check(none(), quote! { struct Tool; }, "stands on a function");
        check(none(), quote! { fn f() -> String { s() } }, "needs a doc comment");
        check(
            none(),
            quote! { #[doc = include_str!("x")] fn f() -> T { s() } },
            "plain doc comment",
        );
        check(none(), quote! { /** */ fn f() -> T { s() } }, "needs a doc comment");
        check(none(), quote! { /** D */ fn f() {} }, "answers its caller");
        check(none(), quote! { /** D */ fn f(a: A, b: B) -> T { s() } }, "takes one argument");
        check(none(), quote! { /** D */ fn f(a: &A) -> T { s() } }, "by value");
        check(none(), quote! { /** D */ fn f(&self) -> T { s() } }, "free function");
        check(none(), quote! { /** D */ fn f<A>(a: A) -> T { s() } }, "cannot be generic");
        check(none(), quote! { /** D */ async fn f() -> T { s() } }, "not `async`");
        check(none(), quote! { /** D */ unsafe fn f() -> T { s() } }, "cannot be `unsafe`");
        check(none(), quote! { /** D */ extern "C" fn f() -> T { s() } }, "plain Rust function");
        check(none(), quote! { /** D */ fn größe() -> T { s() } }, "a tool name has");
    }

    #[test]
    fn options_are_known_consistent_and_given_once() {
        let tool = || quote! { /** D */ fn f() -> T { s() } };
        check(quote! { readonly }, tool(), "not an option of a tool");
        check(quote! { title = "A", title = "B" }, tool(), "already set");
        check(quote! { read_only = "yes" }, tool(), "boolean");
        check(quote! { name }, tool(), "`=`");
        check(quote! { name = "a b" }, tool(), "a tool name has");
        check(quote! { read_only, destructive }, tool(), "cannot be `destructive`");
    }
}
