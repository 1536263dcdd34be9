//! One answer where detectors disagree.

use std::cmp::Ordering;

use super::Hit;

/// Sorts what was appended since `base` and drops the worse of every two that overlap: the more certain wins, then
/// the longer, then the kind that comes first.
pub(super) fn resolve(out: &mut Vec<Hit>, base: usize) {
    if out.len() < base + 2 {
        return;
    }
    let Some(new) = out.get_mut(base..) else { return };
    new.sort_unstable_by_key(|hit| (hit.start, hit.end, hit.kind));
    let mut kept = base;
    for i in base..out.len() {
        let Some(hit) = out.get(i).copied() else { break };
        let rival =
            if kept > base { out.get(kept - 1).copied().filter(|last| last.end > hit.start) } else { None };
        let place = match rival {
            None => kept,
            Some(last) if better(&hit, &last) => kept - 1,
            Some(_) => continue,
        };
        if let Some(slot) = out.get_mut(place) {
            *slot = hit;
        }
        kept = place + 1;
    }
    out.truncate(kept);
}

fn better(a: &Hit, b: &Hit) -> bool {
    let order = a
        .confidence
        .total_cmp(&b.confidence)
        .then_with(|| (a.end - a.start).cmp(&(b.end - b.start)))
        .then_with(|| b.kind.cmp(&a.kind));
    order == Ordering::Greater
}
