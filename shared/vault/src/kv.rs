//! Reading KV v2 secrets.

use std::collections::BTreeMap;

use portcullis_base::SecretString;
use portcullis_secrets::{SecretError, SecretVersions};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::Wire;

/// The path of a secret's data, in segments; `None` for a name that no secret can have.
pub(crate) fn path<'a>(mount: &'a str, name: &'a str) -> Option<Vec<&'a str>> {
    let valid = |segment: &&str| {
        !segment.is_empty() && *segment != "." && *segment != ".." && !segment.contains('\0')
    };
    let mount: Vec<&str> = mount.split('/').collect();
    let name: Vec<&str> = name.split('/').collect();
    (mount.iter().all(valid) && name.iter().all(valid))
        .then(|| mount.into_iter().chain(["data"]).chain(name).collect())
}

/// Reads the current version and the one before it.
pub(crate) async fn versions(
    wire: &Wire,
    token: &SecretString,
    path: &[&str],
) -> Result<SecretVersions, SecretError> {
    let (current, Metadata { version, created_time }) = parse(&wire.get(token, path, None).await?)?;
    let previous = match version.checked_sub(1).filter(|version| *version > 0) {
        None => None,
        Some(version) => match wire.get(token, path, Some(version)).await {
            Ok(body) => Some(parse(&body)?.0),
            // Deleted, destroyed, or beyond the versions that are kept.
            Err(SecretError::NotFound) => None,
            Err(error) => return Err(error),
        },
    };
    let since = created_time.and_then(|at| at.parse().ok());
    Ok(SecretVersions { current, previous, since })
}

/// The value of a version, and what is known of it.
fn parse(body: &[u8]) -> Result<(SecretString, Metadata), SecretError> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|_| SecretError::Malformed)?;
    Ok((value_of(answer.data.data)?, answer.data.metadata))
}

fn value_of(data: &RawValue) -> Result<SecretString, SecretError> {
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_str(data.get()).map_err(|_| SecretError::Malformed)?;
    let alone = (members.len() == 1).then(|| members.get("value")).flatten();
    match alone.and_then(|value| serde_json::from_str::<String>(value.get()).ok()) {
        Some(value) => Ok(SecretString::from(value)),
        None => Ok(SecretString::from(data.get())),
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Versioned<'a>,
}

#[derive(Deserialize)]
struct Versioned<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
    /// RFC 3339.
    created_time: Option<String>,
}

#[cfg(test)]
mod tests {
    use portcullis_base::ExposeSecret;

    use super::*;

    #[test]
    fn a_name_is_a_path_below_the_mount() {
        let cases: [(&str, &str, Option<&[&str]>); 10] = [
            ("secret", "a", Some(&["secret", "data", "a"])),
            ("secret", "portcullis/webhook", Some(&["secret", "data", "portcullis", "webhook"])),
            ("team/kv", "a", Some(&["team", "kv", "data", "a"])),
            ("secret", "a?version=1#x", Some(&["secret", "data", "a?version=1#x"])),
            ("secret", "", None),
            ("secret", "/a", None),
            ("secret", "a//b", None),
            ("secret", "../../sys/seal", None),
            ("secret", "a/./b", None),
            ("", "a", None),
        ];
        for (mount, name, expected) in cases {
            assert_eq!(path(mount, name).as_deref(), expected, "{mount} {name}");
        }
    }

    #[test]
    fn the_value_is_the_members_or_the_only_one_named_value() {
        let cases: [(&str, &str, Result<&str, SecretError>); 9] = [
            ("members", r#"{"a":"1","b":{"c":2}}"#, Ok(r#"{"a":"1","b":{"c":2}}"#)),
            ("only `value`", r#"{"value":"s\n"}"#, Ok("s\n")),
            ("`value` with another", r#"{"value":"s","b":1}"#, Ok(r#"{"value":"s","b":1}"#)),
            ("`value` that is no string", r#"{"value":7}"#, Ok(r#"{"value":7}"#)),
            ("empty", "{}", Ok("{}")),
            ("null", "null", Err(SecretError::Malformed)),
            ("string", r#""s""#, Err(SecretError::Malformed)),
            ("list", "[]", Err(SecretError::Malformed)),
            ("not JSON", "{", Err(SecretError::Malformed)),
        ];
        for (label, data, expected) in cases {
            let body = format!(r#"{{"data":{{"data":{data},"metadata":{{"version":3}}}}}}"#);
            let got = parse(body.as_bytes()).map(|(value, m)| (value.expose_secret().to_owned(), m.version));
            assert_eq!(got, expected.map(|value| (value.to_owned(), 3)), "{label}");
        }
    }
}
