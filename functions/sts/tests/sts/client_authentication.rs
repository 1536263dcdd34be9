//! Client authentication: each way, and each way of getting it wrong.

use portcullis_token::{Algorithm, Claims, IssuedType, LocalSigner, NumericDate};
use serde_json::json;

use crate::support::{AUDIENCE, Answer, Call, ISSUER, START, Sts, jws, secret_of, sts};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn refused(answer: &Answer, label: &str) {
    assert_eq!(answer.error(), (401, "invalid_client"), "{label}: {answer:?}");
    let challenge = answer.header("WWW-Authenticate").unwrap_or_default();
    assert!(challenge.starts_with("Basic realm="), "{label}: {challenge}");
    assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{label}");
}

fn post(client: &str, secret: &str) -> Call {
    Call::token(&[("grant_type", "client_credentials"), ("client_id", client), ("client_secret", secret)])
}

#[tokio::test]
async fn basic_and_post_take_the_clients_secret_and_nothing_else() {
    let sts = sts().await;
    let (client, secret) = ("svc.actuator", secret_of("svc.actuator"));
    assert_eq!(sts.send(&Call::client_credentials().basic(client)).await.status, 200);
    assert_eq!(sts.send(&post(client, &secret)).await.status, 200);
    let basic = |id: &str, secret: &str| Call::client_credentials().basic_with(id, secret);
    let other = secret_of("svc.memory");
    for (label, call) in [
        ("basic, wrong secret", basic(client, "wrong")),
        ("basic, empty secret", basic(client, "")),
        ("basic, secret of another", basic(client, &other)),
        ("basic, secret cut short", basic(client, secret.trim_end_matches('%'))),
        ("basic, unknown client", basic("svc.nobody", &secret)),
        ("basic, no client", basic("", &secret)),
        ("basic, a client that cannot be", basic("svc/actuator", &secret)),
        ("basic, malformed", Call::client_credentials().header("Authorization", "Basic !!!")),
        ("another scheme", Call::client_credentials().header("Authorization", "Digest x")),
        ("an empty header", Call::client_credentials().header("Authorization", "")),
        ("post, wrong secret", post(client, "wrong")),
        ("post, unknown client", post("svc.nobody", &secret)),
        ("post, no client", Call::token(&[("grant_type", "client_credentials"), ("client_secret", &secret)])),
        ("post, for a client of basic alone", post("svc.analyst", &secret_of("svc.analyst"))),
        ("a client id alone", Call::token(&[("grant_type", "client_credentials"), ("client_id", client)])),
        ("nothing", Call::client_credentials()),
    ] {
        // Each from an address of its own, so that no lock gets in the way.
        refused(&sts.send(&call.from(&format!("2001:db8:{:x}::1", label.len()))).await, label);
    }
}

#[tokio::test]
async fn two_ways_at_once_are_refused_before_either_is_judged() {
    let sts = sts().await;
    let secret = secret_of("svc.actuator");
    let assertion = assertion(&sts, |_| {});
    for (label, call) in [
        ("basic and post", post("svc.actuator", &secret).basic("svc.actuator")),
        ("basic and assertion", with_assertion(&assertion).basic("svc.optimizer")),
        (
            "post and assertion",
            Call::token(&[
                ("grant_type", "client_credentials"),
                ("client_secret", &secret),
                ("client_assertion", &assertion),
                ("client_assertion_type", JWT_BEARER),
            ]),
        ),
        ("basic twice", Call::client_credentials().basic("svc.actuator").basic_with("svc.actuator", "x")),
        (
            "basic for one and client_id for another",
            Call::token(&[("grant_type", "client_credentials"), ("client_id", "svc.memory")])
                .basic("svc.actuator"),
        ),
        (
            "an assertion type without an assertion",
            Call::token(&[("grant_type", "client_credentials"), ("client_assertion_type", JWT_BEARER)])
                .basic("svc.actuator"),
        ),
    ] {
        assert_eq!(sts.send(&call).await.error(), (400, "invalid_request"), "{label}");
    }
}

#[tokio::test]
async fn both_secrets_are_good_during_a_rotation() {
    use portcullis_base::Timestamp;
    use portcullis_token::{ClientSecretStore as _, SecretHasher, StoredSecrets};
    let sts = sts().await;
    let hasher = SecretHasher::new(&[1; 32]).unwrap();
    let hash = |secret: &str| hasher.hash("svc.actuator", &secret.to_owned().into());
    let until = Timestamp::from_second(START + 60).unwrap();
    let secrets = StoredSecrets { current: hash("new"), other: Some((hash("old"), until)) };
    assert!(sts.credentials.replace("svc.actuator", &secrets, 1).await.unwrap());
    assert_eq!(sts.send(&post("svc.actuator", "new")).await.status, 200);
    assert_eq!(sts.send(&post("svc.actuator", "old")).await.status, 200);
    sts.clock.advance(60_000);
    assert_eq!(sts.send(&post("svc.actuator", "new")).await.status, 200);
    refused(&sts.send(&post("svc.actuator", "old")).await, "the old one after its time");
}

/// Claims of a good assertion of `svc.optimizer`.
fn assertion_claims() -> Claims {
    let now = NumericDate::from_seconds(START).unwrap();
    Claims {
        iat: Some(now),
        jti: Some("a-1".to_owned()),
        ..Claims::new("svc.optimizer", "svc.optimizer", format!("{ISSUER}/sts/token"), now.plus_seconds(60))
    }
}

fn assertion(sts: &Sts, change: fn(&mut Claims)) -> String {
    let mut claims = assertion_claims();
    change(&mut claims);
    sts.client_key.issue_now(&claims, IssuedType::Jwt).unwrap()
}

fn with_assertion(assertion: &str) -> Call {
    Call::token(&[
        ("grant_type", "client_credentials"),
        ("client_assertion", assertion),
        ("client_assertion_type", JWT_BEARER),
    ])
}

#[tokio::test]
async fn an_assertion_of_the_registered_key_is_taken() {
    for (label, change) in [
        ("for the token endpoint", (|_| {}) as fn(&mut Claims)),
        ("for the issuer", |c| c.aud = vec![ISSUER.to_owned()]),
        ("of five minutes", |c| c.exp = c.exp.plus_seconds(240)),
    ] {
        let sts = sts().await;
        let answer = sts.send(&with_assertion(&assertion(&sts, change))).await;
        assert_eq!(answer.status, 200, "{label}: {answer:?}");
        assert_eq!(sts.claims(&answer.text("access_token")).await.sub, "svc.optimizer");
    }
}

#[tokio::test]
async fn an_assertion_that_is_wrong_in_any_way_is_refused() {
    let sts = sts().await;
    let at = |seconds| NumericDate::from_seconds(START + seconds).unwrap();
    let stranger = LocalSigner::generate(Algorithm::Es256).unwrap();
    let named_alike = LocalSigner::from_pkcs8(
        Algorithm::Es256,
        sts.client_key.public().kid(),
        &stranger.dangerous_private_pkcs8().unwrap(),
    )
    .unwrap();
    let with = |change: &dyn Fn(&mut Claims)| {
        let mut claims = assertion_claims();
        change(&mut claims);
        sts.client_key.issue_now(&claims, IssuedType::Jwt).unwrap()
    };
    let access_token = sts.token_of("svc.optimizer").await;
    let payload =
        json!({"iss": "svc.optimizer", "sub": "svc.optimizer", "aud": ISSUER, "exp": START + 60, "jti": "n"});
    let kid = sts.client_key.public().kid().unwrap();
    let cases = [
        ("of an unknown key", stranger.issue_now(&assertion_claims(), IssuedType::Jwt).unwrap()),
        (
            "of another key under its name",
            named_alike.issue_now(&assertion_claims(), IssuedType::Jwt).unwrap(),
        ),
        ("expired", with(&|c| c.exp = at(-10))),
        ("living too long", with(&|c| c.exp = at(301))),
        ("issued in the future", with(&|c| c.iat = Some(at(60)))),
        ("not valid yet", with(&|c| c.nbf = Some(at(60)))),
        ("without a jti", with(&|c| c.jti = None)),
        ("without an audience", with(&|c| c.aud = vec![])),
        ("for another server", with(&|c| c.aud = vec!["https://other.example".to_owned()])),
        ("for two servers", with(&|c| c.aud = vec![ISSUER.to_owned(), "https://other.example".to_owned()])),
        ("for the api", with(&|c| c.aud = vec![AUDIENCE.to_owned()])),
        ("issued by another", with(&|c| c.iss = "svc.actuator".to_owned())),
        (
            "about a client without keys",
            with(&|c| {
                c.iss = "svc.actuator".to_owned();
                c.sub = "svc.actuator".to_owned();
            }),
        ),
        (
            "about nobody",
            with(&|c| {
                c.iss = "svc.nobody".to_owned();
                c.sub = "svc.nobody".to_owned();
            }),
        ),
        ("an access token", access_token),
        ("typed as one", sts.client_key.issue_now(&assertion_claims(), IssuedType::AccessToken).unwrap()),
        ("unsigned", jws(&sts.client_key, &json!({"alg": "none"}), &payload)),
        ("of a symmetric algorithm", jws(&sts.client_key, &json!({"alg": "HS256", "kid": kid}), &payload)),
        ("with a key of its own", jws(&sts.client_key, &json!({"alg": "ES256", "jwk": {}}), &payload)),
        ("cut short", assertion(&sts, |_| {}).trim_end_matches(|c| c != '.').to_owned()),
        ("no token at all", "x".to_owned()),
    ];
    for (i, (label, assertion)) in cases.iter().enumerate() {
        let call = with_assertion(assertion).from(&format!("2001:db8:{i:x}::1"));
        refused(&sts.send(&call).await, label);
    }
    let other_type = Call::token(&[
        ("grant_type", "client_credentials"),
        ("client_assertion", &assertion(&sts, |_| {})),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"),
    ]);
    refused(&sts.send(&other_type).await, "another assertion type");
    let other_client = Call::token(&[
        ("grant_type", "client_credentials"),
        ("client_id", "svc.actuator"),
        ("client_assertion", &assertion(&sts, |_| {})),
        ("client_assertion_type", JWT_BEARER),
    ]);
    assert_eq!(sts.send(&other_client).await.error(), (400, "invalid_request"));
}

#[tokio::test]
async fn an_assertion_is_good_once() {
    let sts = sts().await;
    let call = with_assertion(&assertion(&sts, |_| {}));
    assert_eq!(sts.send(&call).await.status, 200);
    for _ in 0..8 {
        refused(&sts.send(&call).await, "replayed");
    }
    assert_eq!(sts.codes().iter().filter(|code| *code == "replay-detected").count(), 8);
    let another = with_assertion(&assertion(&sts, |c| c.jti = Some("a-2".to_owned())));
    assert_eq!(sts.send(&another).await.status, 200, "replays lock nobody out");
}

#[tokio::test]
async fn of_two_uses_of_an_assertion_at_once_one_succeeds() {
    let sts = sts().await;
    let call = with_assertion(&assertion(&sts, |_| {}));
    let answers = futures_util::future::join_all((0..8).map(|_| sts.send(&call))).await;
    assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 1);
}

fn certificate(uris: &[&str], change: fn(&mut rcgen::CertificateParams)) -> String {
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    params.subject_alt_names =
        uris.iter().map(|uri| rcgen::SanType::URI((*uri).try_into().unwrap())).collect();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2028, 1, 1);
    change(&mut params);
    params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
}

const ACTUATOR: &str = "spiffe://example.org/svc.actuator";

fn by_certificate(client: &str, pem: &str, subject: &str) -> Call {
    Call::token(&[("grant_type", "client_credentials"), ("client_id", client)]).certificate(pem, subject)
}

#[tokio::test]
async fn a_certificate_of_the_client_is_taken_and_its_tokens_are_bound_to_it() {
    let sts = sts().await;
    let with_uri = certificate(&[ACTUATOR], |_| {});
    let without = certificate(&[], |_| {});
    for (client, pem, subject) in
        [("svc.actuator", &with_uri, "CN=whatever"), ("svc.memory", &without, "CN=svc.memory")]
    {
        let answer = sts.send(&by_certificate(client, pem, subject)).await;
        assert_eq!(answer.status, 200, "{client}: {answer:?}");
        let shown = portcullis_token::Thumbprint::of_certificate_pem(pem).unwrap();
        let presented = portcullis_token::Presentation { dpop: None, certificate: Some(shown) };
        let token = answer.text("access_token");
        let claims = sts.verify_for(&token, AUDIENCE, presented).await.unwrap().into_claims();
        assert_eq!(claims.cnf.unwrap().x5t_s256, Some(shown));
        assert!(sts.verify(&token).await.is_err(), "without the certificate it is worth nothing");
    }
    assert_eq!(sts.codes().iter().filter(|code| *code == "certificate-validated").count(), 2);
}

#[tokio::test]
async fn a_certificate_of_anybody_else_is_refused() {
    let sts = sts().await;
    let good = certificate(&[ACTUATOR], |_| {});
    let ca: fn(&mut rcgen::CertificateParams) =
        |p| p.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let server: fn(&mut rcgen::CertificateParams) =
        |p| p.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let cases = [
        ("of another client", by_certificate("svc.memory", &good, "CN=svc.memory")),
        ("of an unknown client", by_certificate("svc.nobody", &good, "")),
        ("of a client of basic alone", by_certificate("svc.analyst", &good, "")),
        ("without names", by_certificate("svc.actuator", &certificate(&[], |_| {}), "CN=svc.actuator")),
        (
            "of another trust domain",
            by_certificate("svc.actuator", &certificate(&["spiffe://evil.example/svc.actuator"], |_| {}), ""),
        ),
        (
            "with a longer path",
            by_certificate(
                "svc.actuator",
                &certificate(&["spiffe://example.org/svc.actuator/x"], |_| {}),
                "",
            ),
        ),
        (
            "with two uris",
            by_certificate(
                "svc.actuator",
                &certificate(&[ACTUATOR, "spiffe://example.org/svc.bff"], |_| {}),
                "",
            ),
        ),
        (
            "with a uri, but the subject of another",
            by_certificate("svc.memory", &certificate(&["spiffe://example.org/x"], |_| {}), "CN=svc.memory"),
        ),
        (
            "expired",
            by_certificate(
                "svc.actuator",
                &certificate(&[ACTUATOR], |p| p.not_after = rcgen::date_time_ymd(2026, 6, 1)),
                "",
            ),
        ),
        (
            "not valid yet",
            by_certificate(
                "svc.actuator",
                &certificate(&[ACTUATOR], |p| p.not_before = rcgen::date_time_ymd(2027, 12, 1)),
                "",
            ),
        ),
        ("of a ca", by_certificate("svc.actuator", &certificate(&[ACTUATOR], ca), "")),
        ("of a server", by_certificate("svc.actuator", &certificate(&[ACTUATOR], server), "")),
        ("two of them", by_certificate("svc.actuator", &good.repeat(2), "")),
        (
            "no certificate",
            by_certificate(
                "svc.actuator",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
                "",
            ),
        ),
    ];
    for (i, (label, call)) in cases.into_iter().enumerate() {
        refused(&sts.send(&call.from(&format!("2001:db8:{i:x}::1"))).await, label);
    }
}

#[tokio::test]
async fn tokens_are_bound_to_the_clients_own_certificate_whatever_it_authenticates_with() {
    let sts = sts().await;
    let own = certificate(&[ACTUATOR], |_| {});
    let of_proxy = certificate(&["spiffe://example.org/proxy"], |_| {});
    for (label, pem, bound) in [("its own", &own, true), ("that of a proxy", &of_proxy, false)] {
        let call = Call::client_credentials().basic("svc.actuator").certificate(pem, "");
        let token = sts.send(&call).await.text("access_token");
        assert_eq!(sts.verify(&token).await.is_err(), bound, "{label}");
    }
}
