//! Certificates as tables and JSON lines.

use std::path::Path;

use comfy_table::{ContentArrangement, Table, presets};
use portcullis_base::Timestamp;
use portcullis_certs::{CaEntry, Entry, Status};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;

pub(super) fn authority(output: Output, dir: &Path, ca: &CaEntry) -> Result<(), Failure> {
    output.line(ca, || {
        let permitted: Vec<_> = ca.permitted_dns.iter().map(ToString::to_string).collect();
        let networks: Vec<_> = ca.permitted_ips.iter().map(ToString::to_string).collect();
        format!(
            "Certificate authority in {dir}\n  \
             trust domain  spiffe://{domain}\n  \
             good until    {end}\n  \
             may certify   {hosts}; {networks}\n  \
             SHA-256       {fingerprint}\n\n\
             {dir}/ca.key signs for all your services: keep it off the machines that they run on.\n\
             {dir}/truststore.pem is what the custom domain of API Gateway takes.",
            dir = dir.join("ca").display(),
            domain = ca.trust_domain,
            end = ca.not_after,
            hosts = permitted.join(", "),
            networks = networks.join(", "),
            fingerprint = ca.fingerprint,
        )
    })
}

pub(super) fn entries(output: Output, entries: &[Entry]) -> Result<(), Failure> {
    if output.is_json() {
        return entries.iter().try_for_each(|entry| output.line(entry, String::new));
    }
    let mut table = table(&["service", "for", "names", "good until", "serial"]);
    for entry in entries {
        table.add_row(row(entry));
    }
    output.text(&table.to_string())
}

#[derive(Serialize)]
struct Line<'a> {
    status: Status,
    days_left: i64,
    #[serde(flatten)]
    entry: &'a Entry,
}

pub(super) fn list(output: Output, all: &[(Entry, Status)], now: Timestamp) -> Result<(), Failure> {
    let line = |(entry, status): &'_ (Entry, Status)| (days_left(entry, now), *status);
    if output.is_json() {
        return all.iter().try_for_each(|item| {
            let (days_left, status) = line(item);
            output.line(&Line { status, days_left, entry: &item.0 }, String::new)
        });
    }
    let mut table = table(&["service", "for", "names", "good until", "serial", "days left", "status"]);
    for item in all {
        let (days_left, status) = line(item);
        let mut cells = row(&item.0);
        cells.extend([days_left.to_string(), status.as_str().to_owned()]);
        table.add_row(cells);
    }
    output.text(&table.to_string())
}

fn row(entry: &Entry) -> Vec<String> {
    let mut names = vec![entry.spiffe_id.clone()];
    names.extend(entry.dns.iter().map(ToString::to_string));
    names.extend(entry.ips.iter().map(ToString::to_string));
    vec![
        entry.service.to_string(),
        entry.purpose.as_str().to_owned(),
        names.join("\n"),
        entry.not_after.to_string(),
        entry.serial.to_string(),
    ]
}

fn days_left(entry: &Entry, now: Timestamp) -> i64 {
    (entry.not_after.as_second() - now.as_second()).max(0) / (24 * 60 * 60)
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table
}
