use std::borrow::Cow;

use super::{Actor, Claims, Confirmation, MAX_ACTORS, MAX_LIST, NumericDate, Scope, is_plain};
use crate::strict_json::{self, JsonFault, Object, Value};
use crate::{Thumbprint, TokenError};

impl Claims {
    /// Reads the payload of a token. Only `iss`, `sub` and `exp` must be there: what else must be is the issuer's policy.
    pub(crate) fn read(json: &[u8]) -> Result<Self, TokenError> {
        let object = strict_json::parse(json).map_err(|fault| match fault {
            JsonFault::Malformed => TokenError::ClaimsMalformed,
            JsonFault::Duplicate => TokenError::DuplicateMember,
        })?;
        let mut claims = Draft::default();
        for (name, value) in object.into_members() {
            claims.take(name, value)?;
        }
        claims.finish()
    }
}

#[derive(Default)]
struct Draft {
    iss: Option<String>,
    sub: Option<String>,
    exp: Option<NumericDate>,
    rest: Option<Claims>,
}

impl Draft {
    fn take(&mut self, name: Cow<'_, str>, value: Value<'_>) -> Result<(), TokenError> {
        match &*name {
            "iss" => self.iss = Some(plain("iss", value)?),
            "sub" => self.sub = Some(plain("sub", value)?),
            "exp" => self.exp = Some(date("exp", &value)?),
            _ => {
                let rest = self.rest.get_or_insert_with(empty);
                match &*name {
                    "aud" => rest.aud = one_or_many("aud", value)?,
                    "nbf" => rest.nbf = Some(date("nbf", &value)?),
                    "iat" => rest.iat = Some(date("iat", &value)?),
                    "jti" => rest.jti = Some(plain("jti", value)?),
                    "client_id" => rest.client_id = Some(plain("client_id", value)?),
                    "scope" => rest.scope = scope(&value)?,
                    "roles" => rest.roles = list("roles", value)?,
                    "sid" => rest.sid = Some(plain("sid", value)?),
                    "cnf" => rest.cnf = Some(confirmation(value)?),
                    "act" => rest.act = Some(Box::new(actor(value, 1)?)),
                    _ => {
                        rest.other.insert(name.into_owned(), value.into());
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Claims, TokenError> {
        Ok(Claims {
            iss: self.iss.ok_or(TokenError::ClaimMissing("iss"))?,
            sub: self.sub.ok_or(TokenError::ClaimMissing("sub"))?,
            exp: self.exp.ok_or(TokenError::ClaimMissing("exp"))?,
            ..self.rest.unwrap_or_else(empty)
        })
    }
}

fn empty() -> Claims {
    let never = NumericDate::of(portcullis_base::Timestamp::UNIX_EPOCH);
    Claims { aud: Vec::new(), ..Claims::new("", "", "", never) }
}

fn plain(name: &'static str, value: Value<'_>) -> Result<String, TokenError> {
    match value {
        Value::Text(text) if is_plain(&text) => Ok(text.into_owned()),
        _ => Err(TokenError::ClaimMalformed(name)),
    }
}

fn date(name: &'static str, value: &Value<'_>) -> Result<NumericDate, TokenError> {
    NumericDate::read(value).ok_or(TokenError::ClaimMalformed(name))
}

fn list(name: &'static str, value: Value<'_>) -> Result<Vec<String>, TokenError> {
    match value {
        Value::List(items) if items.len() <= MAX_LIST => {
            items.into_iter().map(|item| plain(name, item)).collect()
        }
        _ => Err(TokenError::ClaimMalformed(name)),
    }
}

fn one_or_many(name: &'static str, value: Value<'_>) -> Result<Vec<String>, TokenError> {
    match value {
        Value::Text(_) => Ok(vec![plain(name, value)?]),
        other => list(name, other),
    }
}

fn scope(value: &Value<'_>) -> Result<Scope, TokenError> {
    match value {
        Value::Text(text) => Scope::parse(text).map_err(|_| TokenError::ClaimMalformed("scope")),
        _ => Err(TokenError::ClaimMalformed("scope")),
    }
}

fn confirmation(value: Value<'_>) -> Result<Confirmation, TokenError> {
    let malformed = TokenError::ClaimMalformed("cnf");
    let Value::Object(object) = value else { return Err(malformed) };
    let mut cnf = Confirmation::default();
    for (name, value) in object.into_members() {
        match (&*name, value) {
            ("jkt", Value::Text(text)) => cnf.jkt = Some(Thumbprint::parse(&text).ok_or(malformed)?),
            ("x5t#S256", Value::Text(text)) => {
                cnf.x5t_s256 = Some(Thumbprint::parse(&text).ok_or(malformed)?);
            }
            ("jkt" | "x5t#S256", _) => return Err(malformed),
            _ => cnf.unknown = true,
        }
    }
    cnf.unknown |= cnf.jkt.is_none() && cnf.x5t_s256.is_none();
    Ok(cnf)
}

fn actor(value: Value<'_>, depth: usize) -> Result<Actor, TokenError> {
    let Value::Object(object) = value else { return Err(TokenError::ClaimMalformed("act")) };
    if depth > MAX_ACTORS {
        return Err(TokenError::ClaimMalformed("act"));
    }
    Ok(Actor {
        sub: member(&object, "sub")?.ok_or(TokenError::ClaimMalformed("act"))?,
        iss: member(&object, "iss")?,
        act: object.get("act").cloned().map(|a| actor(a, depth + 1).map(Box::new)).transpose()?,
    })
}

fn member(object: &Object<'_>, name: &str) -> Result<Option<String>, TokenError> {
    object.get(name).cloned().map(|value| plain("act", value)).transpose()
}
