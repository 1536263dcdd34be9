//! What a caller sees of a text.

use std::borrow::Cow;

use portcullis_pii::{Access, Class, mask, mask_all};

use crate::{Caller, Parts, Ports};

/// What a caller sees, worked out once a request.
pub(crate) struct View<'c> {
    caller: &'c Caller,
    /// The caller may read every class: nothing needs to be classified before it is shown.
    pub(crate) everything: bool,
    /// The caller may read something of some class that is not public.
    pub(crate) anything: bool,
}

impl<'c> View<'c> {
    pub(crate) fn of<P: Ports>(parts: &Parts<P>, caller: &'c Caller) -> Self {
        let everything = Class::ALL.iter().all(|class| best_access(parts, caller, *class) == Access::Full);
        let anything = Class::ALL
            .iter()
            .any(|class| *class != Class::Public && best_access(parts, caller, *class) != Access::None);
        Self { caller, everything, anything }
    }
}

/// The text as the caller's roles may see it: whole, masked, or (`None`) not at all.
///
/// The class is that of the field's name and of what is found in the text, whichever is stricter.
pub(crate) fn shown<'t, P: Ports>(
    parts: &Parts<P>,
    view: &View<'_>,
    field: &str,
    text: &'t str,
) -> Option<Cow<'t, str>> {
    if view.everything {
        return Some(Cow::Borrowed(text));
    }
    let class = parts.policy.classify(&parts.detector, [(field, text)]).class;
    match best_access(parts, view.caller, class) {
        Access::Full => Some(Cow::Borrowed(text)),
        Access::Masked => {
            let hits = parts.detector.scan(text);
            let personal_by_name = parts.policy.class_of_field(field).is_some();
            Some(Cow::Owned(if personal_by_name { mask_all(text) } else { mask(text, &hits) }))
        }
        Access::None => None,
    }
}

/// The most that any of the caller's roles may see of a class.
pub(crate) fn best_access<P: Ports>(parts: &Parts<P>, caller: &Caller, class: Class) -> Access {
    caller.roles.iter().map(|role| parts.policy.access(class, role)).max().unwrap_or(Access::None)
}
