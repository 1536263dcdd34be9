//! Compares an answer with an expected file. An expected file is the answer itself, in which a value may be a matcher:
//!
//! | matcher | holds for |
//! |---|---|
//! | `{"$any": true}` | whatever is there |
//! | `{"$base64": true}` | a string that is base64 of at least one byte |
//! | `{"$prefix": "x"}` | a string that starts with `x` |
//! | `{"$json": …}` | a string that is JSON text, and that text matches |

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Every place where `found` is not as `expected` says; empty when all is well.
pub(crate) fn differences(expected: &Value, found: &Value) -> Vec<String> {
    let mut out = Vec::new();
    compare("$", expected, found, &mut out);
    out
}

fn compare(at: &str, expected: &Value, found: &Value, out: &mut Vec<String>) {
    if let Some((name, argument)) = matcher(expected) {
        return compare_by(at, name, argument, found, out);
    }
    match (expected, found) {
        (Value::Object(e), Value::Object(f)) => {
            for (name, expected) in e {
                match f.get(name) {
                    Some(found) => compare(&format!("{at}.{name}"), expected, found, out),
                    None => out.push(format!("{at}.{name}: missing, expected {expected}")),
                }
            }
            let surplus = f.iter().filter(|(name, _)| !e.contains_key(*name));
            out.extend(surplus.map(|(name, found)| format!("{at}.{name}: not expected, found {found}")));
        }
        (Value::Array(e), Value::Array(f)) if e.len() == f.len() => {
            for (index, (expected, found)) in e.iter().zip(f).enumerate() {
                compare(&format!("{at}[{index}]"), expected, found, out);
            }
        }
        _ if expected == found => {}
        _ => out.push(format!("{at}: expected {expected}, found {found}")),
    }
}

fn compare_by(at: &str, name: &str, argument: &Value, found: &Value, out: &mut Vec<String>) {
    let text = found.as_str();
    let holds = match name {
        "$any" => true,
        "$base64" => text.is_some_and(|t| STANDARD.decode(t).is_ok_and(|bytes| !bytes.is_empty())),
        "$prefix" => text.zip(argument.as_str()).is_some_and(|(t, prefix)| t.starts_with(prefix)),
        "$json" => match text.and_then(|t| serde_json::from_str(t).ok()) {
            Some(parsed) => return compare(&format!("{at}(json)"), argument, &parsed, out),
            None => false,
        },
        _ => {
            out.push(format!("{at}: no such matcher: {name}"));
            return;
        }
    };
    if !holds {
        out.push(format!("{at}: expected {name} {argument}, found {found}"));
    }
}

/// An object whose only member has a name that starts with `$`.
fn matcher(value: &Value) -> Option<(&str, &Value)> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    members
        .iter()
        .next()
        .map(|(name, argument)| (name.as_str(), argument))
        .filter(|(n, _)| n.starts_with('$'))
}

#[test]
fn matchers_hold_and_fail_as_they_say() {
    use serde_json::json;
    for (name, expected, found, holds) in [
        ("equal", json!({"a": [1, "x"]}), json!({"a": [1, "x"]}), true),
        ("other value", json!({"a": 1}), json!({"a": 2}), false),
        ("missing member", json!({"a": 1}), json!({}), false),
        ("surplus member", json!({}), json!({"a": 1}), false),
        ("shorter array", json!([1, 2]), json!([1]), false),
        ("longer array", json!([1]), json!([1, 2]), false),
        ("other type", json!({"a": "1"}), json!({"a": 1}), false),
        ("any", json!({"a": {"$any": true}}), json!({"a": {"b": 1}}), true),
        ("any needs something", json!({"a": {"$any": true}}), json!({}), false),
        ("base64", json!({"$base64": true}), json!("QUJD"), true),
        ("not base64", json!({"$base64": true}), json!("QUJ"), false),
        ("no bytes", json!({"$base64": true}), json!(""), false),
        ("prefix", json!({"$prefix": "wamid."}), json!("wamid.7"), true),
        ("other prefix", json!({"$prefix": "wamid."}), json!("wamie.7"), false),
        ("prefix of a number", json!({"$prefix": "1"}), json!(12), false),
        ("JSON text", json!({"$json": {"a": {"$any": true}}}), json!("{ \"a\": 1 }"), true),
        ("other JSON text", json!({"$json": {"a": 1}}), json!("{\"a\":2}"), false),
        ("not JSON text", json!({"$json": {}}), json!("<html>"), false),
        ("unknown matcher", json!({"$regex": "."}), json!("x"), false),
    ] {
        assert_eq!(differences(&expected, &found).is_empty(), holds, "{name}");
    }
}
