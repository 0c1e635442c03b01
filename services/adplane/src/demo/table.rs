//! Reads a CSV file with a fixed set of columns, collecting every mistake in it.

use std::{fs::File, path::Path};

use csv::StringRecord;

use super::mistake::{Mistake, Mistakes};

/// One row, its values by column.
pub(crate) struct Line<'a> {
    file: &'a Path,
    columns: &'a [(&'static str, usize)],
    record: StringRecord,
    number: u64,
}

impl Line<'_> {
    /// The value, without the blanks around it; empty where the row ends early.
    pub(crate) fn get(&self, column: &str) -> &str {
        let at = self.columns.iter().find(|(name, _)| *name == column).map(|(_, at)| *at);
        at.and_then(|at| self.record.get(at)).unwrap_or_default().trim()
    }

    /// The value as something else, or the mistake that it is none.
    pub(crate) fn parse<T>(
        &self,
        column: &'static str,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Mistake> {
        let value = self.get(column);
        parse(value).ok_or_else(|| self.mistake(column, format!("`{value}` is no {what}")))
    }

    pub(crate) fn mistake(&self, column: &'static str, reason: impl Into<String>) -> Mistake {
        Mistake::of(self.file, reason).line(self.number).column(format!("column {column}"))
    }
}

/// Every row as `row` makes it, or every mistake there is.
pub(crate) fn read<T>(
    file: &Path,
    columns: &[&'static str],
    row: impl Fn(&Line<'_>) -> Result<T, Mistake>,
) -> Result<Vec<T>, Mistakes> {
    let opened =
        File::open(file).map_err(|error| Mistakes(vec![Mistake::of(file, format!("cannot be read: {error}"))]))?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(opened);
    let header = reader.headers().cloned().map_err(|error| Mistakes(vec![broken(file, &error)]))?;
    let columns = find(file, columns, &header)?;
    let (mut rows, mut mistakes) = (Vec::new(), Vec::new());
    for record in reader.records() {
        match record {
            Ok(record) => {
                let number = record.position().map_or(0, csv::Position::line);
                if record.len() != header.len() {
                    let reason = format!("has {} values where the header has {}", record.len(), header.len());
                    mistakes.push(Mistake::of(file, reason).line(number));
                    continue;
                }
                match row(&Line { file, columns: &columns, record, number }) {
                    Ok(row) => rows.push(row),
                    Err(mistake) => mistakes.push(mistake),
                }
            }
            Err(error) => mistakes.push(broken(file, &error)),
        }
    }
    if rows.is_empty() && mistakes.is_empty() {
        mistakes.push(Mistake::of(file, "has a header and no rows"));
    }
    if mistakes.is_empty() { Ok(rows) } else { Err(Mistakes(mistakes)) }
}

fn find(file: &Path, columns: &[&'static str], header: &StringRecord) -> Result<Vec<(&'static str, usize)>, Mistakes> {
    let (mut found, mut mistakes) = (Vec::new(), Vec::new());
    for column in columns {
        match header.iter().position(|name| name.trim() == *column) {
            Some(at) => found.push((*column, at)),
            None => {
                let has = header.iter().collect::<Vec<_>>().join(", ");
                let reason = format!("is missing; the header has {has}");
                mistakes.push(Mistake::of(file, reason).line(1).column(format!("column {column}")));
            }
        }
    }
    if mistakes.is_empty() { Ok(found) } else { Err(Mistakes(mistakes)) }
}

fn broken(file: &Path, error: &csv::Error) -> Mistake {
    let mistake = Mistake::of(file, format!("is no CSV in UTF-8 here: {error}"));
    match error.position() {
        Some(position) => mistake.line(position.line()),
        None => mistake,
    }
}
