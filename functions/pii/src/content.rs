//! The words of a message: what a person wrote or sent, without the ids and hashes around it.

use serde_json::Value;

/// Every text of an item that may hold personal data, one a line.
pub(crate) fn content(item: &Value) -> String {
    let mut text = String::new();
    collect(item, &mut text);
    text
}

fn collect(value: &Value, text: &mut String) {
    match value {
        Value::String(s) => {
            text.push_str(s);
            text.push('\n');
        }
        Value::Array(values) => values.iter().for_each(|v| collect(v, text)),
        Value::Object(members) => {
            members.iter().filter(|(name, _)| !is_technical(name)).for_each(|(_, v)| collect(v, text));
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
        for (label, item, expected) in [
            ("text", json!({"id": "wamid.1", "from": "5511987654321", "text": {"body": "oi"}}), "oi\n"),
            ("caption", json!({"image": {"id": "1", "sha256": "x", "caption": "foto"}}), "foto\n"),
            (
                "contacts",
                json!({"contacts": [{"name": {"formatted_name": "Ana"}, "phones": [{"phone": "+5511"}]}]}),
                "Ana\n+5511\n",
            ),
            ("status", json!({"id": "wamid.1", "status": "read", "recipient_id": "5511"}), ""),
            ("unknown shape", json!(["a", {"b": "c"}, 4]), "a\nc\n"),
        ] {
            assert_eq!(content(&item), expected, "{label}");
        }
    }
}
