//! The words of a message: what a person wrote or sent, without the ids and hashes around it.

use serde_json::Value;

/// Every text of an item that may hold personal data, under the name of the member that holds it.
pub(crate) fn content(item: &Value) -> Vec<(&str, &str)> {
    let mut texts = Vec::new();
    collect("content", item, &mut texts);
    texts
}

fn collect<'v>(name: &'v str, value: &'v Value, texts: &mut Vec<(&'v str, &'v str)>) {
    match value {
        Value::String(text) => texts.push((name, text)),
        Value::Array(values) => values.iter().for_each(|v| collect(name, v, texts)),
        Value::Object(members) => {
            members.iter().filter(|(n, _)| !is_technical(n)).for_each(|(n, v)| collect(n, v, texts));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a member holds an id, a hash or a time.
pub(crate) fn is_technical(name: &str) -> bool {
    TECHNICAL.contains(&name)
}

/// Members that hold ids, hashes and times: their digits are not card or phone numbers that somebody wrote, and the
/// sender's own number is sealed whatever the detectors say.
const TECHNICAL: [&str; 24] = [
    "id",
    "from",
    "from_user_id",
    "parent_user_id",
    "user_id",
    "to",
    "recipient_id",
    "recipient_user_id",
    "wa_id",
    "message_id",
    "biz_opaque_callback_data",
    "callback_data",
    "timestamp",
    "type",
    "status",
    "sha256",
    "mime_type",
    "messaging_product",
    "expiration_timestamp",
    "catalog_id",
    "product_retailer_id",
    "ctwa_clid",
    "url",
    "hash",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_person_wrote_is_content_and_ids_are_not() {
        type Texts = &'static [(&'static str, &'static str)];
        let cases: [(&str, Value, Texts); 5] = [
            (
                "text",
                json!({"id": "wamid.1", "from": "5511987654321", "text": {"body": "oi"}}),
                &[("body", "oi")],
            ),
            (
                "caption",
                json!({"image": {"id": "1", "sha256": "x", "caption": "foto"}}),
                &[("caption", "foto")],
            ),
            (
                "contacts",
                json!({"contacts": [{"name": {"formatted_name": "Ana"}, "phones": [{"phone": "+5511"}]}]}),
                &[("formatted_name", "Ana"), ("phone", "+5511")],
            ),
            ("status", json!({"id": "wamid.1", "status": "read", "recipient_id": "5511"}), &[]),
            ("unknown shape", json!(["a", {"b": "c"}, 4]), &[("content", "a"), ("b", "c")]),
        ];
        for (label, item, expected) in cases {
            assert_eq!(content(&item), expected, "{label}");
        }
    }
}
