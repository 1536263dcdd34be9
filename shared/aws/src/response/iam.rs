//! Users and roles: access keys, inline policies, passwords.

use std::collections::BTreeMap;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iam::types::{AccessKeyMetadata, StatusType};
use portcullis_response::{IamKeys, LoginProfile, PortError, PortResult, RoleSessions, UserPolicy};
use zeroize::Zeroizing;

use super::AwsAccount;
use super::failure::failed;
use super::pages::{all, marker, unreadable};

impl IamKeys for AwsAccount {
    async fn access_keys(&self, user: &str) -> PortResult<BTreeMap<String, bool>> {
        let keys = all(|from| async move {
            let call = self.clients.iam().list_access_keys().user_name(user).set_marker(from);
            let page = call.send().await.map_err(|e| failed("iam:ListAccessKeys", &e))?;
            Ok((page.access_key_metadata, marker(page.is_truncated, page.marker)?))
        });
        keys.await?.into_iter().map(key).collect()
    }

    async fn deactivate_key(&self, user: &str, key: &str) -> PortResult<()> {
        self.set_key(user, key, StatusType::Inactive).await
    }

    async fn activate_key(&self, user: &str, key: &str) -> PortResult<()> {
        self.set_key(user, key, StatusType::Active).await
    }
}

impl AwsAccount {
    async fn set_key(&self, user: &str, key: &str, status: StatusType) -> PortResult<()> {
        let call = self.clients.iam().update_access_key().user_name(user).access_key_id(key).status(status);
        call.send().await.map_err(|e| failed("iam:UpdateAccessKey", &e))?;
        Ok(())
    }
}

impl RoleSessions for AwsAccount {
    async fn role_policy(&self, role: &str, name: &str) -> PortResult<Option<String>> {
        let call = self.clients.iam().get_role_policy().role_name(role).policy_name(name);
        match call.send().await {
            Ok(answer) => decoded(&answer.policy_document).map(Some),
            Err(e) if owner_has_none(&e) => Ok(None),
            Err(e) => Err(failed("iam:GetRolePolicy", &e)),
        }
    }

    async fn put_role_policy(&self, role: &str, name: &str, document: &str) -> PortResult<()> {
        let call = self.clients.iam().put_role_policy().role_name(role).policy_name(name);
        let call = call.policy_document(document);
        call.send().await.map_err(|e| failed("iam:PutRolePolicy", &e))?;
        Ok(())
    }

    async fn delete_role_policy(&self, role: &str, name: &str) -> PortResult<()> {
        let call = self.clients.iam().delete_role_policy().role_name(role).policy_name(name);
        call.send().await.map_err(|e| failed("iam:DeleteRolePolicy", &e))?;
        Ok(())
    }
}

impl UserPolicy for AwsAccount {
    async fn user_policy(&self, user: &str, name: &str) -> PortResult<Option<String>> {
        let call = self.clients.iam().get_user_policy().user_name(user).policy_name(name);
        match call.send().await {
            Ok(answer) => decoded(&answer.policy_document).map(Some),
            Err(e) if owner_has_none(&e) => Ok(None),
            Err(e) => Err(failed("iam:GetUserPolicy", &e)),
        }
    }

    async fn put_user_policy(&self, user: &str, name: &str, document: &str) -> PortResult<()> {
        let call = self.clients.iam().put_user_policy().user_name(user).policy_name(name);
        let call = call.policy_document(document);
        call.send().await.map_err(|e| failed("iam:PutUserPolicy", &e))?;
        Ok(())
    }

    async fn delete_user_policy(&self, user: &str, name: &str) -> PortResult<()> {
        let call = self.clients.iam().delete_user_policy().user_name(user).policy_name(name);
        call.send().await.map_err(|e| failed("iam:DeleteUserPolicy", &e))?;
        Ok(())
    }
}

impl LoginProfile for AwsAccount {
    async fn login_profile(&self, user: &str) -> PortResult<Option<bool>> {
        match self.clients.iam().get_login_profile().user_name(user).send().await {
            Ok(answer) => {
                answer.login_profile.map(|login| Some(login.password_reset_required)).ok_or(unreadable())
            }
            Err(e) if owner_has_none(&e) => Ok(None),
            Err(e) => Err(failed("iam:GetLoginProfile", &e)),
        }
    }

    async fn delete_login_profile(&self, user: &str) -> PortResult<()> {
        let call = self.clients.iam().delete_login_profile().user_name(user);
        call.send().await.map_err(|e| failed("iam:DeleteLoginProfile", &e))?;
        Ok(())
    }

    /// The SDK copies the password into its request, and does not wipe that; it is nowhere else.
    async fn create_login_profile(&self, user: &str, reset_required: bool) -> PortResult<()> {
        let password = password()?;
        let call = self.clients.iam().create_login_profile().user_name(user).password(password.as_str());
        let call = call.password_reset_required(reset_required);
        call.send().await.map_err(|e| failed("iam:CreateLoginProfile", &e))?;
        Ok(())
    }
}

fn key(key: AccessKeyMetadata) -> PortResult<(String, bool)> {
    match (key.access_key_id, key.status) {
        (Some(id), Some(status)) => Ok((id, status == StatusType::Active)),
        _ => Err(unreadable()),
    }
}

/// Whether the user or role is there and has no such policy or password. IAM has one code for both, and names in its
/// message what is missing: "The role with name … cannot be found.", "The role policy with name …".
fn owner_has_none<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let message = error.message().unwrap_or_default();
    let owner_is_missing =
        ["The user with name", "The role with name"].iter().any(|of| message.starts_with(of));
    error.code() == Some("NoSuchEntity") && !owner_is_missing
}

/// A document as IAM gives it: percent-encoded (RFC 3986), so that a plus is a plus.
fn decoded(document: &str) -> PortResult<String> {
    let mut bytes = Vec::with_capacity(document.len());
    let mut rest = document.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' { escaped(&mut rest).ok_or(unreadable())? } else { byte });
    }
    String::from_utf8(bytes).map_err(|_| unreadable())
}

fn escaped(rest: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit()? << 4 | digit()?)
}

/// A password that nobody will ever type: as long as IAM takes (so as long as any policy of an account can ask for),
/// with each kind of character that such a policy can ask for.
///
/// Source: [setting an account password policy](https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_passwords_account-policy.html).
fn password() -> PortResult<Zeroizing<String>> {
    let mut random = Zeroizing::new([0_u8; PASSWORD_LENGTH]);
    SystemRandom::new()
        .fill(random.as_mut_slice())
        .map_err(|_| PortError::Refused("no random bytes".to_owned()))?;
    let mut password = Zeroizing::new(String::with_capacity(PASSWORD_LENGTH));
    for (at, byte) in random.iter().enumerate() {
        // The first four are one of each kind; each byte chooses among 64, so no character is likelier than another.
        let kind = KINDS.get(at).copied().unwrap_or(ALPHABET);
        let chosen = kind.get(usize::from(*byte) % kind.len()).copied().unwrap_or(b'x');
        password.push(char::from(chosen));
    }
    Ok(password)
}

const PASSWORD_LENGTH: usize = 128;
const KINDS: [&[u8]; 4] = [b"ABCDEFGHJKLMNPQR", b"abcdefghijkmnopq", b"23456789", b"!#$%^*()_+-=[]{}"];
const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789_+-=!";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_decoded_byte_by_byte() {
        for (encoded, expected) in [
            ("", Some("")),
            ("%7B%22a%22%3A%20%22b%2Bc%22%7D", Some(r#"{"a": "b+c"}"#)),
            ("{\"a\":\"b+c\"}", Some(r#"{"a":"b+c"}"#)),
            ("%c3%A9", Some("\u{e9}")),
            ("%2525", Some("%25")),
            ("%", None),
            ("%4", None),
            ("%+4", None),
            ("%zz", None),
            ("%ff", None),
        ] {
            assert_eq!(decoded(encoded).ok().as_deref(), expected, "{encoded}");
        }
    }

    #[test]
    fn a_password_satisfies_every_policy_that_an_account_can_have() {
        let made: std::collections::BTreeSet<String> =
            (0..200).map(|_| password().unwrap().to_string()).collect();
        assert_eq!(made.len(), 200);
        for password in made {
            let has = |kind: fn(&u8) -> bool| password.as_bytes().iter().any(kind);
            assert_eq!(password.len(), 128);
            assert!(has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit));
            assert!(password.bytes().any(|b| b"!@#$%^&*()_+-=[]{}|'".contains(&b)));
        }
    }

    #[test]
    fn no_character_is_likelier_than_another() {
        for kind in KINDS.into_iter().chain([ALPHABET]) {
            assert_eq!(256 % kind.len(), 0, "{}", kind.len());
        }
    }
}
