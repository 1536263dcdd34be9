//! `portcullis serve`: the whole stack in one process, on one port of the loopback interface.

mod banner;
mod callers;
mod demo;
mod events;
mod gateway;
mod http;
mod identity;
mod incidents;
mod response;
mod secrets;
mod stack;
mod tls;
mod worker;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_lambda::LogFormat;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::config::Environment;
use crate::failure::Failure;
use crate::output::Output;

use self::gateway::Gateway;
use self::response::{Responders, ResponseArgs};
use self::tls::TlsArgs;

pub(crate) use secrets::SecretArgs;
pub(crate) use stack::{DataArgs, LocalPorts, Stack};

/// Starts the webhook validator, its queues, the PII consumer and endpoints, the token service, the authorizer and both
/// incident responders over an embedded database, and stays up until Ctrl-C. What was accepted survives a crash.
///
/// The responders act on a SIMULATED AWS account, kept in the same database: it has every user, role, instance, function and
/// bucket that an event names (POST /events), and no call leaves this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  portcullis serve --data ./data --port 8787\n  portcullis serve --demo")]
pub(crate) struct Args {
    /// Port on 127.0.0.1; 0 for any free one.
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// Play the sample events through the stack after the start, and show what became of them.
    #[arg(long)]
    demo: bool,
    /// Folder of the sample events.
    #[arg(long, value_name = "DIR", default_value = "events")]
    events: PathBuf,
    /// Identities in place of the shipped ones: a file of the form of config/access/identities.yml.
    #[arg(long, value_name = "FILE")]
    identities: Option<PathBuf>,
    /// Issuers of users' tokens that may be exchanged: a list of {name, issuer, audiences, algorithms, jwks_uri}.
    #[arg(long, value_name = "FILE")]
    user_issuers: Option<PathBuf>,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    secrets: SecretArgs,
    #[command(flatten)]
    response: ResponseArgs,
}

pub(crate) async fn run(args: Args, output: &Output, environment: &Environment) -> Result<(), Failure> {
    // From the start: a signal that comes while the demonstration plays ends the stack in order as well.
    let mut interrupted = Interrupt::listen()?;
    portcullis_lambda::init_logging(LogFormat::Human, &environment.log_level);
    let stack = Stack::open(&args.data, environment)?.with_identities(args.identities.as_deref())?;
    let secrets = args.secrets.source(environment)?;
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)))
        .await
        .map_err(|e| Failure::usage(format!("port {}: {e}", args.port)))?;
    let address = listener.local_addr().map_err(|e| Failure::usage(format!("port {}: {e}", args.port)))?;

    let (stop, stopped) = watch::channel(false);
    let responders = Arc::new(Responders::new(&stack, &args.response, &args.secrets, environment)?);
    responders.take_over().await?;
    let workers = worker::start(&stack, &responders, &stopped);
    identity::register_clients(&stack).await?;
    let tls = args.tls.server()?;
    let url = format!("{}://{address}", if tls.is_some() { "https" } else { "http" });
    let issuer = identity::issuer(&url)?;
    let sts =
        identity::token_service(&stack, &issuer, identity::user_issuers(args.user_issuers.as_deref())?)?;
    let gateway = Gateway::new(&stack, &issuer, args.tls.mode())?;
    let server = tokio::spawn(http::serve(
        listener,
        stack.server(secrets, sts, gateway, responders),
        tls.clone(),
        stopped.clone(),
    ));
    banner::started(output, &url, &stack, &args.response.followed())?;
    let shown = async {
        if args.demo {
            let secret = args.secrets.webhook(environment).await?;
            let conversation = demo::play(output, address, &stack, &secret, &args.events).await?;
            if let Some(conversation) = &conversation {
                callers::show(output, &url, &stack, conversation).await?;
            }
            incidents::show(output, &url, &stack).await?;
            let root_key = args.data.root_key();
            banner::next_commands(output, &url, &environment.program, root_key, conversation.as_deref())?;
        }
        std::future::pending::<Result<(), Failure>>().await
    };
    tokio::select! {
        failed = shown => failed?,
        () = interrupted.wait() => {}
    }
    banner::stopping(output)?;
    // Nobody listening any more means that it has stopped already.
    let _all_gone = stop.send(true);
    server.await.map_err(|_| Failure::usage("the server failed"))??;
    workers.finish().await;
    tls.map_or(Ok(()), |tls| tls::findings(output, &tls.findings()))
}

/// Ctrl-C, or the signal that a process manager ends services with.
struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupt {
    fn listen() -> Result<Self, Failure> {
        let failed = |e: std::io::Error| Failure::usage(format!("signals cannot be received: {e}"));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
