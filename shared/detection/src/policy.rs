//! What a policy document in a request gives away: to everybody, to another account, or everything.
//!
//! Source: IAM User Guide, "Grammar of the IAM JSON policy language", "AWS JSON policy elements: Principal".

use std::borrow::Cow;

use crate::context::Context;
use crate::record::Record;
use crate::tree::Node;

/// What the policies of one request grant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    /// To anybody, with no condition that narrows it to somebody.
    pub(crate) public: bool,
    /// To an account that is not the user's.
    pub(crate) foreign: bool,
    /// All actions, or all of IAM's, on everything.
    pub(crate) admin: bool,
}

/// Reads every policy document among the request's parameters, and the permission of `lambda:AddPermission`.
pub(crate) fn grants(record: &Record<'_>, context: &Context) -> Grants {
    let mut grants = Grants::default();
    let Some(parameters) = record.parameters() else { return grants };
    for name in DOCUMENTS {
        let mut found = Vec::new();
        parameters.find(name, &mut found);
        for document in found {
            read_document(document, record.account(), context, &mut grants);
        }
    }
    if record.name().starts_with("AddPermission") || record.name().starts_with("AddLayerVersionPermission") {
        read_permission(parameters, record.account(), context, &mut grants);
    }
    grants
}

fn read_document(document: &Node<'_>, own: &str, context: &Context, grants: &mut Grants) {
    match document {
        Node::Object(_) => read_policy(document, own, context, grants),
        Node::Str(text) => {
            let text = percent_decoded(text);
            if let Ok(policy) = serde_json::from_str::<Node<'_>>(&text) {
                read_policy(&policy, own, context, grants);
            }
        }
        _ => {}
    }
}

fn read_policy(policy: &Node<'_>, own: &str, context: &Context, grants: &mut Grants) {
    for statement in policy.member("Statement").map(Node::items).unwrap_or_default() {
        if statement.member("Effect").and_then(Node::as_str) != Some("Allow") {
            continue;
        }
        let narrowed = statement.member("Condition").is_some_and(narrows);
        grants.admin |= is_admin(statement);
        grants.public |= !narrowed && statement.member("NotPrincipal").is_some();
        let Some(principal) = statement.member("Principal") else { continue };
        for name in principal_names(principal) {
            match grantee(name) {
                Grantee::Everybody => grants.public |= !narrowed,
                Grantee::Account(account) => grants.foreign |= context.is_foreign(account, own),
                Grantee::Other => {}
            }
        }
    }
}

/// `lambda:AddPermission`: one statement, spread over parameters.
fn read_permission(parameters: &Node<'_>, own: &str, context: &Context, grants: &mut Grants) {
    let given = |name: &str| parameters.member(name).is_some_and(|value| *value != Node::Null);
    let narrowed =
        given("sourceAccount") || given("sourceArn") || given("principalOrgID") || given("organizationId");
    match parameters.member("principal").and_then(Node::as_str).map(grantee) {
        Some(Grantee::Everybody) => grants.public |= !narrowed,
        Some(Grantee::Account(account)) => grants.foreign |= context.is_foreign(account, own),
        _ => {}
    }
}

fn principal_names<'p>(principal: &'p Node<'_>) -> Vec<&'p str> {
    let nodes: Vec<&Node<'_>> = match principal {
        Node::Object(kinds) => {
            kinds.iter().filter(|(kind, _)| kind == "AWS").flat_map(|(_, names)| names.items()).collect()
        }
        other => other.items().iter().collect(),
    };
    nodes.into_iter().filter_map(Node::as_str).collect()
}

enum Grantee<'p> {
    Everybody,
    Account(&'p str),
    /// A service, a federation, a unique id of a principal of this account.
    Other,
}

fn grantee(name: &str) -> Grantee<'_> {
    if name == "*" {
        return Grantee::Everybody;
    }
    let account = if name.starts_with("arn:") { name.split(':').nth(4).unwrap_or("") } else { name };
    match account {
        "*" => Grantee::Everybody,
        account if account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) => {
            Grantee::Account(account)
        }
        _ => Grantee::Other,
    }
}

/// Whether a condition leaves only callers that somebody has named.
fn narrows(condition: &Node<'_>) -> bool {
    let Node::Object(operators) = condition else { return false };
    operators.iter().any(|(operator, keys)| {
        let operator = operator.to_ascii_lowercase();
        // A negative operator, or one that passes where the key is absent, leaves everybody else in.
        let weak = operator.contains("not") || operator.ends_with("ifexists") || operator == "null";
        let Node::Object(keys) = keys else { return false };
        !weak && keys.iter().any(|(key, values)| is_narrowing_key(key) && !matches_all(values))
    })
}

fn is_narrowing_key(key: &str) -> bool {
    NARROWING_KEYS.iter().any(|known| key.eq_ignore_ascii_case(known))
}

fn matches_all(values: &Node<'_>) -> bool {
    values.any_str(&|value| value == "*" || value.ends_with("/0"))
}

fn is_admin(statement: &Node<'_>) -> bool {
    let strings = |name: &str| {
        statement.member(name).map(Node::items).unwrap_or_default().iter().filter_map(Node::as_str)
    };
    let everything = strings("Resource").any(|resource| resource == "*");
    let all = strings("Action").any(|action| ALL_ACTIONS.iter().any(|all| action.eq_ignore_ascii_case(all)));
    everything && (all || statement.member("NotAction").is_some())
}

/// IAM records documents as they were sent: some callers percent-encode them.
fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.starts_with('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let digits = if byte == b'%' { bytes.next().zip(bytes.next()) } else { None };
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        match digits.and_then(|(high, low)| Some(digit(high)? << 4 | digit(low)?)) {
            Some(value) => decoded.push(value),
            None => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Parameters that hold policy documents, in the services' own spelling.
const DOCUMENTS: [&str; 9] = [
    "policyDocument",
    "assumeRolePolicyDocument",
    "policy",
    "bucketPolicy",
    "resourcePolicy",
    "policyText",
    "attributes.Policy",
    "attributeValue",
    "accessPolicies",
];

/// Condition keys that name who may call, or where from.
const NARROWING_KEYS: [&str; 17] = [
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceIp",
    "aws:SourceOrgID",
    "aws:SourceOwner",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "aws:VpcSourceIp",
    "aws:userid",
    "aws:username",
    "kms:CallerAccount",
    "s3:DataAccessPointAccount",
    "sts:ExternalId",
];

const ALL_ACTIONS: [&str; 3] = ["*", "*:*", "iam:*"];

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "111122223333";

    fn of(statement: &str) -> Grants {
        let policy = format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
        let mut grants = Grants::default();
        let context = Context::parse("accounts: ['222233334444']").unwrap();
        read_document(&Node::Str(Cow::Owned(policy)), OWN, &context, &mut grants);
        grants
    }

    #[test]
    fn a_statement_grants_to_everybody_to_others_or_everything() {
        let (public, foreign) =
            (Grants { public: true, ..Grants::default() }, Grants { foreign: true, ..Grants::default() });
        let (admin, nothing) = (Grants { admin: true, ..Grants::default() }, Grants::default());
        for (case, statement, expected) in [
            ("everybody", r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject"}"#, public),
            (
                "everybody in AWS",
                r#"{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"s3:GetObject"}"#,
                public,
            ),
            ("in a list", r#"{"Effect":"Allow","Principal":{"AWS":["111122223333","*"]}}"#, public),
            ("all but one", r#"{"Effect":"Allow","NotPrincipal":{"AWS":"111122223333"}}"#, public),
            ("denied to everybody", r#"{"Effect":"Deny","Principal":"*"}"#, nothing),
            (
                "own organisation",
                r#"{"Effect":"Allow","Principal":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}}"#,
                nothing,
            ),
            (
                "key in another case",
                r#"{"Effect":"Allow","Principal":"*","Condition":{"StringEquals":{"AWS:SourceAccount":"1"}}}"#,
                nothing,
            ),
            (
                "over TLS",
                r#"{"Effect":"Allow","Principal":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}"#,
                public,
            ),
            (
                "from anywhere",
                r#"{"Effect":"Allow","Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":["0.0.0.0/0"]}}}"#,
                public,
            ),
            (
                "any organisation",
                r#"{"Effect":"Allow","Principal":"*","Condition":{"StringLike":{"aws:PrincipalOrgID":"*"}}}"#,
                public,
            ),
            (
                "but not from",
                r#"{"Effect":"Allow","Principal":"*","Condition":{"NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}"#,
                public,
            ),
            (
                "if there is one",
                r#"{"Effect":"Allow","Principal":"*","Condition":{"StringEqualsIfExists":{"aws:SourceVpce":"v"}}}"#,
                public,
            ),
            (
                "another account",
                r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999988887777:root"}}"#,
                foreign,
            ),
            ("its number alone", r#"{"Effect":"Allow","Principal":{"AWS":"999988887777"}}"#, foreign),
            (
                "a user of another partition",
                r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws-cn:iam::999988887777:user/x"}}"#,
                foreign,
            ),
            (
                "own account",
                r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/x"}}"#,
                nothing,
            ),
            ("a partner", r#"{"Effect":"Allow","Principal":{"AWS":"222233334444"}}"#, nothing),
            ("a service", r#"{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"}}"#, nothing),
            (
                "CloudFront's identity",
                r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::cloudfront:user/X"}}"#,
                nothing,
            ),
            ("everything", r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#, admin),
            ("all of IAM", r#"{"Effect":"Allow","Action":["s3:Get*","IAM:*"],"Resource":["*"]}"#, admin),
            ("all but", r#"{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}"#, admin),
            (
                "all of one bucket",
                r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/*"}"#,
                nothing,
            ),
            ("one service", r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#, nothing),
        ] {
            assert_eq!(of(statement), expected, "{case}");
        }
    }

    #[test]
    fn percent_encoding_hides_nothing() {
        let encoded = "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%22*%22%7D%7D";
        let mut grants = Grants::default();
        read_document(&Node::Str(encoded.into()), OWN, &Context::default(), &mut grants);
        assert!(grants.public);
        assert_eq!(percent_decoded("%7g%"), "%%");
    }
}
