//! Working hours in a time zone, with weekends, holidays and daylight saving time.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::Deserialize;

/// When people work.
#[derive(Debug, Clone)]
pub(crate) struct Hours {
    zone: TimeZone,
    days: Vec<Weekday>,
    from: Time,
    to: Option<Time>,
    holidays: BTreeSet<Date>,
    yearly: BTreeSet<(i8, i8)>,
}

/// Why working hours are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// Not in the time zone database.
    #[error("{0:?} is no time zone (an IANA name is wanted, such as America/Sao_Paulo)")]
    Zone(String),
    /// Not `HH:MM`.
    #[error("{0:?} is no time of day (HH:MM is wanted, or 24:00)")]
    Time(String),
    /// Work ends before it begins.
    #[error("working hours must begin before they end")]
    Order,
    /// Neither `YYYY-MM-DD` nor `MM-DD`.
    #[error("{0:?} is no date (YYYY-MM-DD, or MM-DD for every year)")]
    Holiday(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoursSettings {
    time_zone: String,
    from: String,
    to: String,
    #[serde(default = "monday_to_friday")]
    days: Vec<Day>,
    #[serde(default)]
    holidays: Vec<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Hours {
    pub(crate) fn new(settings: HoursSettings) -> Result<Self, HoursError> {
        // The database in the binary: the same answer on every machine, whatever it has installed.
        let zone = TimeZoneDatabase::bundled()
            .get(&settings.time_zone)
            .map_err(|_| HoursError::Zone(settings.time_zone.clone()))?;
        let from = time(&settings.from)?;
        let to = if settings.to == "24:00" { None } else { Some(time(&settings.to)?) };
        if to.is_some_and(|to| to <= from) {
            return Err(HoursError::Order);
        }
        let mut hours = Self {
            zone,
            days: settings.days.iter().map(|day| weekday(*day)).collect(),
            from,
            to,
            holidays: BTreeSet::new(),
            yearly: BTreeSet::new(),
        };
        for holiday in settings.holidays {
            hours.add_holiday(&holiday)?;
        }
        Ok(hours)
    }

    /// Whether nobody is expected to work at that instant.
    pub(crate) fn is_off(&self, at: Timestamp) -> bool {
        let local = self.zone.to_datetime(at);
        let (date, time) = (local.date(), local.time());
        !self.days.contains(&date.weekday())
            || self.holidays.contains(&date)
            || self.yearly.contains(&(date.month(), date.day()))
            || time < self.from
            || self.to.is_some_and(|to| time >= to)
    }

    fn add_holiday(&mut self, text: &str) -> Result<(), HoursError> {
        // 2000 was a leap year: 02-29 is a date of it.
        if text.len() == 5
            && let Ok(date) = format!("2000-{text}").parse::<Date>()
        {
            self.yearly.insert((date.month(), date.day()));
            return Ok(());
        }
        match text.parse::<Date>() {
            Ok(date) if text.len() == 10 => {
                self.holidays.insert(date);
                Ok(())
            }
            _ => Err(HoursError::Holiday(text.to_owned())),
        }
    }
}

fn time(text: &str) -> Result<Time, HoursError> {
    match text.parse::<Time>() {
        Ok(time) if text.len() == 5 => Ok(time),
        _ => Err(HoursError::Time(text.to_owned())),
    }
}

fn monday_to_friday() -> Vec<Day> {
    vec![Day::Monday, Day::Tuesday, Day::Wednesday, Day::Thursday, Day::Friday]
}

const fn weekday(day: Day) -> Weekday {
    match day {
        Day::Monday => Weekday::Monday,
        Day::Tuesday => Weekday::Tuesday,
        Day::Wednesday => Weekday::Wednesday,
        Day::Thursday => Weekday::Thursday,
        Day::Friday => Weekday::Friday,
        Day::Saturday => Weekday::Saturday,
        Day::Sunday => Weekday::Sunday,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(yaml: &str) -> Result<Hours, HoursError> {
        Hours::new(serde_norway::from_str(yaml).unwrap())
    }

    #[test]
    fn work_is_by_the_clock_on_the_wall() {
        let office = hours(
            "{time_zone: America/New_York, from: '08:00', to: '18:00', holidays: ['2026-07-03', '12-25']}",
        )
        .unwrap();
        for (case, at, off) in [
            // New York is five hours behind UTC in winter, four in summer (from 2026-03-08 to 2026-11-01).
            ("winter, 07:59", "2026-01-05T12:59:59Z", true),
            ("winter, 08:00", "2026-01-05T13:00:00Z", false),
            ("summer, 08:00", "2026-06-01T12:00:00Z", false),
            ("summer, 07:59", "2026-06-01T11:59:59Z", true),
            ("17:59", "2026-01-05T22:59:59Z", false),
            ("18:00", "2026-01-05T23:00:00Z", true),
            ("Friday before the clocks change, 08:30", "2026-03-06T13:30:00Z", false),
            ("Monday after, the same UTC hour as 07:30 before", "2026-03-09T12:30:00Z", false),
            ("Saturday", "2026-01-10T15:00:00Z", true),
            ("Sunday evening here is Monday in UTC", "2026-01-05T02:00:00Z", true),
            ("holiday", "2026-07-03T15:00:00Z", true),
            ("the same day a year later", "2028-07-03T15:00:00Z", false),
            ("holiday of every year", "2029-12-25T15:00:00Z", true),
        ] {
            assert_eq!(office.is_off(at.parse().unwrap()), off, "{case}");
        }
    }

    #[test]
    fn days_can_be_chosen_and_a_day_can_end_at_midnight() {
        let shop = hours("{time_zone: UTC, from: '12:00', to: '24:00', days: [saturday]}").unwrap();
        assert!(!shop.is_off("2026-01-10T23:59:59Z".parse().unwrap()));
        assert!(shop.is_off("2026-01-10T11:59:59Z".parse().unwrap()));
        assert!(shop.is_off("2026-01-09T13:00:00Z".parse().unwrap()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (yaml, expected) in [
            ("{time_zone: Nowhere, from: '08:00', to: '18:00'}", HoursError::Zone("Nowhere".into())),
            ("{time_zone: UTC, from: '8', to: '18:00'}", HoursError::Time("8".into())),
            ("{time_zone: UTC, from: '08:00', to: '25:00'}", HoursError::Time("25:00".into())),
            ("{time_zone: UTC, from: '18:00', to: '08:00'}", HoursError::Order),
            ("{time_zone: UTC, from: '08:00', to: '08:00'}", HoursError::Order),
            (
                "{time_zone: UTC, from: '08:00', to: '09:00', holidays: ['02-30']}",
                HoursError::Holiday("02-30".into()),
            ),
            (
                "{time_zone: UTC, from: '08:00', to: '09:00', holidays: [xmas]}",
                HoursError::Holiday("xmas".into()),
            ),
        ] {
            assert_eq!(hours(yaml).unwrap_err(), expected, "{yaml}");
        }
    }
}
