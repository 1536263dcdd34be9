//! A JSON value that borrows from the bytes it was read from, and field paths over it.

use std::borrow::Cow;
use std::fmt;

use rsigma_eval::EventValue;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

/// A string that borrows from the input where it holds no escape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

/// A JSON value. Members keep their order; of a member that is there twice, every value counts for a rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// The first member of that name.
    pub(crate) fn member(&self, name: &str) -> Option<&Node<'a>> {
        match self {
            Node::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Node::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The members of an array; a value that is no array stands for itself.
    pub(crate) fn items(&self) -> &[Node<'a>] {
        match self {
            Node::Array(items) => items,
            Node::Null => &[],
            single => std::slice::from_ref(single),
        }
    }

    /// Every value at a dotted path. A path goes through arrays: each of their items is followed.
    pub(crate) fn find<'n>(&'n self, path: &str, found: &mut Vec<&'n Node<'a>>) {
        match self {
            Node::Array(items) => {
                for item in items {
                    item.find(path, found);
                }
            }
            Node::Object(members) => {
                let (head, rest) =
                    path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
                for (key, value) in members {
                    match rest {
                        // A member whose own name has dots, as header-like parameters do.
                        Some(_) if key == path => found.push(value),
                        Some(rest) if key == head => value.find(rest, found),
                        None if key == head => found.push(value),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether any string in the value satisfies `test`.
    pub(crate) fn any_str(&self, test: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Node::Str(text) => test(text),
            Node::Array(items) => items.iter().any(|item| item.any_str(test)),
            Node::Object(members) => members.iter().any(|(_, value)| value.any_str(test)),
            _ => false,
        }
    }

    /// Every string in the value.
    pub(crate) fn strings<'n>(&'n self, found: &mut Vec<Cow<'n, str>>) {
        match self {
            Node::Str(text) => found.push(Cow::Borrowed(text)),
            Node::Array(items) => items.iter().for_each(|item| item.strings(found)),
            Node::Object(members) => members.iter().for_each(|(_, value)| value.strings(found)),
            _ => {}
        }
    }

    /// The value as the rule engine sees it.
    pub(crate) fn value(&self) -> EventValue<'_> {
        match self {
            Node::Null => EventValue::Null,
            Node::Bool(value) => EventValue::Bool(*value),
            Node::Int(value) => EventValue::Int(*value),
            Node::Float(value) => EventValue::Float(*value),
            Node::Str(text) => EventValue::Str(Cow::Borrowed(text)),
            Node::Array(items) => EventValue::Array(items.iter().map(Node::value).collect()),
            Node::Object(members) => {
                EventValue::Map(members.iter().map(|(k, v)| (Cow::Borrowed(&**k), v.value())).collect())
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        #[expect(clippy::cast_precision_loss, reason = "as the rule engine does with numbers beyond 63 bits")]
        Ok(i64::try_from(value).map_or(Node::Float(value as f64), Node::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node<'de>, E> {
        Ok(Node::Float(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Str(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Str(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node<'de>, A::Error> {
        let mut members = Vec::with_capacity(8);
        while let Some((Text(key), value)) = map.next_entry::<Text<'de>, Node<'de>>()? {
            members.push((key, value));
        }
        Ok(Node::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Node<'_> {
        serde_json::from_str(json).unwrap()
    }

    fn found(json: &str, path: &str) -> Vec<String> {
        let tree = parse(json);
        let mut nodes = Vec::new();
        tree.find(path, &mut nodes);
        nodes.iter().map(|n| format!("{:?}", n.value())).collect()
    }

    #[test]
    fn paths_go_through_objects_and_arrays() {
        let json = r#"{"a":{"b":[{"c":"x"},{"c":"y"},3,{"d":1}]},"x-amz.acl":"public","n":null}"#;
        for (path, count) in
            [("a", 1), ("a.b.c", 2), ("a.b.d", 1), ("a.z", 0), ("x-amz.acl", 1), ("n", 1), ("", 0)]
        {
            assert_eq!(found(json, path).len(), count, "{path}");
        }
    }

    #[test]
    fn a_member_that_is_there_twice_hides_nothing() {
        assert_eq!(found(r#"{"a":"good","a":"bad"}"#, "a").len(), 2);
    }

    #[test]
    fn strings_borrow_unless_they_are_escaped() {
        let tree = parse(r#"["plain","a\u0062"]"#);
        let [Node::Str(plain), Node::Str(escaped)] = tree.items() else { panic!("two strings") };
        assert!(matches!(plain, Cow::Borrowed("plain")));
        assert!(matches!(escaped, Cow::Owned(text) if text == "ab"));
    }
}
