//! The token that somebody asks about, at introspection and revocation.

use portcullis_token::{
    Approval, Approvals as _, Claims, Family, FamilyId, FollowError, RefreshFamilies as _,
};

use crate::Ports;
use crate::context::Context;
use crate::form::Form;
use crate::own_tokens::{NotTaken, OwnType};
use crate::refusal::Refusal;

/// What a token turned out to be. `token_type_hint` is not needed for telling: the three kinds look different.
pub(crate) enum Asked {
    /// An access token that is good.
    Access(Box<Claims>),
    /// A refresh token of a family, with its id, and whether it is good.
    Refresh { id: FamilyId, family: Family, is_good: bool },
    /// An approval that is open.
    Approval(Box<Claims>, Approval),
    /// None of ours, or dead already.
    Nothing,
}

impl Asked {
    /// Finds out what the parameter `token` is.
    pub(crate) async fn of<P: Ports>(context: &Context<'_, P>, form: &Form<'_>) -> Result<Self, Refusal> {
        let text = form.value("token").ok_or(Refusal::InvalidRequest("token is missing"))?;
        if let Ok(shown) = context.parts.refresh_tokens.read(text) {
            let id = shown.family();
            let Some(family) = context.parts.families.load(id).await? else { return Ok(Self::Nothing) };
            let policy = &context.parts.settings.family;
            let is_good = !family.revoked
                && context.now < family.ends(policy)
                && family.current.contains(&shown.fingerprint())
                && Self::goes_on(context, &family).await?;
            return Ok(Self::Refresh { id, family, is_good });
        }
        if let Some(claims) = Self::inspect(context, OwnType::Access, text).await? {
            return Ok(Self::Access(Box::new(claims)));
        }
        let Some(claims) = Self::inspect(context, OwnType::Approval, text).await? else {
            return Ok(Self::Nothing);
        };
        let approval = context.parts.approvals.peek(claims.jti.as_deref().unwrap_or_default()).await?;
        let open = approval.filter(|approval| !approval.is_expired(context.now));
        Ok(open.map_or(Self::Nothing, |approval| Self::Approval(Box::new(claims), approval)))
    }

    /// Whether neither the session's subject nor its client was revoked since it began.
    async fn goes_on<P: Ports>(context: &Context<'_, P>, family: &Family) -> Result<bool, Refusal> {
        let issuer = context.parts.settings.issuer.as_str();
        match context.parts.revocations.check_session(issuer, family).await {
            Ok(()) => Ok(true),
            Err(FollowError::Token(_)) => Ok(false),
            Err(FollowError::Store(error)) => Err(error.into()),
        }
    }

    async fn inspect<P: Ports>(
        context: &Context<'_, P>,
        typ: OwnType,
        text: &str,
    ) -> Result<Option<Claims>, Refusal> {
        match context.own.inspect(context.parts, typ, text, context.now).await {
            Ok(claims) => Ok(Some(claims)),
            Err(NotTaken::Token(_)) => Ok(None),
            Err(NotTaken::Ours(refusal)) => Err(refusal),
        }
    }
}
