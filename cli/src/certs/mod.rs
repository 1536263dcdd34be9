//! `portcullis certs`: certificates for services that call each other over mutual TLS.

mod show;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use portcullis_base::Clock;
use portcullis_certs::{
    Authority, CaOptions, CertsError, Days, DnsName, RevocationReason, Serial, Service, TrustDomain, Which,
};

use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a certificate authority: ca/ with its key, its certificate, a revocation list, and truststore.pem for the
    /// custom domain of API Gateway.
    ///
    /// It can make no other authority, and certifies only services of its trust domain, on hosts of that domain, on
    /// localhost, and on what --permit-dns and --permit-ip add. It says so itself: every verifier holds it to that.
    Init(Init),
    /// Issue a server's and a client's certificate to a service: SERVICE/ with ca.crt, crl.pem, server.crt, server.key,
    /// client.crt, client.key.
    ///
    /// Both name the service by its SPIFFE id. Nothing is overwritten.
    Issue(Issue),
    /// Replace a service's certificates by new ones with the same names, new keys and new serial numbers.
    ///
    /// The old ones stay good until they end: running services pick up the new ones without a restart.
    Renew(Renew),
    /// Revoke a service's certificates, or one by its serial number, and sign a new revocation list (crl.pem, in ca/ and in
    /// every service's folder).
    ///
    /// Servers that read crl.pem hear of it: those of portcullis-client at once, for new connections. Said again, it signs
    /// the list and writes it to every folder once more: do so after a failure. API Gateway and the functions behind it do
    /// not hear of it: a truststore has no revocation list. Tell the functions FIRST, by
    /// `portcullis token revoke --certificate FILE --url URL`: they refuse the certificate, and the tokens that are bound to
    /// it, within seconds. To shut it out of the connection itself, put the certificates of a new CA into the truststore.
    /// docs/OPERATIONS.md, "A certificate's key is lost".
    Revoke(Revoke),
    /// List all certificates: valid, renew-soon (a third of the life is left), superseded, expired, revoked.
    List(Folder),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Folder {
    /// Where the certificates are.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    dir: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  portcullis certs init --trust-domain corp.example --permit-ip 10.0.0.0/8"
)]
pub(crate) struct Init {
    #[command(flatten)]
    folder: Folder,
    /// The trust domain: services are spiffe://TRUST_DOMAIN/svc.NAME.
    #[arg(long, default_value = "portcullis.internal")]
    trust_domain: TrustDomain,
    /// Life of the authority in days.
    #[arg(long, default_value_t = 1825, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
    /// Another domain whose hosts may be certified.
    #[arg(long, value_name = "DOMAIN")]
    permit_dns: Vec<DnsName>,
    /// Another network whose addresses may be certified.
    #[arg(long, value_name = "CIDR")]
    permit_ip: Vec<ipnet::IpNet>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  portcullis certs issue svc.actuator --dns localhost --ip 127.0.0.1")]
pub(crate) struct Issue {
    /// The service, such as svc.actuator.
    service: Service,
    #[command(flatten)]
    folder: Folder,
    /// Host name of the server (without any name: SERVICE.TRUST_DOMAIN).
    #[arg(long, value_name = "NAME")]
    dns: Vec<DnsName>,
    /// Address of the server.
    #[arg(long, value_name = "ADDRESS")]
    ip: Vec<IpAddr>,
    /// Life in days, at most 90.
    #[arg(long, default_value = "90")]
    days: Days,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Renew {
    /// The service, such as svc.actuator.
    service: Service,
    #[command(flatten)]
    folder: Folder,
    /// Life in days, at most 90.
    #[arg(long, default_value = "90")]
    days: Days,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  portcullis certs revoke svc.actuator --reason key-compromise")]
pub(crate) struct Revoke {
    /// The service whose certificates are revoked, all of them.
    #[arg(required_unless_present = "serial", conflicts_with = "serial")]
    service: Option<Service>,
    /// One certificate, by its serial number (see certs list).
    #[arg(long, value_name = "HEX")]
    serial: Option<Serial>,
    #[command(flatten)]
    folder: Folder,
    /// Why.
    #[arg(long, value_enum, default_value_t = Reason::Unspecified)]
    reason: Reason,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Reason {
    Unspecified,
    KeyCompromise,
    Superseded,
    CessationOfOperation,
}

pub(crate) fn run(command: Command, output: Output, clock: &impl Clock) -> Result<(), Failure> {
    let authority = |folder: &Folder| Authority::new(&folder.dir, clock);
    match command {
        Command::Init(args) => {
            let ca = authority(&args.folder).init(&CaOptions {
                trust_domain: args.trust_domain,
                days: args.days,
                permitted_dns: args.permit_dns,
                permitted_ips: args.permit_ip,
            });
            show::authority(output, &args.folder.dir, &ca.map_err(failure)?)
        }
        Command::Issue(args) => {
            let issued = authority(&args.folder).issue(&args.service, &args.dns, &args.ip, args.days);
            show::entries(output, &issued.map_err(failure)?)
        }
        Command::Renew(args) => {
            let renewed = authority(&args.folder).renew(&args.service, args.days);
            show::entries(output, &renewed.map_err(failure)?)
        }
        Command::Revoke(args) => {
            let Some(which) = args.service.map(Which::Service).or(args.serial.map(Which::Serial)) else {
                return Err(Failure::usage("a service or --serial is needed"));
            };
            let revoked = authority(&args.folder).revoke(&which, args.reason.into());
            show::entries(output, &revoked.map_err(failure)?)
        }
        Command::List(folder) => {
            show::list(output, &authority(&folder).list().map_err(failure)?, clock.now())
        }
    }
}

impl From<Reason> for RevocationReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Unspecified => Self::Unspecified,
            Reason::KeyCompromise => Self::KeyCompromise,
            Reason::Superseded => Self::Superseded,
            Reason::CessationOfOperation => Self::CessationOfOperation,
        }
    }
}

/// What the CA will not do is an answer; all else could not be done.
fn failure(error: CertsError) -> Failure {
    match error {
        CertsError::Exists(_)
        | CertsError::AlreadyRevoked(_)
        | CertsError::NotPermitted(_)
        | CertsError::AuthorityExpired => Failure::refused(error.to_string()),
        error => Failure::usage(error.to_string()),
    }
}
