use std::collections::BTreeSet;

use portcullis_token::Scope;

use super::*;
use crate::Roles;

/// The permission matrix of the source document, as it stands there: who may read, write and execute what.
/// `relay:requests` is the BFF's "Proxy"; external actions are the actuator's with an approval only.
const MATRIX: &[(&str, &str)] = &[
    ("svc.analyst", "read:signals write:insights execute:analysis"),
    ("svc.optimizer", "read:insights read:budget write:plans execute:optimization"),
    ("svc.enterprise", "read:plans read:budget write:approvals write:rules write:budget"),
    ("svc.actuator", "read:approvals execute:external"),
    ("svc.memory", "read:context write:context"),
    ("svc.bff", "relay:requests"),
    ("security-admin", ""),
    ("auditor", ""),
    ("pii-reader", ""),
];

/// Every action that the matrix knows, and the API's own with the roles that may ask for them.
const MATRIX_ACTIONS: &str = "read:signals read:insights read:budget read:plans read:approvals read:context \
     write:insights write:plans write:approvals write:rules write:budget write:context \
     execute:analysis execute:optimization execute:external relay:requests";
const API: &[(&str, &[&str])] = &[
    ("read:conversations", &["svc.memory", "svc.bff", "auditor", "pii-reader"]),
    ("search:conversations", &["svc.memory", "pii-reader"]),
    ("encrypt:pii", &["svc.memory", "pii-reader"]),
    ("decrypt:pii", &["svc.memory", "pii-reader"]),
    ("classify:pii", &["svc.memory", "pii-reader"]),
    ("rotate:keys", &["security-admin"]),
    ("revoke:tokens", &["security-admin"]),
    ("introspect:tokens", &["security-admin", "auditor"]),
    ("read:audit", &["security-admin", "auditor"]),
    ("read:incidents", &["security-admin", "auditor"]),
    ("manage:incidents", &["security-admin"]),
    ("manage:api-keys", &["security-admin"]),
];

const APPROVED: Circumstances<'_> =
    Circumstances { approval: Some(ApprovalFacts { plan: "plan-7", approver: "svc.enterprise" }) };

fn action(name: &str) -> Action {
    name.parse().unwrap()
}

/// All scopes: what is left to decide are the policies.
fn judge(set: &PolicySet, roles: &[&str], name: &str, circumstances: &Circumstances<'_>) -> AccessDecision {
    let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
    let scopes = Scope::parse(name).unwrap();
    let principal = Principal { id: &roles.join("+"), roles: &roles, scopes: &scopes };
    set.authorize(&principal, &action(name), "plan-7", circumstances)
}

fn every_action() -> BTreeSet<&'static str> {
    MATRIX_ACTIONS.split(' ').chain(API.iter().map(|(name, _)| *name)).collect()
}

#[test]
fn an_empty_policy_set_denies_everything() {
    let empty = PolicySet::empty().unwrap();
    assert!(empty.is_empty());
    for (role, _) in MATRIX {
        for name in every_action() {
            let decision = judge(&empty, &[role], name, &APPROVED);
            assert_eq!(
                (decision.allowed, decision.because),
                (false, Because::NothingPermits),
                "{role} {name}"
            );
        }
    }
}

#[test]
fn policies_are_the_permission_matrix() {
    let set = PolicySet::shipped().unwrap();
    for (role, allowed) in MATRIX {
        for name in MATRIX_ACTIONS.split(' ') {
            let expected = allowed.split(' ').any(|a| a == name);
            assert_eq!(judge(&set, &[role], name, &APPROVED).allowed, expected, "{role} {name}");
        }
        for (name, roles) in API {
            assert_eq!(judge(&set, &[role], name, &APPROVED).allowed, roles.contains(role), "{role} {name}");
        }
    }
}

#[test]
fn scopes_of_a_role_are_what_its_policies_permit() {
    let set = PolicySet::shipped().unwrap();
    let roles = Roles::shipped().unwrap();
    let known: BTreeSet<&str> = roles.actions().into_iter().map(Action::as_str).collect();
    assert!(every_action().is_superset(&known), "a scope that no row of these tables speaks of");
    for role in roles.iter() {
        for name in every_action() {
            let permitted = judge(&set, &[&role.name], name, &APPROVED).allowed;
            assert_eq!(role.scopes.contains(&action(name)), permitted, "{} {name}", role.name);
        }
    }
}

#[test]
fn nobody_without_a_role_may_do_anything() {
    let set = PolicySet::shipped().unwrap();
    for roles in [&[][..], &["root"], &["SVC.MEMORY"], &["svc.memory "], &["Role::\"svc.memory\""]] {
        for name in every_action() {
            assert!(!judge(&set, roles, name, &APPROVED).allowed, "{roles:?} {name}");
        }
    }
}

#[test]
fn the_matrix_s_restrictions_hold_whatever_other_role_is_added() {
    let set = PolicySet::shipped().unwrap();
    for (role, name, policy) in [
        ("svc.analyst", "execute:external", "restrict.analyst-executes-nothing-outside"),
        ("svc.optimizer", "execute:external", "restrict.optimizer-neither-executes-outside-nor-sets-budget"),
        ("svc.optimizer", "write:budget", "restrict.optimizer-neither-executes-outside-nor-sets-budget"),
        ("svc.enterprise", "execute:external", "restrict.enterprise-delegates"),
        ("svc.enterprise", "execute:analysis", "restrict.enterprise-delegates"),
        ("svc.memory", "execute:external", "restrict.memory-executes-nothing"),
        ("svc.bff", "execute:optimization", "restrict.bff-only-relays"),
        ("svc.bff", "write:budget", "restrict.bff-only-relays"),
        ("svc.bff", "write:context", "restrict.bff-only-relays"),
        ("security-admin", "decrypt:pii", "restrict.security-admin-reads-no-conversation"),
        ("security-admin", "read:conversations", "restrict.security-admin-reads-no-conversation"),
        ("security-admin", "search:conversations", "restrict.security-admin-reads-no-conversation"),
    ] {
        let everything: Vec<&str> = MATRIX.iter().map(|(other, _)| *other).filter(|r| *r != role).collect();
        for other in everything {
            let decision = judge(&set, &[role, other], name, &APPROVED);
            assert!(!decision.allowed, "{role} and {other}: {name}");
            assert!(decision.policies.iter().any(|p| p == policy), "{role} {name}: {decision:?}");
            assert_eq!(decision.because, Because::Forbidden);
        }
    }
}

#[test]
fn actuator_executes_only_with_an_approval_of_that_plan_by_another() {
    let set = PolicySet::shipped().unwrap();
    let approval = |plan, approver| Circumstances { approval: Some(ApprovalFacts { plan, approver }) };
    for (label, circumstances, allowed) in [
        ("none", Circumstances::default(), false),
        ("of this plan", approval("plan-7", "svc.enterprise"), true),
        ("of another plan", approval("plan-8", "svc.enterprise"), false),
        ("of a plan with a longer name", approval("plan-77", "svc.enterprise"), false),
        ("of no plan", approval("", "svc.enterprise"), false),
        ("its own", approval("plan-7", "svc.actuator"), false),
    ] {
        let decision = judge(&set, &["svc.actuator"], "execute:external", &circumstances);
        assert_eq!(decision.allowed, allowed, "{label}: {decision:?}");
    }
}

#[test]
fn a_permission_without_its_scope_is_none_and_a_scope_without_permission_neither() {
    let set = PolicySet::shipped().unwrap();
    let roles = ["svc.analyst".to_owned()];
    for (label, scopes, name, allowed, because) in [
        ("both", "read:signals", "read:signals", true, Because::Permitted),
        ("narrowed away", "write:insights", "read:signals", false, Because::ScopeMissing),
        ("no scope", "", "read:signals", false, Because::ScopeMissing),
        ("a scope that nothing permits", "decrypt:pii", "decrypt:pii", false, Because::NothingPermits),
        ("a scope of what is forbidden", "execute:external", "execute:external", false, Because::Forbidden),
    ] {
        let scopes = Scope::parse(scopes).unwrap();
        let principal = Principal { id: "svc.analyst", roles: &roles, scopes: &scopes };
        let decision = set.authorize(&principal, &action(name), "x", &Circumstances::default());
        assert_eq!((decision.allowed, decision.because), (allowed, because), "{label}");
    }
}

#[test]
fn a_decision_names_its_policies() {
    let set = PolicySet::shipped().unwrap();
    let decision = judge(&set, &["pii-reader"], "decrypt:pii", &Circumstances::default());
    assert_eq!(decision.policies, ["api.personal-data"]);
    let text = set.policy("api.personal-data").unwrap();
    assert!(text.permits && text.text.contains("pii-reader"), "{text:?}");
    assert!(!set.policy("restrict.bff-only-relays").unwrap().permits);
    assert!(set.policy("policy0").is_none());
}

#[test]
fn the_shipped_policies_fit_their_schema() {
    let sources = [
        include_str!("../../../../config/access/policies/matrix.cedar"),
        include_str!("../../../../config/access/policies/restrictions.cedar"),
        include_str!("../../../../config/access/policies/api.cedar"),
    ];
    let set = PolicySet::parse(&sources, PolicySet::shipped_schema()).unwrap();
    assert_eq!(set.len(), PolicySet::shipped().unwrap().len());
    assert_eq!(set.len(), 20);
}

#[test]
fn policies_that_cannot_be_meant_are_refused() {
    let schema = PolicySet::shipped_schema();
    let permit =
        "@id(\"a\") permit (principal in Role::\"auditor\", action == Action::\"read:audit\", resource);";
    assert!(PolicySet::parse(&[permit], schema).is_ok());
    for (label, text) in [
        ("not Cedar", "allow everything".to_owned()),
        ("no id", permit.replace("@id(\"a\") ", "")),
        ("an empty id", permit.replace("\"a\"", "\"\"")),
        ("two of one id", permit.repeat(2)),
        ("an action that there is not", permit.replace("read:audit", "read:everything")),
        ("a type that there is not", permit.replace("Role::", "Group::")),
        ("an attribute that there is not", permit.replace(';', " when { resource.owner == principal };")),
        ("a condition that never holds", permit.replace(';', " when { false };")),
        ("a template", permit.replace("in Role::\"auditor\"", "in ?principal")),
        ("too long", format!("{permit}// {}", "x".repeat(300_000))),
    ] {
        assert!(PolicySet::parse(&[&text], schema).is_err(), "{label}");
    }
    let across = PolicySet::parse(&[permit, permit], schema).unwrap_err();
    assert_eq!(across, PolicyError::Id("a".to_owned()), "ids are unique over all files");
    assert!(matches!(PolicySet::parse(&[permit], "entity"), Err(PolicyError::Schema(_))));
}

/// Cedar goes on without a policy that fails. Here that would be the one that forbids.
#[test]
fn a_policy_that_fails_denies() {
    let set = PolicySet::parse_trusted(&[
        "@id(\"all\") permit (principal, action, resource);",
        "@id(\"broken\") forbid (principal, action, resource) when { resource.missing == 1 };",
    ])
    .unwrap();
    let decision = judge(&set, &["auditor"], "read:audit", &Circumstances::default());
    assert_eq!((decision.allowed, decision.because), (false, Because::EvaluationFailed));
    assert_eq!(decision.errors, ["broken"]);
}
