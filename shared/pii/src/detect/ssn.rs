//! US social security numbers: the ranges that the administration never issues are refused.

use super::groups::{Groups, Join, goes_on_before, joined_by, shaped};
use super::numbers::Site;
use super::{CERTAIN, LIKELY, PiiKind};

/// A social security number at the site.
pub(super) fn find(text: &[u8], site: &Site, groups: &Groups) -> Option<(usize, PiiKind, f32)> {
    let (count, join) = written_so(groups)?;
    if site.plus || !is_issued(groups.digits(count)) {
        return None;
    }
    let end = groups.first(count).last()?.end;
    let confidence = match join {
        Join::Dash if ends(text, site, groups, count, end) => CERTAIN,
        Join::Blank if count > 1 && alone(text, site, groups, count, end) => LIKELY,
        Join::Blank if count == 1 && !site.glued_after(text, end) && site.after_words(text, SSN_WORDS) => {
            CERTAIN
        }
        _ => return None,
    };
    Some((end, PiiKind::Ssn, confidence))
}

fn written_so(groups: &Groups) -> Option<(usize, Join)> {
    let three = groups.first(3);
    if shaped(three, &[3, 2, 4]) {
        return [Join::Dash, Join::Blank]
            .into_iter()
            .find(|join| joined_by(three, *join))
            .map(|join| (3, join));
    }
    shaped(groups.first(1), &[9]).then_some((1, Join::Blank))
}

fn ends(text: &[u8], site: &Site, groups: &Groups, count: usize, end: usize) -> bool {
    match groups.join_after(count) {
        Some(join) => join == Join::Blank,
        None => !site.glued_after(text, end),
    }
}

fn alone(text: &[u8], site: &Site, groups: &Groups, count: usize, end: usize) -> bool {
    groups.join_after(count).is_none() && !site.glued_after(text, end) && !goes_on_before(text, site.start)
}

/// Area 000, 666 and 900–999, group 00 and serial 0000 are never issued (SSA, "Randomization").
fn is_issued(digits: &[u8]) -> bool {
    match digits {
        [0, 0, 0, ..] | [6, 6, 6, ..] | [9, ..] => false,
        [_, _, _, 0, 0, ..] | [.., 0, 0, 0, 0] => false,
        digits => digits.len() == 9,
    }
}

const SSN_WORDS: &[&[u8]] = &[b"ssn", b"social security*", b"seguro social"];
