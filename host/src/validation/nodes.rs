//! The tree, as the validator sees it.
//!
//! The validator asks for a value only to put it into messages. It never gets one here:
//! copying an object for every violation in it is quadratic, and no message of ours
//! repeats a value.

use std::borrow::Cow;
use std::collections::HashSet;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object};
use serde_json::Value;

use super::number::Number;
use super::tree::{self, Tree};

/// JSON as a [`Tree`].
#[derive(Debug)]
pub(super) struct Exact;

impl Json for Exact {
    type Node<'a> = &'a Tree<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = ();

    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(Self::Node<'_>) -> T) -> T {
        f(&Tree::Text(Cow::Borrowed(string)))
    }
}

impl<'a> Node<'a, Exact> for &'a Tree<'a> {
    type Object = &'a tree::Object<'a>;
    type Array = &'a [Tree<'a>];
    type Number = Number<'a>;

    fn as_object(&self) -> Option<Self::Object> {
        if let Tree::Object(object) = self { Some(object) } else { None }
    }

    fn as_array(&self) -> Option<Self::Array> {
        if let Tree::List(items) = self { Some(items) } else { None }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        if let Tree::Text(text) = self { Some(Cow::Borrowed(text)) } else { None }
    }

    fn as_number(&self) -> Option<Number<'a>> {
        if let Tree::Number(number) = self { Some(*number) } else { None }
    }

    fn as_boolean(&self) -> Option<bool> {
        if let Tree::Bool(yes) = self { Some(*yes) } else { None }
    }

    fn is_null(&self) -> bool {
        matches!(self, Tree::Null)
    }

    fn json_type(&self) -> JsonType {
        match self {
            Tree::Null => JsonType::Null,
            Tree::Bool(_) => JsonType::Boolean,
            Tree::Number(_) => JsonType::Number,
            Tree::Text(_) => JsonType::String,
            Tree::List(_) => JsonType::Array,
            Tree::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        self.equals(expected)
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(Value::Null)
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(std::ptr::from_ref::<Tree<'_>>(self).addr()))
    }
}

impl<'a> Object<'a, Exact> for &'a tree::Object<'a> {
    type Node = &'a Tree<'a>;
    type MemberName = &'a str;
    type MembersIter = Members<'a>;

    fn len(&self) -> usize {
        tree::Object::members(self).len()
    }

    fn get(&self, key: &Box<str>) -> Option<&'a Tree<'a>> {
        tree::Object::get(self, key)
    }

    fn members(&self) -> Members<'a> {
        Members(tree::Object::members(self).iter())
    }
}

/// The members of an object, in the order of the text.
#[derive(Debug)]
pub(super) struct Members<'a>(std::slice::Iter<'a, (Cow<'a, str>, Tree<'a>)>);

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a Tree<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name.as_ref(), value))
    }
}

impl<'a> Array<'a, Exact> for &'a [Tree<'a>] {
    type Node = &'a Tree<'a>;
    type ElementsIter = std::slice::Iter<'a, Tree<'a>>;

    fn len(&self) -> usize {
        <[Tree<'_>]>::len(self)
    }

    fn elements(&self) -> std::slice::Iter<'a, Tree<'a>> {
        self.iter()
    }

    fn is_unique(&self) -> bool {
        let mut seen = HashSet::with_capacity(<[Tree<'_>]>::len(self));
        self.iter().all(|item| {
            let mut text = String::new();
            item.write_canonical(&mut text);
            seen.insert(text)
        })
    }
}
