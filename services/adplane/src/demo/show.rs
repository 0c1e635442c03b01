//! What a person wants to see at the end: tables and a chart, as text of at most 100 columns.

mod launched;
mod measured;
mod quotas;
mod sent;

use std::fmt::Write;

pub(crate) use self::{
    launched::{diff, tree},
    measured::chart,
    quotas::quotas,
    sent::{audience, events},
};
use super::step::{Took, seconds};

/// No line is wider.
const WIDTH: usize = 100;

/// A headline and its rule.
fn head(out: &mut String, title: &str) {
    let title = clip(title, WIDTH);
    _ = writeln!(out, "\n{title}\n{}", "─".repeat(title.chars().count()));
}

/// How long each step took.
pub(crate) fn times(times: &[Took]) -> String {
    let mut out = String::new();
    head(&mut out, "Time");
    for took in times {
        _ = writeln!(out, "  {:<28} {:>8}", took.name, seconds(took.time));
    }
    let total = times.iter().map(|took| took.time).sum();
    _ = writeln!(out, "  {:<28} {:>8}", "in all", seconds(total));
    out
}

/// The start of a long text.
fn clip(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A text on as many lines as it needs, each with this many blanks before it.
fn wrap(out: &mut String, indent: usize, text: &str) {
    let room = WIDTH.saturating_sub(indent);
    let mut line = String::new();
    for word in text.split_whitespace().map(|word| clip(word, room)) {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            _ = writeln!(out, "{:indent$}{line}", "");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    _ = writeln!(out, "{:indent$}{line}", "");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No line of it is wider than a page.
    pub(super) fn fits(text: &str) {
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{} columns: {line}", line.chars().count());
        }
    }

    #[test]
    fn a_long_text_goes_on_in_the_next_line() {
        let mut out = String::new();
        wrap(&mut out, 10, &"word ".repeat(40));
        fits(&out);
        assert_eq!(out.lines().count(), 3);
        assert!(out.lines().all(|line| line.starts_with("          word")), "{out}");
    }

    #[test]
    fn a_word_without_an_end_is_cut() {
        let mut out = String::new();
        wrap(&mut out, 4, &format!("a {} b", "x".repeat(300)));
        fits(&out);
        head(&mut out, &"long ".repeat(50));
        fits(&out);
    }
}
