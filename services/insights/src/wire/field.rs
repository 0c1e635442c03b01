//! The words of the tables as fields.

use graph::insights::words::{self, Shape};
use proto::insights::v1 as pb;

/// A word and its kind; what lists are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Word {
    /// The number of a `FieldKind`.
    pub kind: i32,
    /// As Meta spells it.
    pub name: &'static str,
    retired: Option<&'static str>,
}

/// Every word of the tables, by kind and name.
pub(crate) fn all_words() -> Vec<Word> {
    use pb::FieldKind::{ActionBreakdown, AttributionWindow, Breakdown, DatePreset, Metric};
    let word = |kind: pb::FieldKind, name, retired| Word { kind: kind.into(), name, retired };
    let mut all: Vec<Word> = words::METRICS.iter().map(|metric| word(Metric, metric.name, None)).collect();
    for (kind, table) in [
        (Breakdown, words::BREAKDOWNS),
        (ActionBreakdown, words::ACTION_BREAKDOWNS),
        (DatePreset, words::DATE_PRESETS),
        (AttributionWindow, words::ATTRIBUTION_WINDOWS),
    ] {
        all.extend(table.iter().map(|name| word(kind, name, None)));
    }
    for (kind, table) in [
        (Metric, words::METRICS_RETIRED),
        (Breakdown, words::BREAKDOWNS_RETIRED),
        (DatePreset, words::DATE_PRESETS_RETIRED),
        (AttributionWindow, words::ATTRIBUTION_WINDOWS_RETIRED),
    ] {
        all.extend(table.iter().map(|(name, instead)| word(kind, name, Some(*instead))));
    }
    all.sort_unstable();
    all
}

/// The word for callers.
pub(crate) fn encode_word(word: Word) -> pb::Field {
    let metric = words::metric_named(word.name).filter(|_| word.kind == i32::from(pb::FieldKind::Metric));
    pb::Field {
        name: word.name.to_owned(),
        kind: word.kind,
        shape: metric.map_or(pb::FieldShape::Unspecified, |metric| shape(metric.shape)).into(),
        additive: metric.is_some_and(|metric| metric.additive),
        retired: word.retired.unwrap_or_default().to_owned(),
    }
}

fn shape(shape: Shape) -> pb::FieldShape {
    match shape {
        Shape::Count => pb::FieldShape::Count,
        Shape::Ratio => pb::FieldShape::Ratio,
        Shape::Money => pb::FieldShape::Money,
        Shape::Text => pb::FieldShape::Text,
        Shape::Actions => pb::FieldShape::Actions,
        Shape::ActionMoney => pb::FieldShape::ActionMoney,
        Shape::ActionRatios => pb::FieldShape::ActionRatios,
        Shape::Json => pb::FieldShape::Json,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_listed_in_an_order_without_ties() {
        let all = all_words();
        assert!(all.windows(2).all(|pair| (pair[0].kind, pair[0].name) < (pair[1].kind, pair[1].name)));
    }

    #[test]
    fn a_retired_word_says_what_to_use() {
        let gone = all_words().into_iter().find(|word| word.name == "relevance_score").unwrap();
        assert!(encode_word(gone).retired.contains("quality_ranking"));
    }
}
