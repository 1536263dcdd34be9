//! What a response may never do, whatever a playbook says: `config/response.yml`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use portcullis_detection::glob;
use serde::Deserialize;

use crate::target::Target;

/// The safety rules.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Safety {
    /// Whether steps that change the account are only planned, in every playbook.
    #[serde(default)]
    pub dry_run: bool,
    /// How many incidents may be contained by themselves in any 60 minutes.
    #[serde(default = "cap")]
    pub containments_per_hour: u32,
    /// Patterns of `kind/name` that are never contained.
    #[serde(default)]
    pub protected: Vec<String>,
    /// What has this tag is never contained.
    #[serde(default)]
    pub protected_tag: Option<Tag>,
    /// Addresses that are never blocked.
    #[serde(default)]
    pub never_block: Vec<IpNet>,
    /// Accounts that may be acted on; empty: that of the event. Never another than the one the responder runs in, where
    /// that is known: a name in a member account is another thing at home.
    #[serde(default)]
    pub accounts: BTreeSet<String>,
    /// The roles that responders run under.
    #[serde(skip)]
    own_roles: BTreeSet<String>,
    /// What the names of the stack's users, roles, functions and buckets begin with.
    #[serde(skip)]
    own_prefix: Option<String>,
    /// The account and region that the responder runs in.
    #[serde(skip)]
    home: Option<(String, String)>,
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Why the file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SafetyError {
    /// Larger than 64 KB.
    #[error("safety rules: larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// Not YAML of this form.
    #[error("safety rules: {0}")]
    Format(String),
    /// Not of the form `kind/name`.
    #[error("safety rules: {0:?} is no pattern of `kind/name`")]
    Pattern(String),
    /// Not twelve digits.
    #[error("safety rules: {0:?} is no account number")]
    Account(String),
}

impl Safety {
    /// Reads the file.
    ///
    /// # Errors
    /// See [`SafetyError`].
    pub fn parse(yaml: &str) -> Result<Self, SafetyError> {
        if yaml.len() > MAX_BYTES {
            return Err(SafetyError::TooLarge);
        }
        let safety: Self = serde_norway::from_str(yaml).map_err(|e| SafetyError::Format(e.to_string()))?;
        if let Some(pattern) = safety.protected.iter().find(|p| !is_pattern(p)) {
            return Err(SafetyError::Pattern(pattern.clone()));
        }
        let digits = |a: &String| a.len() == 12 && a.bytes().all(|b| b.is_ascii_digit());
        if let Some(account) = safety.accounts.iter().find(|a| !digits(a)) {
            return Err(SafetyError::Account(account.clone()));
        }
        Ok(safety)
    }

    /// The same rules, with a role (its ARN or name) that a responder runs under: this one, or another of the account.
    #[must_use]
    pub fn with_own_role(mut self, role: &str) -> Self {
        self.own_roles.extend(role.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned));
        self
    }

    /// The same rules, with what the names of the responder's own stack begin with, before a hyphen.
    #[must_use]
    pub fn with_own_prefix(mut self, prefix: &str) -> Self {
        self.own_prefix = Some(format!("{prefix}-"));
        self
    }

    /// The same rules, with the account and region that the responder runs in: names mean nothing elsewhere.
    #[must_use]
    pub fn at_home(mut self, account: &str, region: &str) -> Self {
        self.home = Some((account.to_owned(), region.to_owned()));
        self
    }

    /// Why a signal's target is not where this responder acts.
    pub(crate) fn elsewhere(&self, target: &Target, account: &str, region: &str) -> Option<String> {
        let own = self.home.as_ref();
        // Every call goes to the account that the responder runs in, whatever account the event names.
        let listed = self.accounts.is_empty() || self.accounts.contains(account);
        let allowed = listed && own.is_none_or(|(own, _)| own == account);
        if !allowed {
            return Some(format!("account {account} is not one that this responder may act on"));
        }
        let regional =
            matches!(target, Target::Instance { .. } | Target::Function { .. } | Target::Finding { .. });
        let (_, home) = own.filter(|(_, home)| regional && home != region)?;
        Some(format!("it is in {region}, and this responder acts in {home}"))
    }

    /// Why a target is protected by its name or address.
    pub(crate) fn protects(&self, target: &Target) -> Option<String> {
        if let Target::Address { ip } = target {
            return self.spares(*ip);
        }
        if matches!(target, Target::Role { name, .. } if self.own_roles.contains(name)) {
            return Some("protected: a responder's own role".to_owned());
        }
        let name = target.to_string();
        if self.is_of_the_stack(&name) {
            return Some("protected: it belongs to the responder's own stack".to_owned());
        }
        let pattern = self.protected.iter().find(|pattern| glob::matches(pattern, &name))?;
        Some(format!("protected: the safety rules name {pattern}"))
    }

    /// Why a target is protected by its tags.
    pub(crate) fn protects_tagged(&self, tags: &BTreeMap<String, String>) -> Option<String> {
        let tag = self.protected_tag.as_ref()?;
        (tags.get(&tag.key) == Some(&tag.value)).then(|| format!("protected: tagged {}", tag.key))
    }

    /// Of `kind/name`.
    fn is_of_the_stack(&self, name: &str) -> bool {
        let own = self.own_prefix.as_ref().zip(name.split_once('/'));
        own.is_some_and(|(prefix, (kind, name))| KINDS.contains(&kind) && name.starts_with(prefix))
    }

    fn spares(&self, ip: IpAddr) -> Option<String> {
        if let Some(net) = self.never_block.iter().find(|net| net.contains(&ip)) {
            return Some(format!("protected: {net} is never blocked"));
        }
        let special = SPECIAL.iter().any(|net| net.parse::<IpNet>().is_ok_and(|net| net.contains(&ip)));
        special.then(|| "protected: a private or special address".to_owned())
    }
}

fn is_pattern(pattern: &str) -> bool {
    let known = |kind: &str| kind == "*" || KINDS.contains(&kind);
    pattern.len() <= 200
        && pattern.split_once('/').is_some_and(|(kind, name)| known(kind) && !name.is_empty())
}

const fn cap() -> u32 {
    20
}

const KINDS: [&str; 5] = ["user", "role", "instance", "function", "bucket"];

const MAX_BYTES: usize = 64 * 1024;

/// Addresses that nobody on the Internet has.
///
/// Source: IANA special-purpose address registries.
const SPECIAL: [&str; 13] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/3",
    "::/127",
    "::ffff:0:0/96",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SAFETY;

    fn role(name: &str) -> Target {
        Target::role(name)
    }

    #[test]
    fn what_is_protected_is_named() {
        let safety = Safety::parse(
            "protected: ['role/break-glass*', '*/portcullis-*']\nnever_block: [203.0.113.0/24]\nprotected_tag: {key: k, value: v}",
        )
        .unwrap()
        .with_own_role("arn:aws:iam::111122223333:role/path/responder");
        let address = |ip: &str| Target::Address { ip: ip.parse().unwrap() };
        for (case, target, protected) in [
            ("own role", role("responder"), true),
            ("break glass", role("break-glass-1"), true),
            ("any kind", Target::Function { name: "portcullis-pii".into() }, true),
            ("another", role("app"), false),
            ("a user of that name", Target::User { name: "break-glass-1".into() }, false),
            ("own network", address("203.0.113.9"), true),
            ("private", address("10.1.2.3"), true),
            ("metadata", address("169.254.169.254"), true),
            ("loopback", address("::1"), true),
            ("mapped", address("::ffff:198.51.100.7"), true),
            ("local", address("fe80::1"), true),
            ("public", address("198.51.100.7"), false),
            ("public, IPv6", address("2001:db8::1"), false),
        ] {
            assert_eq!(safety.protects(&target).is_some(), protected, "{case}");
        }
        let tags = |value: &str| BTreeMap::from([("k".to_owned(), value.to_owned())]);
        assert!(safety.protects_tagged(&tags("v")).is_some());
        assert!(safety.protects_tagged(&tags("w")).is_none());
    }

    #[test]
    fn a_stack_of_any_name_does_not_contain_itself() {
        let safety = Safety::parse(SAFETY).unwrap();
        let safety = safety.with_own_role("arn:aws:iam::111122223333:role/a/one").with_own_role("other");
        let safety = safety.with_own_prefix("guard");
        for (case, target, protected) in [
            ("own role", role("one"), true),
            ("the other responder's", role("other"), true),
            ("a role of the stack", role("guard-eu-west-1-sts"), true),
            ("a function of the stack", Target::Function { name: "guard-pii".into() }, true),
            ("a user of the stack", Target::User { name: "guard-x".into() }, true),
            ("a bucket of the stack", Target::Bucket { name: "guard-trail".into() }, true),
            ("a name that begins alike", role("guardian"), false),
            ("a name that holds it", role("my-guard-role"), false),
            ("no prefix", role("app"), false),
        ] {
            assert_eq!(safety.protects(&target).is_some(), protected, "{case}");
        }
    }

    #[test]
    fn names_of_other_accounts_and_regions_are_not_acted_on() {
        let (user, instance) = (Target::User { name: "ana".into() }, Target::Instance { id: "i-1".into() });
        let home = Safety::parse("{}").unwrap().at_home("111122223333", "eu-west-1");
        let listed = Safety::parse("accounts: ['999988887777']").unwrap();
        let member = Safety::parse("accounts: ['111122223333', '999988887777']").unwrap();
        let member = member.at_home("111122223333", "eu-west-1");
        let other = listed.clone().at_home("111122223333", "eu-west-1");
        for (case, safety, target, account, region, refused) in [
            ("own", &home, &user, "111122223333", "eu-west-1", false),
            ("a global name, seen elsewhere", &home, &user, "111122223333", "us-east-1", false),
            ("an instance elsewhere", &home, &instance, "111122223333", "us-east-1", true),
            ("a member account", &home, &user, "999988887777", "eu-west-1", true),
            (
                "a member account that is listed: its names are others' at home",
                &member,
                &user,
                "999988887777",
                "eu-west-1",
                true,
            ),
            ("home beside it", &member, &user, "111122223333", "eu-west-1", false),
            ("home is not listed", &other, &user, "111122223333", "eu-west-1", true),
            ("listed, and home is another", &other, &user, "999988887777", "eu-west-1", true),
            ("a listed account, home unknown", &listed, &user, "999988887777", "eu-west-1", false),
            ("not listed", &listed, &user, "111122223333", "eu-west-1", true),
        ] {
            assert_eq!(safety.elsewhere(target, account, region).is_some(), refused, "{case}");
        }
    }

    #[test]
    fn the_file_is_checked_and_defaults_are_safe() {
        let safety = Safety::parse("{}").unwrap();
        assert_eq!((safety.containments_per_hour, safety.dry_run), (20, false));
        for (case, yaml, why) in [
            ("pattern", "protected: [admin]", "no pattern"),
            ("kind", "protected: [rolle/x]", "no pattern"),
            ("account", "accounts: ['12']", "no account"),
            ("network", "never_block: [x]", "invalid"),
            ("member", "protectd: []", "unknown field"),
            ("own role is not the file's", "own_role: x", "unknown field"),
        ] {
            let error = Safety::parse(yaml).unwrap_err().to_string();
            assert!(error.contains(why), "{case}: {error}");
        }
    }
}
