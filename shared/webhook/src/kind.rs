//! Kinds of items, and which queue each travels on.

use crate::Lane;

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind {
    name: &'static str,
    lane: Lane,
    standing: Standing,
}

/// How an item's id relates to the item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Standing {
    /// The id is this item's alone.
    Own,
    /// The id may be that of another item which this one changes, repeats or reports on.
    Shared,
}

impl Kind {
    /// A kind that is not known today.
    pub const UNKNOWN: Self = Self::shared("unknown");
    /// An element of `statuses`.
    pub const STATUS: Self = Self::shared("status");
    /// An element of `errors`.
    pub const ERROR: Self = Self::shared("error");
    /// An element of `calls`.
    pub const CALL: Self = Self::shared("call");

    /// The name on the queue and in metrics.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The queue.
    pub const fn lane(self) -> Lane {
        self.lane
    }

    pub(crate) const fn standing(self) -> Standing {
        self.standing
    }

    /// The kind of an element of `messages` or `message_echoes`, by its `type`.
    pub fn of_message(message_type: &str) -> Self {
        MESSAGES.iter().find(|k| k.name == message_type).copied().unwrap_or(Self::UNKNOWN)
    }

    /// The kind of a whole `value`, by the `field` that changed.
    pub fn of_field(field: &str) -> Self {
        FIELDS.iter().find(|k| k.name == field).copied().unwrap_or(Self::UNKNOWN)
    }

    /// The kind of the elements of an array in `value`, where the array decides it.
    pub(crate) fn of_array(name: &str) -> Option<Self> {
        match name {
            "statuses" => Some(Self::STATUS),
            "errors" => Some(Self::ERROR),
            "calls" => Some(Self::CALL),
            "history" => Some(Self::of_field("history")),
            "state_sync" => Some(Self::of_field("smb_app_state_sync")),
            "user_preferences" => Some(Self::of_field("user_preferences")),
            _ => None,
        }
    }

    const fn own(name: &'static str) -> Self {
        Self { name, lane: Lane::Text, standing: Standing::Own }
    }

    const fn shared(name: &'static str) -> Self {
        Self { name, lane: Lane::Text, standing: Standing::Shared }
    }

    const fn media(name: &'static str) -> Self {
        Self { name, lane: Lane::Media, standing: Standing::Own }
    }
}

// https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components
const MESSAGES: [Kind; 19] = [
    Kind::own("text"),
    Kind::media("image"),
    Kind::media("audio"),
    Kind::media("voice"),
    Kind::media("video"),
    Kind::media("document"),
    Kind::media("sticker"),
    Kind::own("interactive"),
    Kind::own("button"),
    Kind::own("reaction"),
    Kind::own("order"),
    Kind::own("location"),
    Kind::own("contacts"),
    Kind::own("system"),
    Kind::own("request_welcome"),
    Kind::shared("edit"),
    Kind::shared("revoke"),
    Kind::shared("errors"),
    Kind::shared("unsupported"),
];

// https://developers.facebook.com/docs/graph-api/webhooks/reference/whatsapp-business-account
const FIELDS: [Kind; 36] = [
    Kind::shared("account_alerts"),
    Kind::shared("account_offboarded"),
    Kind::shared("account_reconnected"),
    Kind::shared("account_review_update"),
    Kind::shared("account_settings_update"),
    Kind::shared("account_update"),
    Kind::shared("automatic_events"),
    Kind::shared("business_capability_update"),
    Kind::shared("business_status_update"),
    Kind::shared("business_username_update"),
    Kind::shared("calls"),
    Kind::shared("flows"),
    Kind::shared("group_lifecycle_update"),
    Kind::shared("group_participants_update"),
    Kind::shared("group_settings_update"),
    Kind::shared("group_status_update"),
    Kind::shared("history"),
    Kind::shared("message_echoes"),
    Kind::shared("message_template_components_update"),
    Kind::shared("message_template_quality_update"),
    Kind::shared("message_template_status_update"),
    Kind::shared("messaging_handovers"),
    Kind::shared("partner_solutions"),
    Kind::shared("payment_configuration_update"),
    Kind::shared("phone_number_name_update"),
    Kind::shared("phone_number_quality_update"),
    Kind::shared("security"),
    Kind::shared("smb_app_state_sync"),
    Kind::shared("smb_message_echoes"),
    Kind::shared("standby"),
    Kind::shared("template_category_update"),
    Kind::shared("template_correct_category_detection"),
    Kind::shared("template_performance_metrics"),
    Kind::shared("tracking_events"),
    Kind::shared("user_id_update"),
    Kind::shared("user_preferences"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_lane() {
        for (message_type, name, lane) in [
            ("text", "text", Lane::Text),
            ("interactive", "interactive", Lane::Text),
            ("button", "button", Lane::Text),
            ("reaction", "reaction", Lane::Text),
            ("order", "order", Lane::Text),
            ("location", "location", Lane::Text),
            ("contacts", "contacts", Lane::Text),
            ("system", "system", Lane::Text),
            ("request_welcome", "request_welcome", Lane::Text),
            ("edit", "edit", Lane::Text),
            ("revoke", "revoke", Lane::Text),
            ("unsupported", "unsupported", Lane::Text),
            ("errors", "errors", Lane::Text),
            ("image", "image", Lane::Media),
            ("audio", "audio", Lane::Media),
            ("voice", "voice", Lane::Media),
            ("video", "video", Lane::Media),
            ("document", "document", Lane::Media),
            ("sticker", "sticker", Lane::Media),
            ("hologram", "unknown", Lane::Text),
            ("TEXT", "unknown", Lane::Text),
            ("Image", "unknown", Lane::Text),
            ("", "unknown", Lane::Text),
        ] {
            let kind = Kind::of_message(message_type);
            assert_eq!((kind.name(), kind.lane()), (name, lane), "{message_type}");
        }
    }

    #[test]
    fn fields_keep_their_name_and_travel_on_the_text_lane() {
        for kind in FIELDS {
            assert_eq!(Kind::of_field(kind.name()), kind);
            assert_eq!(kind.lane(), Lane::Text);
        }
        for (field, name) in [
            ("message_template_status_update", "message_template_status_update"),
            ("account_update", "account_update"),
            ("messages", "unknown"),
            ("something_new", "unknown"),
        ] {
            assert_eq!(Kind::of_field(field).name(), name);
        }
    }

    #[test]
    fn names_are_not_listed_twice() {
        for table in [&MESSAGES[..], &FIELDS[..]] {
            let mut names: Vec<_> = table.iter().map(|k| k.name()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), table.len());
        }
    }
}
