//! How everything personal rests on disk: AES-256-GCM under a key of its own for each row.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};

use crate::RootKey;
use crate::root::derive;

/// A keyed hash that stands in the clear where something must be found or grouped without being readable.
pub(crate) type Tag = [u8; 16];

/// Seals and opens the rows of one table.
///
/// Sealed: version 1 (1 byte), salt (16), nonce (12), ciphertext, tag (16). The row's key is HMAC-SHA256 of the salt
/// under the table's key: salt and nonce together are 224 random bits, so no number of rows wears the key out, as the
/// 96-bit nonce alone would after about 2^32 of them. The associated data is the row's place: a row that was moved
/// does not open.
pub(crate) struct Sealer(hmac::Key);

impl Sealer {
    pub(crate) fn new(root: &RootKey, table: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, root.derive(&format!("seal/{table}")).as_slice()))
    }

    pub(crate) fn seal(&self, place: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut random = [0; SALT + NONCE_LEN];
        rand::fill(&mut random).map_err(|_| SealError)?;
        let (salt, nonce) = random.split_at(SALT);
        let mut sealed = Vec::with_capacity(HEAD + plain.len() + TAG);
        sealed.push(VERSION);
        sealed.extend_from_slice(&random);
        sealed.extend_from_slice(plain);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError)?;
        let body = sealed.get_mut(HEAD..).ok_or(SealError)?;
        let tag = self
            .key(salt)?
            .seal_in_place_separate_tag(nonce, Aad::from(place), body)
            .map_err(|_| SealError)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    pub(crate) fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (&version, rest) = sealed.split_first().ok_or(SealError)?;
        let (salt, rest) = rest.split_at_checked(SALT).ok_or(SealError)?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or(SealError)?;
        if version != VERSION {
            return Err(SealError);
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError)?;
        let mut body = body.to_vec();
        let length =
            self.key(salt)?.open_in_place(nonce, Aad::from(place), &mut body).map_err(|_| SealError)?.len();
        body.truncate(length);
        Ok(body)
    }

    fn key(&self, salt: &[u8]) -> Result<LessSafeKey, SealError> {
        let key = derive(&self.0, &[salt]);
        Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| SealError)?))
    }
}

/// Makes [`Tag`]s.
pub(crate) struct Tagger(hmac::Key);

impl Tagger {
    pub(crate) fn new(root: &RootKey, use_: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, root.derive(&format!("tag/{use_}")).as_slice()))
    }

    /// The tag of a sequence of parts; how they are cut counts.
    pub(crate) fn tag(&self, parts: &[&[u8]]) -> Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let full = context.sign();
        let mut tag = Tag::default();
        tag.iter_mut().zip(full.as_ref()).for_each(|(to, from)| *to = *from);
        tag
    }
}

/// The row was changed, moved, or sealed under another root key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stored row does not open")]
pub(crate) struct SealError;

const VERSION: u8 = 1;
const SALT: usize = 16;
const TAG: usize = 16;
const HEAD: usize = 1 + SALT + NONCE_LEN;

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer() -> Sealer {
        Sealer::new(&RootKey::from_bytes([7; 32]), "t")
    }

    #[test]
    fn a_row_opens_in_its_place_only() {
        let sealed = sealer().seal(b"here", b"+5511987654321").unwrap();
        assert_eq!(sealer().open(b"here", &sealed).unwrap(), b"+5511987654321");
        assert_eq!(sealer().open(b"there", &sealed), Err(SealError));
        assert_eq!(Sealer::new(&RootKey::from_bytes([7; 32]), "u").open(b"here", &sealed), Err(SealError));
        assert_eq!(Sealer::new(&RootKey::from_bytes([8; 32]), "t").open(b"here", &sealed), Err(SealError));
    }

    #[test]
    fn any_changed_bit_and_any_cut_is_noticed() {
        let sealed = sealer().seal(b"p", b"text").unwrap();
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert_eq!(sealer().open(b"p", &changed), Err(SealError), "byte {i}");
            assert_eq!(sealer().open(b"p", &sealed[..i]), Err(SealError), "cut to {i}");
        }
    }

    #[test]
    fn the_same_row_never_looks_the_same_twice() {
        assert_ne!(sealer().seal(b"p", b"x").unwrap(), sealer().seal(b"p", b"x").unwrap());
        assert_eq!(sealer().open(b"p", &sealer().seal(b"p", b"").unwrap()).unwrap(), b"");
    }

    #[test]
    fn tags_depend_on_key_use_and_on_how_the_parts_are_cut() {
        let root = RootKey::from_bytes([7; 32]);
        let tag = |parts: &[&[u8]]| Tagger::new(&root, "a").tag(parts);
        assert_eq!(tag(&[b"ab", b"c"]), tag(&[b"ab", b"c"]));
        assert_ne!(tag(&[b"ab", b"c"]), tag(&[b"a", b"bc"]));
        assert_ne!(tag(&[b"ab"]), Tagger::new(&root, "b").tag(&[b"ab"]));
        assert_ne!(tag(&[b"ab"]), Tagger::new(&RootKey::from_bytes([8; 32]), "a").tag(&[b"ab"]));
    }
}
