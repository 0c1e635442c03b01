//! Reads a CSV file with a fixed set of columns, collecting every mistake in it.

use std::{fs, path::Path};

use csv::{ByteRecord, StringRecord};

use super::mistake::{Mistake, Mistakes, unread};

/// One row, its values by column.
pub(crate) struct Line<'a> {
    file: &'a Path,
    columns: &'a [(&'static str, usize)],
    record: StringRecord,
    number: u64,
}

impl Line<'_> {
    /// Where the row stands in the file, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The value, without the blanks around it.
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
    let one = |mistake| Mistakes(vec![mistake]);
    let bytes = fs::read(file).map_err(|error| one(Mistake::of(file, unread(&error))))?;
    let mut records = Records::of(&bytes);
    let header = match records.next() {
        Some((number, header)) => text(file, number, header, None).map_err(one)?,
        None => return Err(one(Mistake::of(file, "is empty; its first line must name the columns"))),
    };
    let columns = find(file, columns, &header)?;
    let (mut rows, mut mistakes) = (Vec::new(), Vec::new());
    for (number, record) in records {
        let read = text(file, number, record, Some(&header))
            .and_then(|record| row(&Line { file, columns: &columns, record, number }));
        match read {
            Ok(row) => rows.push(row),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if rows.is_empty() && mistakes.is_empty() {
        mistakes.push(Mistake::of(file, "has a header and no rows"));
    }
    if mistakes.is_empty() { Ok(rows) } else { Err(Mistakes(mistakes)) }
}

/// The records of a file with the line on which each begins.
struct Records<'a> {
    bytes: &'a [u8],
    parsed: csv::ByteRecordsIntoIter<&'a [u8]>,
    /// As far as lines are counted, and which line that is. Counted here, because the reader stands between the two
    /// bytes of a Windows line end when it says where a record begins.
    counted: usize,
    line: u64,
}

impl<'a> Records<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(bytes);
        Self { bytes, parsed: reader.into_byte_records(), counted: 0, line: 1 }
    }
}

impl Iterator for Records<'_> {
    type Item = (u64, ByteRecord);

    fn next(&mut self) -> Option<Self::Item> {
        // Bytes in memory with rows of any length: nothing is left that could fail.
        let record = self.parsed.next()?.ok()?;
        let at = record.position().and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or_default();
        let rest = self.bytes.get(at..).unwrap_or_default();
        let at = at + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = self.bytes.get(self.counted..at).unwrap_or_default();
        self.line += breaks(passed);
        self.counted = at;
        Some((self.line, record))
    }
}

/// Line ends of Unix, Windows and the Macs of old.
fn breaks(bytes: &[u8]) -> u64 {
    let ends = bytes.iter().zip(bytes.iter().skip(1).chain([&0]));
    ends.map(|(byte, next)| u64::from(*byte == b'\n' || (*byte == b'\r' && *next != b'\n'))).sum()
}

/// The record as text. Refuses one that spans lines: a quote that is never closed would swallow the rows after it.
fn text(file: &Path, number: u64, record: ByteRecord, header: Option<&StringRecord>) -> Result<StringRecord, Mistake> {
    let wrong = |reason: String, at: Option<usize>| {
        let mistake = Mistake::of(file, reason).line(number);
        match at.and_then(|at| header?.get(at)) {
            Some(column) => mistake.column(format!("column {}", column.trim())),
            None => mistake,
        }
    };
    let broken = |value: &[u8]| value.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
    if let Some(at) = record.iter().position(broken) {
        return Err(wrong("has a value that goes on in the next line; is a quote left open?".to_owned(), Some(at)));
    }
    let record = StringRecord::from_byte_record(record)
        .map_err(|error| wrong("has a value that is no UTF-8".to_owned(), Some(error.utf8_error().field())))?;
    let strange = |value: &str| value.chars().any(|letter| letter.is_control() && letter != '\t');
    if let Some(at) = record.iter().position(strange) {
        return Err(wrong("has a value with a control character".to_owned(), Some(at)));
    }
    match header {
        Some(header) if header.len() != record.len() => {
            Err(wrong(format!("has {} values where the header has {}", record.len(), header.len()), None))
        }
        _ => Ok(record),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> Result<Vec<(u64, String)>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("some.csv");
        fs::write(&file, bytes).unwrap();
        let rows = read(&file, &["a", "b"], |line| Ok((line.number(), line.get("b").to_owned())));
        rows.map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn a_quote_that_is_never_closed_is_told_with_its_first_line() {
        let told = told(b"a,b\n1,x\n2,\"y\n3,z\n4,w\n").unwrap_err();
        assert!(told.contains("line 3, column b: has a value that goes on in the next line"), "{told}");
    }

    #[test]
    fn rows_after_one_that_spans_lines_keep_their_own_line() {
        let told = told(b"a,b\r\n1,\"x\r\nx\"\r\n2,y\r\n3\r\n").unwrap_err();
        assert!(told.contains("line 2, column b: has a value that goes on"), "{told}");
        assert!(told.contains("line 5: has 1 values where the header has 2"), "{told}");
    }

    #[test]
    fn every_way_to_end_a_line_counts_as_one() {
        for text in ["a,b\n1,x\n\n2,y\n", "a,b\r\n1,x\r\n\r\n2,y\r\n", "a,b\r1,x\r\r2,y\r", "\u{feff}a,b\n1,x\n\n2,y"] {
            let expected = [(2, "x".to_owned()), (4, "y".to_owned())];
            assert_eq!(told(text.as_bytes()).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_quoted_comma_is_part_of_the_value() {
        assert_eq!(told(b"a,b\n1,\"x, \"\"y\"\"\"\n").unwrap(), [(2, "x, \"y\"".to_owned())]);
    }

    #[test]
    fn other_text_than_utf_8_and_control_characters_are_told_in_plain_words() {
        let latin = told(b"a,b\n1,x\n2,K\xf6ln\n").unwrap_err();
        assert!(latin.contains("line 3, column b: has a value that is no UTF-8"), "{latin}");
        let nul = told(b"a,b\n1,x\0\n").unwrap_err();
        assert!(nul.contains("line 2, column b: has a value with a control character"), "{nul}");
    }

    #[test]
    fn an_empty_file_and_one_without_rows_are_told() {
        assert!(told(b"").unwrap_err().contains("is empty"));
        assert!(told(b"a,b\n").unwrap_err().contains("has a header and no rows"));
    }
}
