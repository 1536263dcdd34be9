//! Connections: accepted, shaken hands with, served, and ended in time.

use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use portcullis_base::Clock;
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::{Service, ServiceExt};

use super::config::{Current, unix_time};
use super::report::shortened;
use super::{MtlsServer, Why, WouldBreak};
use crate::peer::{self, PeerCertificate};

/// Where the connection comes from, among the extensions of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

type BoxError = Box<dyn Error + Send + Sync>;

impl<C: Clock + 'static> MtlsServer<C> {
    /// Serves HTTP/1.1 until `stop` comes, then ends the connections, at most the grace (10 s) later. Requests have a
    /// [`PeerAddress`] among their extensions and, with a good client certificate, a [`PeerCertificate`].
    pub async fn serve<S, B>(
        self: Arc<Self>,
        listener: TcpListener,
        service: S,
        stop: impl Future<Output = ()>,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let places = Arc::new(Semaphore::new(self.settings.max_connections));
        let mut stop = pin!(stop);
        let mut reload = tokio::time::interval(self.settings.reload_every.max(SHORTEST));
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = reload.tick() => self.reload(),
                Some(_) = connections.join_next() => {}
                Some((stream, address, place)) = accept(&listener, &places) => {
                    let server = Arc::clone(&self);
                    let connection = server.connection(stream, address, service.clone(), stopped.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
            }
        }
        drop(listener);
        // Nobody listening any more is as good.
        let _told = stopping.send(true);
        let all_ended = async { while connections.join_next().await.is_some() {} };
        if timeout(self.settings.grace, all_ended).await.is_err() {
            connections.shutdown().await;
        }
    }

    fn reload(&self) {
        if let Err(error) = self.reload_if_changed() {
            tracing::warn!(%error, "certificates changed and cannot be used: the old ones stay");
        }
    }

    async fn connection<S, B>(
        self: Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        service: S,
        mut stopped: watch::Receiver<bool>,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let current = self.current();
        let accepting = TlsAcceptor::from(Arc::clone(&current.config)).accept(stream);
        let Ok(Ok(stream)) = timeout(self.settings.handshake_timeout, accepting).await else {
            tracing::info!(peer = %address, "no tls connection");
            return;
        };
        let standing = self.standing(&current, &stream, address);
        let (max_age, grace) = (self.settings.max_connection_age, self.settings.grace);
        let serve = service_fn(move |mut request: Request<Incoming>| {
            self.mark(&standing, &mut request);
            service.clone().oneshot(request)
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEADERS);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), serve));
        let over = async {
            tokio::select! {
                () = sleep(max_age) => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = over => {
                connection.as_mut().graceful_shutdown();
                // Whoever takes its answer slowly, or sends its body so, is waited for no longer: its place is others'.
                let Ok(ended) = timeout(grace, connection).await else {
                    tracing::info!(peer = %address, "connection cut off: its time was over");
                    return;
                };
                ended
            }
        };
        if let Err(error) = ended {
            tracing::debug!(peer = %address, %error, "connection broke");
        }
    }

    fn standing(&self, current: &Current, stream: &TlsStream<TcpStream>, address: SocketAddr) -> Standing {
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let judged = current.verifier.judge(chain, unix_time(&*self.clock));
        let first = chain.first().map(CertificateDer::as_ref);
        let claimed = first.and_then(peer::spiffe_id);
        let verified = match (judged, first) {
            (Ok(()), Some(der)) => Ok(PeerCertificate::dangerous_from_verified_der(der)),
            (Ok(()), None) => Err(Why::NoCertificate),
            (Err(why), _) => Err(why),
        };
        Standing { address, claimed, verified }
    }

    fn mark<B>(&self, standing: &Standing, request: &mut Request<B>) {
        request.extensions_mut().insert(PeerAddress(standing.address));
        match &standing.verified {
            Ok(certificate) => {
                request.extensions_mut().insert(certificate.clone());
            }
            Err(why) => self.report(standing, *why, shortened(request.uri().path())),
        }
    }

    fn report(&self, standing: &Standing, why: Why, path: &str) {
        let claimed = standing.claimed.as_deref();
        let request = WouldBreak { peer: standing.address, claimed, path, why };
        if self.summary.count(&request) {
            tracing::warn!(peer = %standing.address.ip(), claimed, path, %why, "strict mode would keep this out");
        }
        if let Some(reporter) = &self.settings.reporter {
            reporter.would_break(&request);
        }
    }
}

/// What is known of the other end.
struct Standing {
    address: SocketAddr,
    claimed: Option<String>,
    verified: Result<PeerCertificate, Why>,
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return Some((stream, address, place)),
            Err(error) => {
                // Out of file descriptors, mostly: others must end first.
                tracing::warn!(%error, "connection could not be accepted");
                sleep(AFTER_FAILURE).await;
            }
        }
    }
}

const HEADERS: Duration = Duration::from_secs(10);
const SHORTEST: Duration = Duration::from_millis(10);
const AFTER_FAILURE: Duration = Duration::from_millis(100);
