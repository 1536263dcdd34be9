//! Refresh-token families: the thief kills the family, the honest client is not hurt.

use std::time::Duration;

use portcullis_token::*;
use proptest::prelude::*;

use crate::support::*;

const RULES: FamilyPolicy = FamilyPolicy {
    lifetime: Duration::from_secs(86_400),
    idle: Duration::from_secs(3_600),
    grace: Duration::from_secs(10),
};

fn tokens() -> RefreshTokens {
    RefreshTokens::new(&[1; 32], Some(&[2; 32])).unwrap()
}

fn start() -> (FamilyId, RefreshToken, Family) {
    let id = FamilyId::random().unwrap();
    let (first, _) = tokens().make(id, 0).unwrap();
    let family = Family::new("svc.bff", "svc.bff", "a b", &first, at(0));
    (id, first, family)
}

fn next(id: FamilyId, family: &Family) -> RefreshToken {
    tokens().make(id, family.next_generation().unwrap()).unwrap().0
}

#[test]
fn token_is_read_back_and_no_other_is() {
    let id = FamilyId::random().unwrap();
    let (made, text) = tokens().make(id, 7).unwrap();
    let read = tokens().read(&text).unwrap();
    assert_eq!((read.family(), read.generation(), read.fingerprint()), (id, 7, made.fingerprint()));
    assert_eq!(FamilyId::parse(&id.to_string()), Some(id));
    let before = RefreshTokens::new(&[2; 32], None).unwrap().make(id, 1).unwrap().1;
    assert!(tokens().read(&before).is_ok(), "made under the previous key");
    let other = RefreshTokens::new(&[3; 32], None).unwrap().make(id, 1).unwrap().1;
    for (label, text) in [
        ("other key", other),
        ("empty", String::new()),
        ("cut", text[..90].into()),
        ("padded", format!("{text}=")),
    ] {
        assert_eq!(tokens().read(&text).unwrap_err(), RefreshTokenError::Invalid, "{label}");
    }
    assert_eq!(RefreshTokens::new(&[1; 31], None).unwrap_err(), RefreshTokenError::Key);
    assert!(!format!("{made:?}").contains("nonce"));
}

#[test]
fn stolen_token_kills_the_family_whoever_comes_first() {
    let (id, first, family) = start();
    assert_eq!(family.present(&first, "svc.bff", &RULES, at(100)), Ok(Presented::Rotate));
    let second = next(id, &family);
    let family = family.rotated(&second, at(100));
    for (label, token, time, expected) in [
        ("the current one", &second, 150, Ok(Presented::Rotate)),
        ("the one before, at once", &first, 100, Ok(Presented::Again)),
        ("the one before, at the end of grace", &first, 109, Ok(Presented::Again)),
        ("the one before, after grace", &first, 110, Err(FamilyError::Reused)),
        ("the current one, idle too long", &second, 3_700, Err(FamilyError::Expired)),
        ("the one before, idle too long", &first, 3_700, Err(FamilyError::Reused)),
    ] {
        assert_eq!(family.present(token, "svc.bff", &RULES, at(time)), expected, "{label}");
    }
    let third = next(id, &family);
    let later = family.rotated(&third, at(105));
    assert_eq!(
        later.present(&first, "svc.bff", &RULES, at(106)),
        Err(FamilyError::Reused),
        "two rotations ago"
    );
    let dead = later.killed();
    for token in [&first, &second, &third] {
        assert_eq!(dead.present(token, "svc.bff", &RULES, at(106)), Err(FamilyError::Revoked));
    }
}

#[test]
fn retries_within_the_window_do_not_stretch_it() {
    let (id, first, family) = start();
    let second = next(id, &family);
    let mut family = family.rotated(&second, at(100));
    let mut siblings = vec![second];
    for time in 101..104 {
        assert_eq!(family.present(&first, "svc.bff", &RULES, at(time)), Ok(Presented::Again));
        let sibling = tokens().make(id, family.generation).unwrap().0;
        family = family.with_sibling(&sibling);
        siblings.push(sibling);
    }
    for sibling in &siblings {
        assert_eq!(
            family.present(sibling, "svc.bff", &RULES, at(200)),
            Ok(Presented::Rotate),
            "each answer is good"
        );
    }
    assert_eq!(
        family.present(&first, "svc.bff", &RULES, at(105)),
        Err(FamilyError::Exhausted),
        "too many retries, and no theft yet"
    );
    assert_eq!(family.present(&first, "svc.bff", &RULES, at(110)), Err(FamilyError::Reused), "after grace");
    assert_eq!(family.rotated_at, at(100).as_millisecond());
}

#[test]
fn strangers_learn_and_break_nothing() {
    let (id, first, family) = start();
    assert_eq!(family.present(&first, "svc.memory", &RULES, at(1)), Err(FamilyError::Client));
    let lost_race = tokens().make(id, 0).unwrap().0;
    assert_eq!(family.present(&lost_race, "svc.bff", &RULES, at(1)), Err(FamilyError::Unknown));
    let ahead = tokens().make(id, 1).unwrap().0;
    assert_eq!(family.present(&ahead, "svc.bff", &RULES, at(1)), Err(FamilyError::Unknown));
    assert_eq!(family.present(&first, "svc.bff", &RULES, at(1)), Ok(Presented::Rotate));
    let json = serde_json::to_string(&family).unwrap();
    assert_eq!(serde_json::from_str::<Family>(&json).unwrap(), family);
}

#[test]
fn life_ends_however_busy_it_was() {
    let (id, _, mut family) = start();
    let mut token = None;
    for time in (0..86_400).step_by(3_000) {
        let made = next(id, &family);
        family = family.rotated(&made, at(time));
        token = Some(made);
    }
    let token = token.unwrap();
    assert_eq!(family.present(&token, "svc.bff", &RULES, at(86_399)), Ok(Presented::Rotate));
    assert_eq!(family.present(&token, "svc.bff", &RULES, at(86_400)), Err(FamilyError::Expired));
}

proptest! {
    /// Honest client and thief share a token; from then on each uses what it last got, in any order and at any pace.
    /// Past the grace window only one of the two can go on, and the family is dead as soon as both have tried.
    #[test]
    fn two_holders_never_both_live_on(turns in proptest::collection::vec((any::<bool>(), 11..500_i64), 2..20)) {
        let (id, first, mut family) = start();
        let mut held = [first.clone(), first];
        let (mut time, mut dead, mut used) = (0, false, [false; 2]);
        for (thief, pause) in turns {
            time += pause;
            let who = usize::from(thief);
            match family.present(&held[who], "svc.bff", &RULES, at(time)) {
                Ok(Presented::Rotate) => {
                    prop_assert!(!dead);
                    let made = next(id, &family);
                    family = family.rotated(&made, at(time));
                    held[who] = made;
                }
                Ok(Presented::Again) => prop_assert!(false, "past the window"),
                Err(FamilyError::Reused) => {
                    family = family.killed();
                    dead = true;
                }
                Err(error) => prop_assert!(dead, "{error}"),
            }
            used[who] = true;
            prop_assert_eq!(dead, used == [true; 2], "dead exactly when both have tried");
        }
    }

    #[test]
    fn any_changed_bit_of_a_refresh_token_is_refused(bit in 0..(69 * 8_usize)) {
        let (_, text) = tokens().make(FamilyId::random().unwrap(), 3).unwrap();
        let engine = &base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let mut bytes = base64::Engine::decode(engine, text).unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(tokens().read(&b64(bytes)).unwrap_err(), RefreshTokenError::Invalid);
    }
}
