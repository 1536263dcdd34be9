use super::*;

const ONE: &str = "version: 1
identities:
  - id: svc.a
    role: svc.bff
    audiences: [svc.b]
    token_lifetime_minutes: 5
    auth_methods: [private_key_jwt]
    jwks: {keys: [{kty: OKP, crv: Ed25519, kid: k1, alg: EdDSA, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}]}
    spiffe_id: spiffe://example.org/svc.a
    tls_subject_dn: CN=svc.a
    grants: [client_credentials]
    rate: 10/s burst 5
    signing_algorithm: ES256
";

#[test]
fn the_shipped_identities_are_the_services_of_the_matrix_and_the_operators() {
    let identities = Identities::shipped().unwrap();
    for (id, role) in [
        ("svc.analyst", "svc.analyst"),
        ("svc.optimizer", "svc.optimizer"),
        ("svc.enterprise", "svc.enterprise"),
        ("svc.actuator", "svc.actuator"),
        ("svc.memory", "svc.memory"),
        ("svc.bff", "svc.bff"),
        ("ops.security-admin", "security-admin"),
        ("ops.auditor", "auditor"),
        ("ops.pii-reader", "pii-reader"),
    ] {
        assert_eq!(identities.find(id).map(|i| i.role.as_str()), Some(role), "{id}");
    }
    assert_eq!(identities.iter().count(), 9);
    for identity in identities.iter() {
        assert_eq!(identity.scope().iter().count(), identity.scopes.len(), "{}", identity.id);
        let spiffe = identity.spiffe_id.as_deref().unwrap();
        assert_eq!(identities.by_spiffe_id(spiffe).map(|i| &i.id), Some(&identity.id));
    }
    let bff_only = identities.iter().filter(|i| i.refresh).map(|i| i.id.as_str()).collect::<Vec<_>>();
    assert_eq!(bff_only, ["svc.bff"], "refresh tokens only where they are needed");
}

#[test]
fn every_field_is_taken_over() {
    let identities = Identities::parse(ONE).unwrap();
    let a = identities.find("svc.a").unwrap();
    assert_eq!(a.scope().to_string(), "read:conversations relay:requests");
    assert_eq!((a.audiences.as_slice(), a.token_lifetime.as_secs()), (&["svc.b".to_owned()][..], 300));
    assert_eq!(a.auth_methods.iter().map(|m| m.as_str()).collect::<Vec<_>>(), ["private_key_jwt"]);
    assert_eq!(a.jwks.as_ref().unwrap().keys().len(), 1);
    assert_eq!(a.signing_algorithm, Some(Algorithm::Es256));
    assert_eq!(a.rate, "10/s burst 5".parse().unwrap());
    assert_eq!(identities.by_subject_dn("CN=svc.a").map(|i| i.id.as_str()), Some("svc.a"));
    assert!(identities.by_subject_dn("CN=svc.A").is_none() && identities.by_spiffe_id("").is_none());
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (label, yaml) in [
        ("an unknown role", ONE.replace("svc.bff", "root")),
        ("an unknown field", ONE.replace("    rate:", "    admin: true\n    rate:")),
        ("a field twice", ONE.replace("    rate:", "    role: auditor\n    rate:")),
        ("tokens of four minutes", ONE.replace("minutes: 5", "minutes: 4")),
        ("tokens of an hour", ONE.replace("minutes: 5", "minutes: 60")),
        ("no way to authenticate", ONE.replace("[private_key_jwt]", "[]")),
        ("an unknown way", ONE.replace("private_key_jwt", "none")),
        ("a way twice", ONE.replace("[private_key_jwt]", "[private_key_jwt, private_key_jwt]")),
        ("no grant", ONE.replace("[client_credentials]", "[]")),
        ("the password grant", ONE.replace("[client_credentials]", "[password]")),
        ("refresh without its grant", ONE.replace("    rate:", "    refresh: true\n    rate:")),
        ("the grant without refresh", ONE.replace("[client_credentials]", "[refresh_token]")),
        ("a private key", ONE.replace("kid: k1", "kid: k1, d: nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")),
        ("a key that cannot be used", ONE.replace("crv: Ed25519", "crv: Ed448")),
        ("a key's member twice", ONE.replace("kid: k1", "kid: k1, kid: k2")),
        ("no SPIFFE ID", ONE.replace("spiffe://example.org/svc.a", "https://example.org/svc.a")),
        ("no quota", ONE.replace("10/s burst 5", "plenty")),
        ("HMAC", ONE.replace("ES256", "HS256")),
        ("a name with a space", ONE.replace("id: svc.a", "id: svc a")),
        ("a stranger may act", ONE.replace("    rate:", "    may_act: [svc.ghost]\n    rate:")),
        ("an identity twice", format!("{ONE}{}", ONE.split_once("identities:\n").unwrap().1)),
    ] {
        assert!(Identities::parse(&yaml).is_err(), "{label}");
    }
}

#[test]
fn one_name_in_a_certificate_is_one_identity() {
    let second = ONE.split_once("identities:\n").unwrap().1.replace("id: svc.a\n", "id: svc.b\n");
    let subject_only = second.replace("spiffe://example.org/svc.a", "spiffe://example.org/svc.b");
    for (label, more, sound) in [
        ("both names taken", second, false),
        ("the subject taken", subject_only.clone(), false),
        ("names of its own", subject_only.replace("CN=svc.a", "CN=svc.b"), true),
    ] {
        assert_eq!(Identities::parse(&format!("{ONE}{more}")).is_ok(), sound, "{label}");
    }
}

#[test]
fn spiffe_ids_are_those_of_the_standard() {
    for (text, sound) in [
        ("spiffe://example.org/svc.a", true),
        ("spiffe://example.org/ns/prod/sa/svc-a", true),
        ("spiffe://example.org", false),
        ("spiffe://example.org/", false),
        ("spiffe://example.org//a", false),
        ("spiffe://example.org/a/", false),
        ("spiffe://example.org/../a", false),
        ("spiffe://Example.org/a", false),
        ("SPIFFE://example.org/a", false),
        ("spiffe://example.org:8443/a", false),
        ("spiffe://user@example.org/a", false),
        ("spiffe://example.org/a?b", false),
        ("spiffe://example.org/a#b", false),
        ("spiffe://example.org/a%2fb", false),
        ("spiffe:///a", false),
        ("", false),
    ] {
        assert_eq!(is_spiffe_id(text), sound, "{text}");
    }
}
