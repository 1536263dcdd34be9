//! `portcullis access`: who may do what, and which policy says so.

use std::path::{Path, PathBuf};

use portcullis_access::{
    AccessDecision, Action, ApprovalFacts, Because, Circumstances, Identities, PolicySet, Principal,
};
use portcullis_token::Scope;
use serde::Serialize;

use crate::failure::Failure;
use crate::input;
use crate::output::Output;

/// The subcommands of `portcullis access`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Explain(Explain),
}

/// Says whether an identity may do something, which policies decide that, and their texts. Exit code 1 where it may not.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  portcullis access explain --as svc.analyst --action execute:external --resource plan-7\n  \
                  portcullis access explain --as svc.actuator --action execute:external --resource plan-7 \\\n    \
                  --approved-plan plan-7 --approver svc.enterprise"
)]
pub(crate) struct Explain {
    /// The identity, as in config/access/identities.yml.
    #[arg(long = "as", value_name = "ID")]
    identity: String,
    /// What it wants to do: read:conversations, execute:external, ….
    #[arg(long)]
    action: Action,
    /// What it wants to do it to.
    #[arg(long, value_name = "NAME", default_value = "")]
    resource: String,
    /// Scopes of its token; all of its role where absent.
    #[arg(long, value_delimiter = ' ')]
    scope: Vec<String>,
    /// The plan of a single-use approval that comes with the request.
    #[arg(long, value_name = "PLAN", requires = "approver")]
    approved_plan: Option<String>,
    /// Who gave that approval.
    #[arg(long, value_name = "ID", requires = "approved_plan")]
    approver: Option<String>,
    /// Folder of policies (*.cedar) in place of the shipped ones, held against the shipped schema or its own
    /// schema.cedarschema.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Identities in place of the shipped ones.
    #[arg(long, value_name = "FILE")]
    identities: Option<PathBuf>,
}

pub(crate) fn run(command: &Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Explain(args) => explain(args, output),
    }
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Explanation {
    identity: String,
    role: String,
    action: String,
    resource: String,
    allowed: bool,
    because: &'static str,
    policies: Vec<Policy>,
    errors: Vec<String>,
}

/// A policy that decided.
#[derive(Debug, Serialize)]
struct Policy {
    id: String,
    effect: &'static str,
    text: String,
}

fn explain(args: &Explain, output: &Output) -> Result<(), Failure> {
    let identities = identities(args.identities.as_deref())?;
    let identity = identities
        .find(&args.identity)
        .ok_or_else(|| Failure::usage(format!("no identity is called {:?}", args.identity)))?;
    let policies = policies(args.policies.as_deref())?;
    let scopes = match &*args.scope {
        [] => identity.scopes.iter().map(Action::as_str).collect::<Vec<_>>().join(" "),
        some => some.join(" "),
    };
    let scopes = Scope::parse(&scopes).map_err(|e| Failure::usage(format!("--scope: {e}")))?;
    let roles = [identity.role.clone()];
    let principal = Principal { id: &identity.id, roles: &roles, scopes: &scopes };
    let approval = args.approved_plan.as_deref().zip(args.approver.as_deref());
    let circumstances =
        Circumstances { approval: approval.map(|(plan, approver)| ApprovalFacts { plan, approver }) };
    let decision = policies.authorize(&principal, &args.action, &args.resource, &circumstances);
    let explanation = Explanation {
        identity: identity.id.clone(),
        role: identity.role.clone(),
        action: args.action.to_string(),
        resource: args.resource.clone(),
        allowed: decision.allowed,
        because: decision.because.as_str(),
        policies: decision.policies.iter().map(|id| policy(&policies, id)).collect(),
        errors: decision.errors.clone(),
    };
    output.line(&explanation, || in_words(&explanation, &decision))?;
    if decision.allowed { Ok(()) } else { Err(Failure::refused("it may not")) }
}

fn policy(policies: &PolicySet, id: &str) -> Policy {
    let known = policies.policy(id);
    Policy {
        id: id.to_owned(),
        effect: known.as_ref().map_or("unknown", |p| if p.permits { "permit" } else { "forbid" }),
        text: known.map(|p| p.text).unwrap_or_default(),
    }
}

fn in_words(explanation: &Explanation, decision: &AccessDecision) -> String {
    let Explanation { identity, role, action, resource, .. } = explanation;
    let verdict = if decision.allowed { "may" } else { "may NOT" };
    let on = if resource.is_empty() { String::new() } else { format!(" on {resource}") };
    let why = match decision.because {
        Because::Permitted => "a policy permits it, none forbids it, and the token has the scope",
        Because::NothingPermits => "no policy permits it",
        Because::Forbidden => "a policy forbids it",
        Because::ScopeMissing => "policies permit it, but the token does not have the scope",
        Because::EvaluationFailed => "the policies cannot be evaluated for this request",
    };
    let texts: String = explanation.policies.iter().map(|p| format!("\n\n{}", p.text.trim())).collect();
    format!("{identity} (role {role}) {verdict} {action}{on}: {why}.{texts}")
}

fn identities(file: Option<&Path>) -> Result<Identities, Failure> {
    let Some(file) = file else {
        return Identities::shipped().map_err(|e| Failure::usage(format!("shipped identities: {e}")));
    };
    Identities::parse(&input::text(file, MAX_FILE)?).map_err(|e| input::wrong(file, &e))
}

fn policies(folder: Option<&Path>) -> Result<PolicySet, Failure> {
    let Some(folder) = folder else {
        return PolicySet::shipped().map_err(|e| Failure::usage(format!("shipped policies: {e}")));
    };
    let text = |file: &Path| input::text(file, MAX_FILE);
    let files = input::folder(folder)?.into_iter().filter(|file| input::ends_with(file, &["cedar"]));
    let texts = files.map(|file| text(&file)).collect::<Result<Vec<_>, _>>()?;
    if texts.is_empty() {
        return Err(input::wrong(folder, &"no policies (*.cedar)"));
    }
    let own_schema = folder.join("schema.cedarschema");
    let schema =
        if own_schema.exists() { text(&own_schema)? } else { PolicySet::shipped_schema().to_owned() };
    PolicySet::parse(&texts.iter().map(String::as_str).collect::<Vec<_>>(), &schema)
        .map_err(|e| input::wrong(folder, &e))
}

const MAX_FILE: u64 = 256 * 1024;
