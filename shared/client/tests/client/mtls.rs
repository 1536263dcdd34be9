//! Handshakes: who is let in, who is only reported, and how certificates change under a running server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use portcullis_certs::{RevocationReason, Which};
use portcullis_client::mtls::{BreakReporter, Mode, MtlsError, MtlsServer, PeerAddress, Why, WouldBreak};
use portcullis_client::{
    CertificateFolder, Client, ClientSettings, Credential, PeerCertificate, SystemClock, SystemPacing,
};
use serde_json::json;

use crate::support::{Counter, Pki, http, replace};

/// Says which certificate the handler was given.
fn mirror() -> Router {
    Router::new().fallback(any(async |request: Request| {
        assert!(request.extensions().get::<PeerAddress>().is_some());
        let certificate = request.extensions().get::<PeerCertificate>();
        certificate.and_then(PeerCertificate::spiffe_id).unwrap_or("nobody").to_owned()
    }))
}

async fn ask(client: &reqwest::Client, address: SocketAddr) -> Option<String> {
    let answer = client.get(format!("https://{address}/plans?secret=1")).send().await.ok()?;
    answer.text().await.ok()
}

#[derive(Default)]
struct Reports(Mutex<Vec<(String, String, Why)>>);

impl BreakReporter for Reports {
    fn would_break(&self, request: &WouldBreak<'_>) {
        assert!(request.peer.ip().is_loopback());
        let claimed = request.claimed.unwrap_or("nobody").to_owned();
        self.0.lock().unwrap().push((claimed, request.path.to_owned(), request.why));
    }
}

#[tokio::test]
async fn strict_refuses_and_permissive_reports() {
    let (pki, other) = (Pki::new(), Pki::new());
    pki.authority()
        .revoke(&Which::Service("analyst".parse().unwrap()), RevocationReason::KeyCompromise)
        .unwrap();
    let foreign = [other.read("actuator/client.crt"), other.read("actuator/client.key")].concat();
    let ca = pki.read("ca/ca.crt");
    let allowed = [
        "spiffe://corp.example/svc.actuator",
        "spiffe://corp.example/svc.analyst",
        "spiffe://corp.example/svc.old",
    ];
    let strict = pki.settings().allowing(allowed);
    let (address, _) = pki.serve(strict.clone(), mirror()).await;
    let actuator = Some("spiffe://corp.example/svc.actuator");
    for (label, client, good, claimed, why) in [
        ("good", pki.http(Some("actuator/client")), actuator, "", None),
        ("no certificate", pki.http(None), None, "nobody", Some(Why::NoCertificate)),
        (
            "another CA of the same name",
            http(&ca, Some(&foreign)),
            None,
            "svc.actuator",
            Some(Why::UnknownIssuer),
        ),
        ("expired", pki.http(Some("old/client")), None, "svc.old", Some(Why::Expired)),
        ("revoked", pki.http(Some("analyst/client")), None, "svc.analyst", Some(Why::Revoked)),
        (
            "a server's certificate",
            pki.http(Some("actuator/server")),
            None,
            "svc.actuator",
            Some(Why::WrongPurpose),
        ),
        ("another service", pki.http(Some("server/client")), None, "svc.server", Some(Why::NotAllowed)),
    ] {
        assert_eq!(ask(&client, address).await.as_deref(), good, "strict: {label}");
        let reports = Arc::new(Reports::default());
        let permissive = strict.clone().with_mode(Mode::Permissive).reporting_to(Arc::clone(&reports) as _);
        let (address, server) = pki.serve(permissive, mirror()).await;
        for _ in 0..2 {
            assert_eq!(
                ask(&client, address).await.as_deref(),
                good.or(Some("nobody")),
                "permissive: {label}"
            );
        }
        let findings = server.findings();
        let found: Vec<_> = findings.iter().map(|f| (f.why, f.path.as_str(), f.requests)).collect();
        let expected: Vec<_> = why.iter().map(|why| (*why, "/plans", 2)).collect();
        assert_eq!(found, expected, "{label}");
        let told = reports.0.lock().unwrap().clone();
        assert_eq!(told.len(), expected.len() * 2, "{label}");
        assert!(
            told.iter().all(|(c, p, w)| c.ends_with(claimed) && p == "/plans" && Some(*w) == why),
            "{label}: {told:?}"
        );
    }
}

#[tokio::test]
async fn a_revocation_list_that_says_nothing_of_today_lets_nobody_in() {
    let (pki, other) = (Pki::new(), Pki::new());
    for (label, list, why) in [
        ("control", pki.read("ca/crl.pem"), None),
        ("over", pki.stale_crl.clone(), Some(Why::RevocationUnknown)),
        ("of another CA", other.read("ca/crl.pem"), Some(Why::RevocationUnknown)),
    ] {
        replace(&pki.path("server/crl.pem"), &list);
        let (address, _) = pki.serve(pki.settings(), mirror()).await;
        assert_eq!(
            ask(&pki.http(Some("actuator/client")), address).await.is_some(),
            why.is_none(),
            "{label}"
        );
        let (address, server) = pki.serve(pki.settings().with_mode(Mode::Permissive), mirror()).await;
        ask(&pki.http(Some("actuator/client")), address).await.unwrap();
        assert_eq!(server.findings().first().map(|f| f.why), why, "{label}");
    }
}

#[tokio::test]
async fn changed_files_count_without_a_restart_and_broken_ones_do_not() {
    let pki = Pki::new();
    let (address, server) = pki.serve(pki.settings(), mirror()).await;
    let served = async |client: reqwest::Client| {
        let answer = client.get(format!("https://{address}/")).send().await.ok()?;
        answer.extensions().get::<reqwest::tls::TlsInfo>()?.peer_certificate().map(<[u8]>::to_vec)
    };
    let first = served(pki.http(Some("actuator/client"))).await.unwrap();
    assert!(!server.reload_if_changed().unwrap(), "nothing changed");
    pki.authority().renew(&"server".parse().unwrap(), "1".parse().unwrap()).unwrap();
    assert!(server.reload_if_changed().unwrap());
    assert_ne!(served(pki.http(Some("actuator/client"))).await.unwrap(), first);

    pki.authority()
        .revoke(&Which::Service("actuator".parse().unwrap()), RevocationReason::Superseded)
        .unwrap();
    assert!(server.reload_if_changed().unwrap());
    assert_eq!(served(pki.http(Some("actuator/client"))).await, None);

    let crl = pki.read("server/crl.pem");
    for (label, file, contents, error) in [
        ("no list", "crl.pem", vec![], MtlsError::RevocationList),
        ("another key", "server.key", pki.read("analyst/server.key"), MtlsError::Identity),
        ("no CA", "ca.crt", vec![], MtlsError::Authority),
    ] {
        let path = pki.path("server").join(file);
        let good = std::fs::read(&path).unwrap();
        replace(&path, &contents);
        assert_eq!(server.reload_if_changed(), Err(error), "{label}");
        assert!(served(pki.http(Some("analyst/client"))).await.is_some(), "{label}: the old ones stay");
        replace(&path, &good);
    }
    std::fs::remove_file(pki.path("server/crl.pem")).unwrap();
    assert_eq!(server.reload_if_changed(), Err(MtlsError::Files));
    assert_eq!(MtlsServer::new(pki.settings()).unwrap_err(), MtlsError::Files, "strict needs a list");
    assert!(MtlsServer::new(pki.settings().dangerous_without_revocation()).is_ok());
    replace(&pki.path("server/crl.pem"), &crl);
}

#[tokio::test]
async fn a_running_server_looks_at_its_files_by_itself() {
    let pki = Pki::new();
    let settings = pki.settings().with_reload_every(Duration::from_millis(20));
    let (address, _) = pki.serve(settings, mirror()).await;
    assert!(ask(&pki.http(Some("actuator/client")), address).await.is_some());
    pki.authority()
        .revoke(&Which::Service("actuator".parse().unwrap()), RevocationReason::Superseded)
        .unwrap();
    for _ in 0..250 {
        if ask(&pki.http(Some("actuator/client")), address).await.is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a revoked client is still let in");
}

#[tokio::test]
async fn a_connection_ends_in_time_and_no_session_outlives_it() {
    let pki = Pki::new();
    let settings = pki.settings().with_max_connection_age(Duration::from_secs(3));
    let (address, server) = pki.serve(settings, mirror()).await;
    let client = pki.http(Some("actuator/client"));
    assert!(ask(&client, address).await.is_some());
    pki.authority()
        .revoke(&Which::Service("actuator".parse().unwrap()), RevocationReason::Superseded)
        .unwrap();
    assert!(server.reload_if_changed().unwrap());
    assert!(ask(&client, address).await.is_some(), "control: the open connection goes on for a while");
    for _ in 0..200 {
        if ask(&client, address).await.is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("a revoked client keeps its connection");
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_off_with_its_connection() {
    let pki = Pki::new();
    let endless = Router::new().fallback(any(async || {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        "never"
    }));
    let (age, grace) = (Duration::from_millis(500), Duration::from_millis(200));
    let settings = pki.settings().with_max_connection_age(age).with_grace(grace).with_max_connections(1);
    let (address, _) = pki.serve(settings, endless).await;
    for label in ["the request itself", "the next one, which needs its place"] {
        let client = pki.http(Some("actuator/client"));
        let answer = tokio::time::timeout(Duration::from_secs(60), ask(&client, address)).await;
        assert_eq!(answer, Ok(None), "{label}");
    }
}

#[tokio::test]
async fn stopping_finishes_what_is_under_way_and_takes_nothing_new() {
    let pki = Pki::new();
    let under_way = Arc::new(tokio::sync::Notify::new());
    let begun = Arc::clone(&under_way);
    let slow = Router::new().fallback(any(async move || {
        begun.notify_one();
        tokio::time::sleep(Duration::from_millis(400)).await;
        "done"
    }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Arc::new(MtlsServer::new(pki.settings()).unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(listener, slow, async { stopped.await.unwrap() }));
    let client = pki.http(Some("actuator/client"));
    let asking = tokio::spawn(async move { ask(&client, address).await });
    under_way.notified().await;
    stop.send(()).unwrap();
    assert_eq!(asking.await.unwrap().as_deref(), Some("done"));
    serving.await.unwrap();
    assert_eq!(ask(&pki.http(Some("actuator/client")), address).await, None);
}

#[tokio::test]
async fn who_says_nothing_holds_nobody_up_and_old_tls_is_not_spoken() {
    let pki = Pki::new();
    let (address, _) = pki.serve(pki.settings(), mirror()).await;
    let _silent = tokio::net::TcpStream::connect(address).await.unwrap();
    assert!(ask(&pki.http(Some("actuator/client")), address).await.is_some());
    let old = reqwest::Client::builder()
        .no_proxy()
        .tls_version_max(reqwest::tls::Version::TLS_1_2)
        .tls_certs_only(reqwest::Certificate::from_pem_bundle(&pki.read("ca/ca.crt")).unwrap())
        .identity(
            reqwest::Identity::from_pem(
                &[pki.read("actuator/client.crt"), pki.read("actuator/client.key")].concat(),
            )
            .unwrap(),
        )
        .build()
        .unwrap();
    assert_eq!(ask(&old, address).await, None);
    let (address, _) = pki.serve(pki.settings().with_tls12(), mirror()).await;
    assert!(ask(&old, address).await.is_some());
}

#[tokio::test]
async fn the_client_checks_the_server_too() {
    let (pki, other) = (Pki::new(), Pki::new());
    let (address, _) = pki.serve(pki.settings(), mirror()).await;
    let distrustful = http(&other.read("ca/ca.crt"), None);
    assert_eq!(ask(&distrustful, address).await, None, "a server of another CA");
    let wrong_name = pki.http(Some("actuator/client")).get(format!("https://localhost:{}/", address.port()));
    assert!(wrong_name.send().await.is_err(), "a name that the certificate does not have");
}

#[tokio::test]
async fn who_has_the_ca_key_still_cannot_certify_other_names() {
    let pki = Pki::new();
    let key = |name: &str| rcgen::KeyPair::from_pem(&String::from_utf8(pki.read(name)).unwrap()).unwrap();
    let ca = String::from_utf8(pki.read("ca/ca.crt")).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&ca, key("ca/ca.key")).unwrap();
    for (name, good) in
        [("own.corp.example", true), ("evil.example", false), ("corp.example.evil.example", false)]
    {
        let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key("server/server.key"), &issuer).unwrap();
        replace(&pki.path("server/server.crt"), certificate.pem().as_bytes());
        let (address, _) = pki.serve(pki.settings().with_mode(Mode::Permissive), mirror()).await;
        let client = reqwest::Client::builder()
            .no_proxy()
            .resolve(name, address)
            .tls_certs_only(reqwest::Certificate::from_pem_bundle(ca.as_bytes()).unwrap());
        let answer = client.build().unwrap().get(format!("https://{name}:{}/", address.port())).send().await;
        assert_eq!(answer.is_ok(), good, "{name}");
    }
}

#[tokio::test]
async fn a_client_shows_its_new_certificate_and_gets_a_new_token_for_it() {
    let pki = Pki::new();
    let tokens = Counter::default();
    let counter = tokens.clone();
    let service = Router::new()
        .route(
            "/sts/token",
            axum::routing::post(async move || {
                let token = format!("t{}", counter.next());
                axum::Json(json!({"access_token": token, "token_type": "Bearer", "expires_in": 600}))
            }),
        )
        .route(
            "/who",
            any(async |request: Request| {
                let certificate = request.extensions().get::<PeerCertificate>().unwrap();
                let token = request.headers()["authorization"].to_str().unwrap().to_owned();
                format!("{} {token}", certificate.thumbprint())
            }),
        );
    let (address, _) = pki.serve(pki.settings(), service).await;
    let credential = Credential::Certificate { client_id: "svc.actuator".into() };
    let base = format!("https://{address}");
    let settings = ClientSettings::new(&format!("{base}/sts/token"), credential, [&base]).unwrap();
    let settings = settings.with_certificates(CertificateFolder::new(pki.path("actuator")));
    let clock = Arc::new(portcullis_base::ManualClock::at(portcullis_base::Clock::now(&SystemClock)));
    let client = Client::with_parts(settings, Arc::clone(&clock), SystemPacing).unwrap();
    let who = async || {
        let answer = client.get(&format!("{base}/who")).send().await.unwrap().bytes().await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    let first = who().await;
    assert!(first.ends_with("Bearer t1"), "{first}");
    pki.authority().renew(&"actuator".parse().unwrap(), "1".parse().unwrap()).unwrap();
    assert_eq!(who().await, first, "the files are looked at every 30 s");
    clock.advance(30_000);
    let second = who().await;
    assert!(second.ends_with("Bearer t2"), "{second}");
    assert_ne!(first.split(' ').next(), second.split(' ').next(), "another certificate");
}
