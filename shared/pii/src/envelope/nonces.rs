//! The random bytes of a record, drawn at once: a call of the generator costs more than sealing a short field.

use super::primitives::{NONCE_LEN, ProviderError, random};

/// Random nonces, each handed out once.
pub(super) struct Nonces {
    buffer: [[u8; NONCE_LEN]; BUFFERED],
    next: usize,
    fixed: bool,
}

impl Nonces {
    /// A fresh salt, and the first nonces with it.
    pub(super) fn with_salt() -> Result<([u8; 32], Self), ProviderError> {
        let mut bytes = [0; 32 + NONCE_LEN * BUFFERED];
        random(&mut bytes)?;
        let (salt, nonces) = bytes.split_first_chunk().ok_or(ProviderError)?;
        let mut buffer = [[0; NONCE_LEN]; BUFFERED];
        buffer.as_flattened_mut().iter_mut().zip(nonces).for_each(|(to, from)| *to = *from);
        Ok((*salt, Self { buffer, next: 0, fixed: false }))
    }

    /// These nonces and no more, at most as many as the buffer holds.
    pub(super) fn fixed(nonces: &[[u8; NONCE_LEN]]) -> Result<Self, ProviderError> {
        let next = BUFFERED.checked_sub(nonces.len()).ok_or(ProviderError)?;
        let mut buffer = [[0; NONCE_LEN]; BUFFERED];
        buffer.iter_mut().skip(next).zip(nonces).for_each(|(to, from)| *to = *from);
        Ok(Self { buffer, next, fixed: true })
    }

    /// The next nonce.
    pub(super) fn take(&mut self) -> Result<[u8; NONCE_LEN], ProviderError> {
        if self.next == BUFFERED {
            self.refill()?;
        }
        let nonce = *self.buffer.get(self.next).ok_or(ProviderError)?;
        self.next += 1;
        Ok(nonce)
    }

    fn refill(&mut self) -> Result<(), ProviderError> {
        if self.fixed {
            return Err(ProviderError);
        }
        random(self.buffer.as_flattened_mut())?;
        self.next = 0;
        Ok(())
    }
}

/// Enough for most records.
const BUFFERED: usize = 8;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn nonces_do_not_repeat_across_refills_and_records() {
        let mut seen = HashSet::new();
        for _ in 0..50 {
            let (salt, mut nonces) = Nonces::with_salt().unwrap();
            assert!(seen.insert(salt.to_vec()), "salt repeats");
            for _ in 0..3 * BUFFERED {
                assert!(seen.insert(nonces.take().unwrap().to_vec()), "nonce repeats");
            }
        }
    }

    #[test]
    fn fixed_nonces_come_in_order_and_end() {
        let mut nonces = Nonces::fixed(&[[1; NONCE_LEN], [2; NONCE_LEN]]).unwrap();
        assert_eq!(nonces.take(), Ok([1; NONCE_LEN]));
        assert_eq!(nonces.take(), Ok([2; NONCE_LEN]));
        assert_eq!(nonces.take(), Err(ProviderError));
        assert!(Nonces::fixed(&[[0; NONCE_LEN]; BUFFERED + 1]).is_err());
    }
}
