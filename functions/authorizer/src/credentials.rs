//! What a caller shows in its headers.

use crate::Request;
use crate::request::Single;

/// A token and how it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown<'a> {
    Nothing,
    Bearer(&'a str),
    /// With its proof.
    Dpop(&'a str, &'a str),
}

/// Reads `Authorization` and `DPoP`.
///
/// # Errors
/// A word for the audit log.
pub(crate) fn token<'a>(request: &'a Request<'_>) -> Result<Shown<'a>, &'static str> {
    let proof = request.header("DPoP");
    let value = match request.header("Authorization") {
        Single::Absent => return Ok(Shown::Nothing),
        Single::Repeated => return Err("authorization-repeated"),
        Single::One(value) => value,
    };
    let (scheme, token) = value.split_once(' ').ok_or("authorization-malformed")?;
    let token = token.trim_matches(' ');
    // RFC 6750 section 2.1: visible ASCII. No white space of any kind, so that there is one token.
    // All of it is looked at, several bytes at a time.
    if token.is_empty() || !token.bytes().fold(true, |visible, b| visible & b.is_ascii_graphic()) {
        return Err("authorization-malformed");
    }
    if scheme.eq_ignore_ascii_case("Bearer") {
        // RFC 9449 section 7.1: whoever sends a proof means the other scheme, and believes to be protected by it.
        return if proof == Single::Absent { Ok(Shown::Bearer(token)) } else { Err("proof-with-bearer") };
    }
    if !scheme.eq_ignore_ascii_case("DPoP") {
        return Err("authorization-scheme");
    }
    match proof {
        Single::One(proof) => Ok(Shown::Dpop(token, proof)),
        Single::Absent => Err("proof-missing"),
        Single::Repeated => Err("proof-repeated"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_in_one_way() {
        for (label, headers, expected) in [
            ("nothing", &[][..], Ok(Shown::Nothing)),
            ("bearer", &[("authorization", "Bearer a.b.c")], Ok(Shown::Bearer("a.b.c"))),
            ("any case", &[("Authorization", "bEARER a.b.c")], Ok(Shown::Bearer("a.b.c"))),
            ("proof", &[("Authorization", "DPoP a.b.c"), ("DPoP", "p")], Ok(Shown::Dpop("a.b.c", "p"))),
            ("a proof alone", &[("DPoP", "p")], Ok(Shown::Nothing)),
            ("proof missing", &[("Authorization", "DPoP a.b.c")], Err("proof-missing")),
            (
                "two proofs",
                &[("Authorization", "DPoP a"), ("DPoP", "p"), ("dpop", "q")],
                Err("proof-repeated"),
            ),
            ("proof with bearer", &[("Authorization", "Bearer a"), ("DPoP", "p")], Err("proof-with-bearer")),
            (
                "two",
                &[("Authorization", "Bearer a"), ("authorization", "Bearer b")],
                Err("authorization-repeated"),
            ),
            ("basic", &[("Authorization", "Basic YTpi")], Err("authorization-scheme")),
            ("no scheme", &[("Authorization", "a.b.c")], Err("authorization-malformed")),
            ("no token", &[("Authorization", "Bearer ")], Err("authorization-malformed")),
            ("two tokens", &[("Authorization", "Bearer a b")], Err("authorization-malformed")),
            ("a tab", &[("Authorization", "Bearer\ta")], Err("authorization-malformed")),
            ("a tab within", &[("Authorization", "Bearer a\tb")], Err("authorization-malformed")),
            ("a wide space", &[("Authorization", "Bearer a\u{3000}b")], Err("authorization-malformed")),
            ("not ASCII", &[("Authorization", "Bearer é")], Err("authorization-malformed")),
        ] {
            let request = Request {
                headers: headers.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
                ..Request::default()
            };
            assert_eq!(token(&request), expected, "{label}");
        }
    }
}
