//! Roles and the scopes that their tokens may carry.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::{Action, FileError, file};

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name, as in the `roles` of tokens and in the readers of the classification file.
    pub name: String,
    /// What it is for, in words.
    pub does: String,
    /// The most that its tokens may be used for.
    pub scopes: BTreeSet<Action>,
}

/// All roles.
#[derive(Debug, Clone)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// Reads a file of the form of `config/access/roles.yml`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(yaml: &str) -> Result<Self, FileError> {
        let file: RolesFile = file::read(yaml)?;
        file::check_version(file.version)?;
        let mut roles: Vec<Role> = Vec::with_capacity(file.roles.len());
        for entry in file.roles {
            if !file::is_name(&entry.name) {
                return Err(FileError::entry(entry.name, "not a role's name"));
            }
            if roles.iter().any(|r| r.name == entry.name) {
                return Err(FileError::Twice(entry.name));
            }
            let scopes = file::unique(entry.scopes)?;
            if scopes.len() > MAX_SCOPES {
                return Err(FileError::entry(entry.name, "too many scopes for a token"));
            }
            roles.push(Role { name: entry.name, does: entry.does, scopes });
        }
        Ok(Self(roles))
    }

    /// The file that the stack ships.
    ///
    /// # Errors
    /// Never, as a test holds; the caller starts up with other files too, and fails the same way.
    pub fn shipped() -> Result<Self, FileError> {
        Self::parse(SHIPPED)
    }

    /// The role of that name.
    pub fn find(&self, name: &str) -> Option<&Role> {
        self.0.iter().find(|r| r.name == name)
    }

    /// All of them, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &Role> {
        self.0.iter()
    }

    /// Every action that any role may be given.
    pub fn actions(&self) -> BTreeSet<&Action> {
        self.0.iter().flat_map(|r| &r.scopes).collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RolesFile {
    version: u32,
    roles: Vec<RoleEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleEntry {
    name: String,
    does: String,
    scopes: Vec<Action>,
}

const SHIPPED: &str = include_str!("../../../config/access/roles.yml");
// What `portcullis_token::Scope` reads.
const MAX_SCOPES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_roles_are_those_of_the_matrix_and_three_more() {
        let roles = Roles::shipped().unwrap();
        let names: Vec<&str> = roles.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "svc.analyst",
                "svc.optimizer",
                "svc.enterprise",
                "svc.actuator",
                "svc.memory",
                "svc.bff",
                "security-admin",
                "auditor",
                "pii-reader"
            ]
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let role = "version: 1\nroles:\n  - {name: a, does: x, scopes: ['read:a']}\n";
        assert!(Roles::parse(role).is_ok());
        for (label, yaml) in [
            ("empty", String::new()),
            ("a list", "[1, []]".to_owned()),
            ("another version", role.replace("version: 1", "version: 2")),
            ("no version", role.replace("version: 1", "")),
            ("an unknown field", role.replace("does: x", "does: x, grants: all")),
            ("a field twice", role.replace("does: x", "does: x, does: y")),
            ("a top field twice", format!("{role}version: 1\n")),
            ("a missing field", role.replace("does: x, ", "")),
            ("a role twice", format!("{role}  - {{name: a, does: x, scopes: []}}\n")),
            ("a scope twice", role.replace("['read:a']", "['read:a', 'read:a']")),
            ("not a scope", role.replace("read:a", "read everything")),
            ("a name with a space", role.replace("name: a", "name: a b")),
            ("an empty name", role.replace("name: a", "name: ''")),
            ("an empty role", role.replace("- {name", "- null\n  - {name")),
            ("too long", format!("{role}# {}", "x".repeat(300_000))),
        ] {
            assert!(Roles::parse(&yaml).is_err(), "{label}");
        }
    }

    #[test]
    fn aliases_cannot_blow_a_small_file_up() {
        let mut yaml = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (from, to) in ('a'..'h').zip('b'..='h') {
            yaml.push_str(&format!("{to}: &{to} [{}]\n", vec![format!("*{from}"); 10].join(", ")));
        }
        assert!(matches!(Roles::parse(&yaml), Err(FileError::Malformed(_))));
    }
}
