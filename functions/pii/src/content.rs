//! The words of a message: what a person wrote or sent, without the ids and hashes around it.

use serde_json::Value;

use crate::json;

/// The words of an item.
pub(crate) enum Words {
    /// Of one that was taken apart.
    Members(Value),
    /// All texts of one that cannot be.
    Texts(Vec<String>),
}

impl Words {
    pub(crate) fn of(json: &str) -> Self {
        taken_apart(json).map_or_else(|| Self::Texts(json::texts(json)), Self::Members)
    }

    /// Every text that may hold personal data, under the name of the member that holds it, or `unnamed`.
    pub(crate) fn named<'w>(&'w self, unnamed: &'w str) -> Vec<(&'w str, &'w str)> {
        let mut texts = Vec::new();
        match self {
            Self::Members(value) => collect(unnamed, value, &mut texts),
            Self::Texts(all) => texts.extend(all.iter().map(|text| (unnamed, text.as_str()))),
        }
        texts
    }
}

/// The JSON with what is JSON once more within it: the answers of a form arrive as a text.
pub(crate) fn taken_apart(json: &str) -> Option<Value> {
    let mut value = json::value_of(json)?;
    unfold(&mut value);
    Some(value)
}

fn unfold(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(unfold),
        Value::Object(members) => {
            for (name, value) in members {
                let answers = value.as_str().filter(|_| name == ANSWERS).and_then(json::value_of);
                match answers {
                    Some(answers) => *value = answers,
                    None => unfold(value),
                }
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn collect<'v>(name: &'v str, value: &'v Value, texts: &mut Vec<(&'v str, &'v str)>) {
    match value {
        Value::String(text) => texts.push((name, text)),
        Value::Array(values) => values.iter().for_each(|v| collect(name, v, texts)),
        Value::Object(members) => {
            let words = members.iter().filter(|(n, _)| !is_technical(n));
            words.for_each(|(n, v)| collect(if n.ends_with(NUMBER) { NUMBER } else { n }, v, texts));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a member holds an id, a hash or a time.
fn is_technical(name: &str) -> bool {
    TECHNICAL.contains(&name)
}

/// `new_wa_id` and the like hold what a policy says of `wa_id`.
const NUMBER: &str = "wa_id";
/// The member of a form's reply that holds its answers.
const ANSWERS: &str = "response_json";

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
        let cases: [(&str, Value, Texts); 7] = [
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
            (
                "a form's answers",
                json!({"interactive": {"nfm_reply": {"response_json": "{\"first_name\":\"Ana\",\"id\":\"1\"}"}}}),
                &[("first_name", "Ana")],
            ),
            ("a new number", json!({"system": {"new_wa_id": "16505551234"}}), &[("wa_id", "16505551234")]),
            ("unknown shape", json!(["a", {"b": "c"}, 4]), &[("content", "a"), ("b", "c")]),
        ];
        for (label, item, expected) in cases {
            assert_eq!(Words::of(&item.to_string()).named("content"), expected, "{label}");
        }
    }

    #[test]
    fn what_cannot_be_taken_apart_is_all_content() {
        let deep = format!("{}\"\\u0063\\u00e2ncer\"{}", "[".repeat(200), "]".repeat(200));
        assert_eq!(Words::of(&deep).named("content"), [("content", "câncer")]);
        let cut = r#"{"id":"1","text":{"body":"c\u00e2ncer \ud83d"}}"#;
        assert_eq!(Words::of(cut).named("content"), [("body", "câncer \u{fffd}")]);
    }
}
