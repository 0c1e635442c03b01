//! `sort` of insights: one key, with its direction.

use super::action::List;
use super::columns::{self, Column, Named, Number};
use crate::error::Refusal;

/// By what rows are sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) by: By,
    pub(super) descending: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum By {
    Number(Number),
    /// One action type of a list: `actions:link_click`.
    Action(List, String),
    Named(Named),
    Date,
}

impl Order {
    /// Reads `spend_descending` or `actions:link_click_ascending`. Meta takes one key.
    pub(super) fn read(words: &[String]) -> Result<Option<Self>, Refusal> {
        let Some(word) = words.first() else { return Ok(None) };
        if words.len() > 1 {
            return Err(Refusal::invalid("Param sort must hold one key only"));
        }
        let refused = || {
            Refusal::invalid(format!(
                "sort[0] {word} is not valid: it must be a field of the query followed by _ascending or _descending"
            ))
        };
        let (key, descending) = match (word.strip_suffix("_descending"), word.strip_suffix("_ascending")) {
            (Some(key), _) => (key, true),
            (None, Some(key)) => (key, false),
            (None, None) => return Err(refused()),
        };
        let (name, action) = key.split_once(':').map_or((key, None), |(name, action)| (name, Some(action)));
        let by = match (columns::column(name), action) {
            (Some(Column::Number(number)), None) => By::Number(number),
            (Some(Column::List(list)), Some(action)) => By::Action(list, action.to_owned()),
            (Some(Column::Named(named)), None) => By::Named(named),
            (Some(Column::DateStart | Column::DateStop), None) => By::Date,
            _ => return Err(refused()),
        };
        Ok(Some(Self { by, descending }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(word: &str) -> Result<Option<Order>, Refusal> {
        Order::read(&[word.to_owned()])
    }

    #[test]
    fn a_key_is_a_number_a_name_or_an_action() {
        assert_eq!(read("reach_descending").unwrap().unwrap().by, By::Number(Number::Reach));
        let order = read("actions:link_click_ascending").unwrap().unwrap();
        assert!(!order.descending && matches!(order.by, By::Action(_, action) if action == "link_click"));
        for word in ["spend", "foo_descending", "actions_descending", "spend:x_ascending"] {
            assert_eq!(read(word).unwrap_err().code(), 100, "{word}");
        }
    }
}
