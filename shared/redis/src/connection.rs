//! The connection: made when first needed, made anew when it broke.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_lock::Mutex;
use portcullis_base::{ExposeSecret, SecretString};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue,
    IntoConnectionInfo, RedisConnectionInfo, Script, ServerErrorKind, TlsCertificates, ToRedisArgs,
};

use crate::settings::Password;
use crate::{RedisError, RedisSettings};

/// A server, and the connection to it that all who hold a clone share.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    settings: RedisSettings,
    password: Mutex<Password>,
    connection: Mutex<Option<Numbered>>,
    /// How many connections were made.
    made: AtomicU64,
}

/// A connection and how many there were before it.
#[derive(Clone)]
struct Numbered {
    number: u64,
    connection: MultiplexedConnection,
}

/// A call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No answer in time, no connection, or an error of the server that may pass.
    Transient,
    /// The server answered, and its answer will not change by asking again.
    Rejected,
    /// The answer has not the expected form.
    Malformed,
}

impl Redis {
    /// Takes the settings; calls nothing yet.
    ///
    /// # Errors
    /// When the CA certificates cannot be read.
    pub fn new(settings: &RedisSettings) -> Result<Self, RedisError> {
        client(settings, None)?;
        let inner = Inner {
            settings: settings.clone(),
            password: Mutex::new(settings.password.clone()),
            connection: Mutex::new(None),
            made: AtomicU64::new(0),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs a script on these keys, loading it where the server does not have it, within the time of the settings.
    ///
    /// A call on a connection that turns out to be broken is made once more on a new one: it may run twice.
    pub(crate) async fn run<T: FromRedisValue, A: ToRedisArgs>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[A],
    ) -> Result<T, Failure> {
        let call = async {
            match self.attempt(script, keys, arguments, None).await {
                Err((error, Some(broken))) if is_broken(&error) => {
                    self.attempt(script, keys, arguments, Some(broken)).await
                }
                answer => answer,
            }
        };
        match tokio::time::timeout(self.inner.settings.timeout, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err((error, _))) => Err(failure_of(&error)),
            Err(_) => {
                tracing::warn!("redis call timed out");
                // It may be dead without a word, as after a Lambda was frozen: the next call makes a new one.
                if let Some(mut slot) = self.inner.connection.try_lock() {
                    *slot = None;
                }
                Err(Failure::Transient)
            }
        }
    }

    /// One attempt. Its error comes with the number of the connection it was made on, if there was one.
    async fn attempt<T: FromRedisValue, A: ToRedisArgs>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[A],
        broken: Option<u64>,
    ) -> Result<T, (redis::RedisError, Option<u64>)> {
        let Numbered { number, mut connection } =
            self.connection(broken).await.map_err(|error| (error, None))?;
        let mut invocation = script.prepare_invoke();
        for key in keys {
            invocation.key(key);
        }
        for argument in arguments {
            invocation.arg(argument);
        }
        match invocation.invoke_async(&mut connection).await {
            Ok(value) => Ok(value),
            Err(error) => {
                if is_broken(&error) {
                    self.drop_connection(number).await;
                }
                Err((error, Some(number)))
            }
        }
    }

    /// The connection, made if need be, by one at a time.
    async fn connection(&self, broken: Option<u64>) -> redis::RedisResult<Numbered> {
        let mut slot = self.inner.connection.lock().await;
        if let Some(known) = slot.as_ref().filter(|known| Some(known.number) != broken) {
            return Ok(known.clone());
        }
        *slot = None;
        let connection = match self.connect().await {
            Err(error) if error.kind() == ErrorKind::AuthenticationFailed && self.forget_password().await => {
                self.connect().await?
            }
            connected => connected?,
        };
        let number = self.inner.made.fetch_add(1, Ordering::Relaxed);
        let made = Numbered { number, connection };
        *slot = Some(made.clone());
        Ok(made)
    }

    async fn connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        let Inner { settings, .. } = &*self.inner;
        let password = self.password().await?;
        let client = client(settings, password.as_ref());
        let client = client.map_err(|_| (ErrorKind::InvalidClientConfig, "the address or the CA"))?;
        // The caller's time bounds the whole: these only keep the driver from bounding it more tightly.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.timeout))
            .set_response_timeout(Some(settings.timeout));
        client.get_multiplexed_async_connection_with_config(&config).await
    }

    async fn password(&self) -> redis::RedisResult<Option<SecretString>> {
        let mut password = self.inner.password.lock().await;
        match &mut *password {
            Password::None => Ok(None),
            Password::Known(known) | Password::Kept(Some(known), _) => Ok(Some(known.clone())),
            Password::Kept(known, source) => {
                *known = source().await;
                known.clone().map(Some).ok_or_else(|| (ErrorKind::Io, "the password is not to be had").into())
            }
        }
    }

    /// Whether there may be another one.
    async fn forget_password(&self) -> bool {
        match &mut *self.inner.password.lock().await {
            Password::None | Password::Known(_) => false,
            Password::Kept(known, _) => known.take().is_some(),
        }
    }

    /// Forgets a connection, unless another has taken its place.
    async fn drop_connection(&self, number: u64) {
        let mut slot = self.inner.connection.lock().await;
        if slot.as_ref().is_some_and(|known| known.number == number) {
            *slot = None;
        }
    }
}

/// Shows neither address nor password.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("timeout", &self.inner.settings.timeout).finish_non_exhaustive()
    }
}

fn client(settings: &RedisSettings, password: Option<&SecretString>) -> Result<Client, RedisError> {
    let (host, port) = (settings.host.clone(), settings.port);
    let address = if settings.tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    let mut identity = RedisConnectionInfo::default().set_db(settings.database.into());
    if let Some(user) = &settings.user {
        identity = identity.set_username(user);
    }
    if let Some(password) = password {
        identity = identity.set_password(password.expose_secret());
    }
    let info = address.into_connection_info().map_err(|_| RedisError::Address)?.set_redis_settings(identity);
    match &settings.ca_pem {
        Some(pem) if settings.tls => with_ca(info, pem),
        _ => Client::open(info).map_err(|_| RedisError::Address),
    }
}

fn with_ca(info: ConnectionInfo, pem: &[u8]) -> Result<Client, RedisError> {
    // The driver takes text without a certificate for an empty list, and then trusts nobody: say so at the start.
    if !pem.windows(PEM_CERTIFICATE.len()).any(|window| window == PEM_CERTIFICATE) {
        return Err(RedisError::Certificates);
    }
    let trust = TlsCertificates { client_tls: None, root_cert: Some(pem.to_vec()) };
    Client::build_with_tls(info, trust).map_err(|_| RedisError::Certificates)
}

/// Whether another connection may do better: this one is dead, or leads to a server that is primary no more.
fn is_broken(error: &redis::RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// What an error means. Logged by its kind and code alone: its text may quote the request.
fn failure_of(error: &redis::RedisError) -> Failure {
    tracing::warn!(kind = ?error.kind(), code = error.code().unwrap_or(""), "redis call failed");
    match error.kind() {
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Failure::Malformed,
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => Failure::Rejected,
        ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::CrossSlot | ServerErrorKind::Moved) => {
            Failure::Rejected
        }
        ErrorKind::Server(ServerErrorKind::ResponseError) => Failure::Rejected,
        ErrorKind::Extension => match error.code() {
            Some("WRONGTYPE" | MALFORMED) => Failure::Malformed,
            Some("NOAUTH" | "WRONGPASS") => Failure::Rejected,
            _ => Failure::Transient,
        },
        _ => Failure::Transient,
    }
}

/// The code of the error with which our scripts answer when what they find is not theirs.
pub(crate) const MALFORMED: &str = "MALFORMED";
const PEM_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";
