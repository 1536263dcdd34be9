//! Reading the XML of an answer: by local names, and never more than it may hold.

use portcullis_response::{PortError, PortResult};
use roxmltree::{Document, Node, ParsingOptions};

/// Parses an answer. No document types, hence no entities; and a bound on how much it may take apart.
pub(super) fn parse(text: &str) -> PortResult<Document<'_>> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|_| UNREADABLE)
}

/// The code and the request id of an error answer, as far as there are any. EC2 and Auto Scaling lay it out differently.
pub(super) fn error(text: &str) -> (Option<String>, Option<String>) {
    let Ok(document) = parse(text) else { return (None, None) };
    let named = |wanted: &[&str]| {
        let mut nodes = document.descendants();
        let node = nodes.find(|node| node.is_element() && wanted.contains(&node.tag_name().name()))?;
        content(node).map(str::to_owned)
    };
    (named(&["Code"]), named(&["RequestID", "RequestId"]))
}

/// The first child of that name.
pub(super) fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.is_element() && child.tag_name().name() == name)
}

/// The text of the child of that name; `None` where it is missing or empty.
pub(super) fn text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name).and_then(content)
}

/// The same where an answer without it says nothing.
pub(super) fn required<'a>(node: Node<'a, '_>, name: &str) -> PortResult<&'a str> {
    text(node, name).ok_or(UNREADABLE)
}

/// The entries of the list of that name (`item`, or `member`); none where the list is missing.
pub(super) fn items<'a, 'i: 'a>(node: Node<'a, 'i>, list: &str) -> impl Iterator<Item = Node<'a, 'i>> {
    let entries = child(node, list).into_iter().flat_map(|list| list.children());
    entries.filter(|entry| matches!(entry.tag_name().name(), "item" | "member"))
}

fn content<'a>(node: Node<'a, '_>) -> Option<&'a str> {
    node.text().map(str::trim).filter(|text| !text.is_empty())
}

/// An answer that cannot be read: whatever was asked for may have happened.
pub(super) const UNREADABLE: PortError = PortError::Timeout;

/// Far more than an answer of [`super::query::MAX_ANSWER`] bytes needs.
const MAX_NODES: u32 = 400_000;
