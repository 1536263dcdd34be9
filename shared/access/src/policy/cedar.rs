//! The Cedar side: policies parsed once, entities made without a detour through JSON.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Effect, Entities, Entity, EntityId, EntityTypeName,
    EntityUid, PolicyId, Request, Response, RestrictedExpression, Schema, ValidationMode, Validator,
};

use super::{AccessDecision, Because, Circumstances, Principal};
use crate::Action;

/// A set of policies. Denies what none of them permits.
pub struct PolicySet {
    policies: cedar_policy::PolicySet,
    authorizer: Authorizer,
    types: Types,
}

/// The entity types of the schema.
struct Types {
    principal: EntityTypeName,
    role: EntityTypeName,
    object: EntityTypeName,
    action: EntityTypeName,
}

/// What is wrong with policies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Longer than 256 KiB together.
    #[error("policies are too long")]
    TooLarge,
    /// Not Cedar.
    #[error("policies cannot be read: {0}")]
    Malformed(String),
    /// The schema is not one.
    #[error("policy schema cannot be read: {0}")]
    Schema(String),
    /// A policy has no `@id`, or two have the same.
    #[error("policy {0} has no @id of its own")]
    Id(String),
    /// A policy speaks of what the schema does not know, or can never apply.
    #[error("policies do not fit the schema: {0}")]
    Invalid(String),
}

/// A policy as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyText {
    /// Its `@id`.
    pub id: String,
    /// Whether it permits; else it forbids.
    pub permits: bool,
    /// Its text.
    pub text: String,
}

impl PolicySet {
    /// Reads policies and holds them against a schema.
    ///
    /// # Errors
    /// See [`PolicyError`].
    pub fn parse(policies: &[&str], schema: &str) -> Result<Self, PolicyError> {
        let set = Self::parse_trusted(policies)?;
        let (schema, _) =
            Schema::from_cedarschema_str(schema).map_err(|e| PolicyError::Schema(e.to_string()))?;
        let result = Validator::new(schema).validate(&set.policies, ValidationMode::Strict);
        if result.validation_passed_without_warnings() {
            return Ok(set);
        }
        let errors = result.validation_errors().map(ToString::to_string);
        let problems: Vec<String> =
            errors.chain(result.validation_warnings().map(ToString::to_string)).collect();
        Err(PolicyError::Invalid(problems.join("; ")))
    }

    /// The policies that the stack ships. A test holds them against their schema, so that a start does not have to.
    ///
    /// # Errors
    /// Never, as a test holds.
    pub fn shipped() -> Result<Self, PolicyError> {
        Self::parse_trusted(&SHIPPED)
    }

    /// The schema of the shipped policies, for checking others.
    pub const fn shipped_schema() -> &'static str {
        SCHEMA
    }

    /// No policies: denies everything.
    ///
    /// # Errors
    /// Never, as a test holds.
    pub fn empty() -> Result<Self, PolicyError> {
        Self::parse_trusted(&[])
    }

    pub(super) fn parse_trusted(sources: &[&str]) -> Result<Self, PolicyError> {
        if sources.iter().map(|s| s.len()).sum::<usize>() > MAX_BYTES {
            return Err(PolicyError::TooLarge);
        }
        let mut policies = cedar_policy::PolicySet::new();
        for source in sources {
            let read = cedar_policy::PolicySet::from_str(source)
                .map_err(|e| PolicyError::Malformed(e.to_string()))?;
            // A template decides nothing by itself: one that nobody links is a policy that was meant to hold and does not.
            if read.num_of_templates() > 0 {
                return Err(PolicyError::Malformed("templates are not supported".to_owned()));
            }
            for policy in read.policies() {
                let id = policy.annotation("id").filter(|id| !id.is_empty());
                let id = id.ok_or_else(|| PolicyError::Id(policy.id().to_string()))?;
                let named = policy.new_id(PolicyId::new(id));
                policies.add(named).map_err(|_| PolicyError::Id(id.to_owned()))?;
            }
        }
        Ok(Self { policies, authorizer: Authorizer::new(), types: Types::new()? })
    }

    /// Decides: policies permit the action, none forbids it, and the token has its scope.
    pub fn authorize(
        &self,
        principal: &Principal<'_>,
        action: &Action,
        resource: &str,
        circumstances: &Circumstances<'_>,
    ) -> AccessDecision {
        self.judge(principal.id, principal.roles, action, resource, circumstances)
            .narrowed(action, principal.scopes)
    }

    /// What the policies alone say, whatever the scopes.
    pub(crate) fn judge(
        &self,
        id: &str,
        roles: &[String],
        action: &Action,
        resource: &str,
        circumstances: &Circumstances<'_>,
    ) -> AccessDecision {
        let asked = self.request(id, action, resource, circumstances);
        match asked.zip(self.entities(id, roles, action, resource)) {
            Some((request, entities)) => {
                decision(&self.authorizer.is_authorized(&request, &self.policies, &entities))
            }
            None => AccessDecision {
                allowed: false,
                because: Because::EvaluationFailed,
                policies: Vec::new(),
                errors: Vec::new(),
            },
        }
    }

    fn request(
        &self,
        id: &str,
        action: &Action,
        resource: &str,
        circumstances: &Circumstances<'_>,
    ) -> Option<Request> {
        let approval = circumstances.approval.map(|approval| {
            let approver = RestrictedExpression::new_entity_uid(self.types.principal(approval.approver));
            RestrictedExpression::new_record([
                ("plan".to_owned(), RestrictedExpression::new_string(approval.plan.to_owned())),
                ("approver".to_owned(), approver),
            ])
        });
        let approval = approval.transpose().ok()?.map(|record| ("approval".to_owned(), record));
        let context = Context::from_pairs(approval).ok()?;
        let action = uid(&self.types.action, action.as_str());
        let resource = uid(&self.types.object, resource);
        Request::new(self.types.principal(id), action, resource, context, None).ok()
    }

    fn entities(&self, id: &str, roles: &[String], action: &Action, resource: &str) -> Option<Entities> {
        let roles = roles.iter().map(|role| uid(&self.types.role, role)).collect();
        let name = RestrictedExpression::new_string(resource.to_owned());
        let object = uid(&self.types.object, resource);
        let object = Entity::new(object, HashMap::from([("name".to_owned(), name)]), HashSet::new()).ok()?;
        // The group of its verb, as the schema has it.
        let verb = HashSet::from([uid(&self.types.action, action.verb())]);
        let action = Entity::new_no_attrs(uid(&self.types.action, action.as_str()), verb);
        let principal = Entity::new_no_attrs(self.types.principal(id), roles);
        Entities::from_entities([principal, object, action], None).ok()
    }

    /// A policy by its id.
    pub fn policy(&self, id: &str) -> Option<PolicyText> {
        self.policies.policy(&PolicyId::new(id)).map(|policy| PolicyText {
            id: id.to_owned(),
            permits: policy.effect() == Effect::Permit,
            text: policy.to_string(),
        })
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.policies.num_of_policies()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }
}

/// Cedar leaves a policy out that it cannot evaluate. Were that one that forbids, the rest would allow too much.
fn decision(response: &Response) -> AccessDecision {
    let mut policies: Vec<String> =
        response.diagnostics().reason().map(|id| AsRef::<str>::as_ref(id).to_owned()).collect();
    policies.sort();
    let mut errors: Vec<String> = response.diagnostics().errors().map(failed_policy).collect();
    errors.sort();
    let because = match response.decision() {
        _ if !errors.is_empty() => Because::EvaluationFailed,
        Decision::Allow => Because::Permitted,
        Decision::Deny if policies.is_empty() => Because::NothingPermits,
        Decision::Deny => Because::Forbidden,
    };
    AccessDecision { allowed: because == Because::Permitted, because, policies, errors }
}

fn failed_policy(error: &AuthorizationError) -> String {
    let AuthorizationError::PolicyEvaluationError(error) = error;
    error.policy_id().to_string()
}

impl Types {
    fn new() -> Result<Self, PolicyError> {
        let name = |n: &str| EntityTypeName::from_str(n).map_err(|e| PolicyError::Malformed(e.to_string()));
        Ok(Self {
            principal: name("Principal")?,
            role: name("Role")?,
            object: name("Object")?,
            action: name("Action")?,
        })
    }

    fn principal(&self, id: &str) -> EntityUid {
        uid(&self.principal, id)
    }
}

fn uid(type_name: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(type_name.clone(), EntityId::new(id))
}

impl fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicySet").field("policies", &self.len()).finish_non_exhaustive()
    }
}

const SHIPPED: [&str; 3] = [
    include_str!("../../../../config/access/policies/matrix.cedar"),
    include_str!("../../../../config/access/policies/restrictions.cedar"),
    include_str!("../../../../config/access/policies/api.cedar"),
];
const SCHEMA: &str = include_str!("../../../../config/access/policies/schema.cedarschema");
const MAX_BYTES: usize = 256 * 1024;
