//! HTTP in, API Gateway proxy events inside: what the gateway does in AWS.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use base64::prelude::{BASE64_STANDARD, Engine};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use pii_function::PiiFunction;
use portcullis_base::{Clock, Problem};
use portcullis_client::PeerCertificate;
use portcullis_client::mtls::MtlsServer;
use portcullis_lambda::{
    Authorizer, ClientCert, Identity, Metrics, ProxyEvent, ProxyResponse, RequestContext, SystemClock,
    TextMap,
};
use portcullis_local::Store;
use portcullis_secrets::{CacheSettings, CachedSecrets};
use sts_function::StsFunction;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use webhook_function::{HandlerSettings, WebhookFunction};

use super::events;
use super::gateway::{Admitted, Gateway};
use super::identity;
use super::response::Responders;
use super::secrets::{LocalSecrets, WEBHOOK_SECRET};
use super::stack::{LocalPorts, Stack};
use super::tls;
use crate::failure::Failure;

/// The functions behind one port.
pub(crate) struct Server {
    webhook: WebhookFunction<LocalPorts>,
    pii: PiiFunction<LocalPorts>,
    sts: StsFunction<LocalPorts>,
    gateway: Gateway,
    responders: Arc<Responders>,
    store: Store,
    wrapper: portcullis_local::LocalKeyWrapper,
    /// Bodies in memory at once are bounded by this many times [`MAX_BODY`].
    slots: Semaphore,
}

impl Server {
    pub(crate) fn new(
        stack: &Stack,
        secrets: LocalSecrets,
        sts: StsFunction<LocalPorts>,
        gateway: Gateway,
        responders: Arc<Responders>,
    ) -> Self {
        let webhook = webhook_function::Parts {
            secrets: CachedSecrets::new(secrets, SystemClock, CacheSettings::default()),
            queue: stack.store.clone(),
            claims: stack.store.clone(),
            auditor: identity::auditor(stack, "webhook"),
            clock: SystemClock,
            metrics: Metrics::off("webhook"),
            settings: HandlerSettings::new(WEBHOOK_SECRET),
        };
        Self {
            webhook: WebhookFunction::new(webhook),
            pii: stack.pii(),
            sts,
            gateway,
            responders,
            store: stack.store.clone(),
            wrapper: stack.wrapper.clone(),
            slots: Semaphore::new(MAX_AT_ONCE),
        }
    }
}

/// Serves until told to stop; what is under way is finished.
pub(crate) async fn serve(
    listener: TcpListener,
    server: Server,
    tls: Option<Arc<MtlsServer>>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let app = Router::new().fallback(answer).with_state(Arc::new(server));
    let until = async move {
        // A sender that is gone means stop as well.
        let _stop = stopped.wait_for(|stop| *stop).await;
    };
    if let Some(tls) = tls {
        tls.serve(listener, app, until).await;
        return Ok(());
    }
    axum::serve(listener, app)
        .with_graceful_shutdown(until)
        .await
        .map_err(|e| Failure::usage(format!("the server failed: {e}")))
}

async fn answer(State(server): State<Arc<Server>>, request: Request<Body>) -> Response<Body> {
    // A task of its own: whoever hangs up must not keep what it asked for from being recorded, nor what it began from
    // being finished. In AWS neither does.
    let work = tokio::spawn(async move { route(&server, request).await });
    let answer = match tokio::time::timeout(GATEWAY_TIMEOUT, work).await {
        Ok(Ok(Ok(answer))) => answer,
        Ok(Ok(Err(problem))) => ProxyResponse::problem(&problem),
        Ok(Err(_)) => ProxyResponse::problem(&FAILED),
        Err(_) => ProxyResponse::problem(&TIMED_OUT),
    };
    into_http(answer)
}

async fn route(server: &Server, request: Request<Body>) -> Result<ProxyResponse, Problem> {
    // Closed only when the process ends.
    let _slot = server.slots.acquire().await.map_err(|_| TIMED_OUT)?;
    let (head, body) = request.into_parts();
    if !is_for_this_machine(&head.headers) {
        return Err(NOT_FOR_US);
    }
    let path = head.uri.path();
    if path == "/health" && head.method == Method::GET {
        return Ok(ProxyResponse::json(200, health(server)?));
    }
    let certificate = head.extensions.get::<PeerCertificate>().map(|shown| tls::pem(shown.der()));
    let admitted = match server.gateway.admit(&head, certificate.as_deref()).await {
        Ok(admitted) => admitted,
        Err(answer) => return Ok(answer),
    };
    let body = Limited::new(body, MAX_BODY)
        .collect()
        .await
        .map_err(|e| if e.downcast_ref::<LengthLimitError>().is_some() { TOO_LARGE } else { BROKEN_OFF })?;
    let body = body.to_bytes();
    if path == "/events" {
        return events::receive(&server.responders, &body).await;
    }
    let query = query(head.uri.query().unwrap_or_default());
    let event = event(head.method.as_str(), path, &head.headers, &query, &body, admitted, certificate);
    Ok(match path {
        "/webhook" => {
            let deadline = SystemClock.now() + GATEWAY_TIMEOUT;
            server.webhook.handle_request(&event, deadline).await
        }
        _ if path.starts_with("/sts/") || PUBLISHED.contains(&path) => server.sts.answer(&event).await,
        _ if path == "/incidents" || path.starts_with("/incidents/") => {
            server.responders.guardduty.answer(&event).await
        }
        _ => server.pii.answer(&event).await,
    })
}

/// How the stack is doing: for a person, and for the load test.
fn health(server: &Server) -> Result<String, Problem> {
    use portcullis_webhook::Lane;

    let unavailable = |_| Problem::new(503, "unavailable", "Try again later");
    let waiting = |lane| {
        let depth = server.store.depth(lane);
        depth.waiting + depth.in_flight
    };
    let status = serde_json::json!({
        "queued": {"text": waiting(Lane::Text), "media": waiting(Lane::Media)},
        "records": server.store.record_count().map_err(unavailable)?,
        "dead_letters": server.store.dead_letter_count().map_err(unavailable)?,
        "key_wrapper_calls": server.wrapper.calls(),
    });
    Ok(status.to_string())
}

fn event<'a>(
    method: &'a str,
    path: &'a str,
    headers: &'a HeaderMap,
    query: &'a [(String, String)],
    body: &'a [u8],
    admitted: Admitted,
    certificate: Option<String>,
) -> ProxyEvent<'a> {
    let text = |name: &'a str, value: &'a [u8]| (Cow::Borrowed(name), String::from_utf8_lossy(value));
    let (body, is_base64) = match std::str::from_utf8(body) {
        Ok(text) => (Cow::Borrowed(text), false),
        Err(_) => (Cow::Owned(BASE64_STANDARD.encode(body)), true),
    };
    ProxyEvent {
        method: method.into(),
        path: path.into(),
        headers: TextMap(headers.iter().map(|(n, v)| text(n.as_str(), v.as_bytes())).collect()),
        query: TextMap(query.iter().map(|(n, v)| (n.as_str().into(), v.as_str().into())).collect()),
        path_parameters: TextMap::default(),
        context: RequestContext {
            request_id: None,
            identity: Identity {
                source_ip: Some("127.0.0.1".into()),
                client_cert: ClientCert { subject: None, pem: certificate.map(Cow::Owned) },
            },
            authorizer: admitted.context.map(|context| Authorizer(TextMap(context))),
        },
        body: (!body.is_empty()).then_some(body),
        is_base64,
    }
}

/// A page in a browser can reach the loopback interface under a name of its own (DNS rebinding), or send a form across
/// sites: the one shows in `Host`, the other in `Origin`.
fn is_for_this_machine(headers: &HeaderMap) -> bool {
    let local = |authority: &str| {
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        matches!(host, "127.0.0.1" | "localhost" | "[::1]")
    };
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let origin = text("origin").is_none_or(|o| {
        ["http://", "https://"].iter().any(|scheme| o.strip_prefix(scheme).is_some_and(local))
    });
    text("host").is_some_and(local) && origin
}

fn query(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes()).map(|(n, v)| (n.into_owned(), v.into_owned())).collect()
}

fn into_http(answer: ProxyResponse) -> Response<Body> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut http = Response::builder().status(status);
    for (name, value) in answer.all_headers() {
        http = http.header(name, value);
    }
    // Our own header names and values are valid; an empty answer would still be an answer.
    http.body(Body::from(answer.body.into_owned())).unwrap_or_default()
}

/// API Gateway's payload limit: 10 MB.
const MAX_BODY: usize = 10 * 1024 * 1024;
/// API Gateway's integration timeout.
const GATEWAY_TIMEOUT: Duration = Duration::from_secs(29);
const MAX_AT_ONCE: usize = 64;
/// What the token service publishes outside of its own folder.
const PUBLISHED: [&str; 2] = ["/.well-known/oauth-authorization-server", "/openapi.json"];

const TOO_LARGE: Problem = Problem::new(413, "body-too-large", "The body is too large");
const BROKEN_OFF: Problem = Problem::new(400, "bad-request", "The body did not arrive whole");
const NOT_FOR_US: Problem =
    Problem::new(403, "forbidden", "This stack answers requests for 127.0.0.1 and localhost alone");
const FAILED: Problem = Problem::new(500, "internal", "The request could not be processed");
const TIMED_OUT: Problem = Problem::new(504, "timed-out", "The answer took too long");
