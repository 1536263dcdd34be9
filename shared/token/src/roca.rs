//! CVE-2017-15361: RSA keys of a faulty generator, whose private half can be computed from the public one.
//!
//! Their primes are `k * M + (65537^a mod M)` for a product `M` of small primes, so such a modulus is a power of 65537
//! modulo every one of those primes. A sound modulus passes for one with odds far below 2^-20.

/// Whether the modulus (big-endian) bears the mark of the faulty generator.
pub(crate) fn is_marked(modulus: &[u8]) -> bool {
    PRIMES.into_iter().all(|p| is_power_of_65537(remainder(modulus, p), p))
}

fn remainder(number: &[u8], p: u32) -> u32 {
    number.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % p)
}

fn is_power_of_65537(value: u32, p: u32) -> bool {
    let step = 65_537 % p;
    std::iter::successors(Some(1), |power| Some(power * step % p).filter(|next| *next != 1))
        .any(|power| power == value)
}

// The primes below 170 that divide `M`. Modulo 2, 3 and 5 every number is a power of 65537: they tell nothing.
const PRIMES: [u32; 36] = [
    7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
    109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_65537_are_found_and_nothing_else() {
        // 65537 mod 11 is 10: its powers are 1 and 10.
        for value in 0..11 {
            assert_eq!(is_power_of_65537(value, 11), matches!(value, 1 | 10), "{value}");
        }
        // 2^521 - 1, a prime of no such form.
        let mut sound = [0xff; 66];
        sound[0] = 1;
        assert!(!is_marked(&sound));
        // 65537^3 is a power of 65537 modulo anything.
        assert!(is_marked(&65_537_u64.pow(3).to_be_bytes()));
    }

    #[test]
    fn remainder_is_that_of_the_whole_number() {
        assert_eq!(remainder(&0xdead_beef_u32.to_be_bytes(), 167), 0xdead_beef_u32 % 167);
        assert_eq!(remainder(&[], 7), 0);
    }
}
