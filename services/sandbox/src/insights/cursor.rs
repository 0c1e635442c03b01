//! Where a page of rows begins and ends.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::cells::Key;
use crate::error::Refusal;

/// The place of a row: its object, its slice of time, and its cell. It names the row, not a count of rows, so that rows
/// that come before it move nothing, and the next page is found without making the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) object: u64,
    pub(super) slice: usize,
    /// Only its part of rows counts.
    pub(super) cell: Key,
}

impl Place {
    pub(super) fn seal(&self) -> String {
        let cell = super::cells::row_of(&self.cell);
        let used = cell.iter().rposition(|code| *code != 0).map_or(0, |last| last + 1);
        let mut text = format!("{}.{}", self.object, self.slice);
        for code in cell.iter().take(used) {
            text.push('.');
            text.push_str(&code.to_string());
        }
        URL_SAFE_NO_PAD.encode(text)
    }

    pub(super) fn open(cursor: &str) -> Result<Self, Refusal> {
        Self::parsed(cursor).ok_or_else(|| Refusal::new(2642, "(#2642) Invalid cursors values"))
    }

    fn parsed(cursor: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let mut parts = text.split('.');
        let object = parts.next()?.parse().ok()?;
        let slice = parts.next()?.parse().ok()?;
        let mut cell = Key::default();
        for (at, part) in parts.enumerate() {
            *cell.get_mut(at)? = part.parse().ok()?;
        }
        Some(Self { object, slice, cell })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_as_it_was_sealed() {
        for cell in [[0, 0, 0, 0, 0], [3, 0, 7, 0, 0], [u64::MAX, 1, 0, 0, 0]] {
            let place = Place { object: 120_210_000_000_000_001, slice: 29, cell };
            assert_eq!(Place::open(&place.seal()).unwrap(), place);
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for cursor in ["zzz", "MAZDZD", "", "!"] {
            assert_eq!(Place::open(cursor).unwrap_err().code(), 2642, "{cursor}");
        }
    }
}
