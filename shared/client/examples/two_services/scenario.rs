//! The scene: a token service, `enterprise` (who owns the budget), and `optimizer` (who makes plans within it).
//!
//! `enterprise` asks `optimizer` for a plan, and `optimizer` asks `enterprise` for the budget to make it from. Each shows
//! its certificate and a token; `optimizer` may read the budget, and not change it.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use portcullis_base::Clock;
use portcullis_certs::{Authority, CaOptions, Days};
use portcullis_client::mtls::{MtlsServer, ServerSettings};
use portcullis_client::{
    CertificateFolder, CertificateRule, Client, ClientSettings, Credential, ExcludedPaths, HttpJwks,
    PeerCertificate, SecurityContext, SecurityLayer, SystemClock, Transport, require,
};
use portcullis_token::{
    Algorithm, Audience, CachePolicy, CachedVerifier, Claims, Confirmation, IssuedType, IssuerPolicy, Jwks,
    LocalSigner, NumericDate, Scope, Verifier, issue,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The plan that `enterprise` got from `optimizer`.
    pub(crate) plan: Value,
    /// What `optimizer` got for trying to change the budget.
    pub(crate) refused: StatusCode,
}

/// Makes the certificates, starts all three, and has them call each other.
pub(crate) async fn run(folder: &Path, say: impl Fn(&str)) -> Result<Outcome, BoxError> {
    certificates(folder)?;
    say("a CA, and a server's and a client's certificate for sts, enterprise and optimizer");
    let (sts, enterprise, optimizer) = (listen().await?, listen().await?, listen().await?);
    let place = |listener: &TcpListener| listener.local_addr().map(|at| format!("https://{at}"));
    let world = World { sts: place(&sts)?, enterprise: place(&enterprise)?, optimizer: place(&optimizer)? };
    let at = |name: &str| folder.join(name);
    serve(&at("sts"), sts, token_service()?)?;
    let layer = world.layer(&at("enterprise"))?;
    serve(&at("enterprise"), enterprise, budget_keeper(&layer)?)?;
    let caller = world.client("svc.optimizer", &at("optimizer"))?;
    let layer = world.layer(&at("optimizer"))?;
    serve(&at("optimizer"), optimizer, planner(&layer, caller.clone(), world.enterprise.clone())?)?;
    say("three servers, each letting in nobody without a certificate of the CA");

    let boss = world.client("svc.enterprise", &at("enterprise"))?;
    let plan = boss.get(&format!("{}/plans", world.optimizer)).send().await?.json().await?;
    say(&format!("enterprise asked optimizer for a plan, who asked enterprise for the budget: {plan}"));
    let raise = caller.post(&format!("{}/budget", world.enterprise)).json(&json!({"amount": 1_000_000}));
    let refused = raise.send().await?.status();
    say(&format!("optimizer tried to change the budget: {refused}"));
    Ok(Outcome { plan, refused })
}

fn certificates(folder: &Path) -> Result<(), BoxError> {
    let authority = Authority::new(folder, SystemClock);
    authority.init(&CaOptions {
        trust_domain: TRUST_DOMAIN.parse()?,
        days: 1,
        permitted_dns: Vec::new(),
        permitted_ips: Vec::new(),
    })?;
    for service in ["sts", "enterprise", "optimizer"] {
        authority.issue(&service.parse()?, &[], &["127.0.0.1".parse()?], Days::default())?;
    }
    Ok(())
}

async fn listen() -> Result<TcpListener, BoxError> {
    Ok(TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?)
}

fn serve(folder: &Path, listener: TcpListener, service: Router) -> Result<(), BoxError> {
    let server = Arc::new(MtlsServer::new(ServerSettings::new(folder))?);
    // An own service would wait for a signal here; these end with the runtime.
    tokio::spawn(server.serve(listener, service, std::future::pending()));
    Ok(())
}

/// Where everybody is.
struct World {
    sts: String,
    enterprise: String,
    optimizer: String,
}

impl World {
    /// The three lines of a service that calls: settings (from the environment, in production), client, call.
    fn client(&self, id: &str, folder: &Path) -> Result<Client, BoxError> {
        let credential = Credential::Certificate { client_id: id.to_owned() };
        let settings = ClientSettings::new(
            &format!("{}/sts/token", self.sts),
            credential,
            [&self.enterprise, &self.optimizer],
        )?;
        Ok(Client::new(settings.with_certificates(CertificateFolder::new(folder)))?)
    }

    /// The layer of a service that is called.
    fn layer(&self, folder: &Path) -> Result<SecurityLayer, BoxError> {
        let keys = HttpJwks::with_certificates(
            [(ISSUER, format!("{}/sts/jwks", self.sts))],
            &Transport::default(),
            CertificateFolder::new(folder),
        )?;
        let audience = Audience::AnyOf(vec![AUDIENCE.to_owned()]);
        let verifier = Verifier::new(vec![IssuerPolicy::new(ISSUER, audience, &[Algorithm::EdDsa])?], 10)?;
        let verifier = CachedVerifier::new(verifier, keys, SystemClock, CachePolicy::default());
        let rule = CertificateRule::OfTheClient { trust_domain: TRUST_DOMAIN.to_owned() };
        Ok(SecurityLayer::new(verifier).with_certificates(rule).excluding(ExcludedPaths::parse(["/health"])?))
    }
}

fn budget_keeper(layer: &SecurityLayer) -> Result<Router, BoxError> {
    let read = get(async || Json(json!({"amount": 500}))).layer(require("read:budget")?);
    let write = post(async || StatusCode::NO_CONTENT).layer(require("write:budget")?);
    Ok(Router::new().route("/budget", read.merge(write)).layer(layer.clone()))
}

fn planner(layer: &SecurityLayer, client: Client, enterprise: String) -> Result<Router, BoxError> {
    let plans = get(plan).layer(require("read:plans")?).with_state((client, enterprise));
    Ok(Router::new().route("/plans", plans).layer(layer.clone()))
}

async fn plan(
    State((client, enterprise)): State<(Client, String)>,
    caller: SecurityContext,
) -> Result<Json<Value>, StatusCode> {
    let failed = |_| StatusCode::BAD_GATEWAY;
    let budget = client.get(&format!("{enterprise}/budget")).send().await.map_err(failed)?;
    let budget: Value = budget.json().await.map_err(failed)?;
    Ok(Json(json!({"for": caller.subject(), "spend": budget.get("amount")})))
}

/// A token service in a few lines, for the example: it knows a client by its certificate, and binds the token to it
/// (RFC 8705). The real one is `functions/sts`.
fn token_service() -> Result<Router, BoxError> {
    let signer = Arc::new(LocalSigner::generate(Algorithm::EdDsa)?);
    let jwks = Jwks::new([signer.public().clone()])?.to_json();
    let keys = get(async move || ([("content-type", "application/jwk-set+json")], jwks));
    Ok(Router::new().route("/sts/token", post(grant)).with_state(signer).route("/sts/jwks", keys))
}

async fn grant(
    State(signer): State<Arc<LocalSigner>>,
    Extension(certificate): Extension<PeerCertificate>,
) -> Result<Json<Value>, StatusCode> {
    let service =
        certificate.spiffe_id().and_then(|id| id.rsplit('/').next()).ok_or(StatusCode::UNAUTHORIZED)?;
    let scope = match service {
        "svc.enterprise" => "read:plans read:budget write:budget",
        "svc.optimizer" => "read:insights read:budget write:plans",
        _ => return Err(StatusCode::UNAUTHORIZED),
    };
    let iat = NumericDate::of(SystemClock.now());
    let mut claims = Claims::new(ISSUER, service, AUDIENCE, iat.plus_seconds(LIFETIME));
    claims.iat = Some(iat);
    claims.jti = Some(format!("{service}-{}", iat.seconds()));
    claims.client_id = Some(service.to_owned());
    claims.scope = Scope::parse(scope).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    claims.cnf = Some(Confirmation::certificate(certificate.thumbprint()));
    let token = issue(&claims, IssuedType::AccessToken, &*signer).await;
    let token = token.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(json!({"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME})))
}

const TRUST_DOMAIN: &str = "corp.example";
const ISSUER: &str = "https://sts.corp.example";
const AUDIENCE: &str = "https://api.corp.example";
const LIFETIME: u32 = 300;
