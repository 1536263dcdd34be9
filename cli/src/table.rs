//! Tables as every command prints them.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};

/// An empty table under this header. In a terminal it is no wider than that.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    table
}

/// Keeps a column as wide as what stands in it: ids are copied whole.
pub(crate) fn keep_whole(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
}

/// Names in records are chosen by callers: what would move the cursor or break the line is not printed.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
