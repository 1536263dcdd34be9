//! The local stack: both functions over the embedded database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pii_function::{Caller, Parts, PiiFunction, Ports};
use portcullis_access::Identities;
use portcullis_lambda::{Metrics, SystemClock};
use portcullis_local::{LocalKeyWrapper, OpenError, RootKey, Store, StoreOptions};
use portcullis_pii::{ClassificationPolicy, Detector, HierarchyOptions, KeyHierarchy};

use sts_function::StsFunction;

use super::gateway::Gateway;
use super::http::Server;
use super::identity;
use super::response::Responders;
use super::secrets::LocalSecrets;
use crate::config::Environment;
use crate::failure::Failure;

/// Where data and the key over it are kept.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DataArgs {
    /// Folder of the embedded database.
    #[arg(long, value_name = "DIR", default_value = ".portcullis")]
    data: PathBuf,
    /// File of the root key; made where there is none. Never inside the data folder, so that a copy of the data alone
    /// says nothing. Default: portcullis/root.key in your configuration folder.
    #[arg(long, value_name = "FILE")]
    root_key: Option<PathBuf>,
}

impl DataArgs {
    /// The root key's file, where one is named.
    pub(crate) fn root_key(&self) -> Option<&Path> {
        self.root_key.as_deref()
    }
}

/// The adapters of the local stack.
pub(crate) struct LocalPorts;

impl Ports for LocalPorts {
    type Wrapper = LocalKeyWrapper;
    type Keys = Store;
    type Records = Store;
    type Claims = Store;
    type Objects = Store;
    type DeadLetters = Store;
    type Audit = Store;
    type Clock = SystemClock;
}

impl webhook_function::Ports for LocalPorts {
    type Secrets = LocalSecrets;
    type Queue = Store;
    type Claims = Store;
    type Audit = Store;
    type Clock = SystemClock;
}

/// An opened stack.
pub(crate) struct Stack {
    pub(crate) store: Store,
    pub(crate) wrapper: LocalKeyWrapper,
    pub(crate) root: RootKey,
    pub(crate) data: PathBuf,
    pub(crate) identities: Identities,
}

impl Stack {
    pub(crate) fn open(args: &DataArgs, environment: &Environment) -> Result<Self, Failure> {
        let key_file = match &args.root_key {
            Some(file) => file.clone(),
            None => environment
                .root_key()
                .ok_or_else(|| Failure::usage("no home folder is known: name a file with --root-key"))?,
        };
        let root = RootKey::load_or_create(&key_file)
            .map_err(|e| Failure::usage(format!("root key {}: {e}", key_file.display())))?;
        // What can never be processed is put aside by the function itself: what comes back is trouble that passes, and
        // a full disk for a minute must not make dead letters of good messages.
        let options = StoreOptions { max_receive_count: 10_000, ..StoreOptions::default() };
        let store = Store::open(&args.data, &root, Arc::new(SystemClock), options)
            .map_err(|e| cannot_open(args, &e))?;
        let wrapper = LocalKeyWrapper::new(&root);
        let identities = identity::identities(None)?;
        Ok(Self { store, wrapper, root, data: args.data.clone(), identities })
    }

    /// With the identities of this file, if one is named.
    pub(crate) fn with_identities(mut self, file: Option<&Path>) -> Result<Self, Failure> {
        self.identities = identity::identities(file)?;
        Ok(self)
    }

    /// The PII function over this stack.
    pub(crate) fn pii(&self) -> PiiFunction<LocalPorts> {
        PiiFunction::new(Parts {
            keys: KeyHierarchy::new(
                self.wrapper.clone(),
                self.store.clone(),
                SystemClock,
                HierarchyOptions::new("subject-keys"),
            ),
            records: self.store.clone(),
            claims: self.store.clone(),
            objects: self.store.clone(),
            dead_letters: self.store.clone(),
            auditor: identity::auditor(self, "pii"),
            clock: SystemClock,
            detector: Detector::new(),
            policy: ClassificationPolicy::default(),
            metrics: Metrics::off("pii"),
            media_queue: "media".to_owned(),
            table: "conversations".to_owned(),
        })
    }

    /// The HTTP side over this stack.
    pub(crate) fn server(
        &self,
        secrets: LocalSecrets,
        sts: StsFunction<LocalPorts>,
        gateway: Gateway,
        responders: Arc<Responders>,
    ) -> Server {
        Server::new(self, secrets, sts, gateway, responders)
    }

    /// Whoever opens the data folder himself: he holds its root key, and nothing is between him and what it opens.
    pub(crate) fn holder() -> Caller {
        Caller { id: "root-key-holder".to_owned(), roles: vec!["pii-reader".to_owned()] }
    }
}

fn cannot_open(args: &DataArgs, error: &OpenError) -> Failure {
    let hint = match error {
        OpenError::InUse => "; ask the running stack with --url, or name another folder with --data",
        OpenError::WrongKey => "; it was made with another root key: name that one with --root-key",
        _ => "",
    };
    Failure::usage(format!("{}: {error}{hint}", args.data.display()))
}
