//! What became of the customers and of their orders.

use std::fmt::Write;

use proto::audiences::v1::MemberErrorEffect;

use super::{clip, head, wrap};
use crate::demo::{audience::Filled, events::Sent};

/// Rows taken, rows refused and why.
pub(crate) fn audience(filled: &Filled) -> String {
    let mut out = String::new();
    let audience = &filled.audience;
    head(&mut out, &format!("Audience: {}", audience.name.as_deref().unwrap_or_default()));
    let job = &filled.job;
    _ = writeln!(out, "  {}", audience.resource_name);
    let status = audience.operation_status.as_ref().map_or("", |status| status.description.as_str());
    _ = writeln!(
        out,
        "  {} rows accepted, {} rejected; {} fields left out of rows that were kept",
        job.rows_accepted, job.rows_rejected, job.fields_dropped
    );
    _ = writeln!(out, "  {} received by Meta, {} of them invalid", filled.result.received, filled.result.invalid);
    if !status.is_empty() {
        wrap(&mut out, 2, &format!("Meta says: {status}"));
    }
    for remark in &filled.remarks {
        let more = if remark.count > remark.places.len() { ", …" } else { "" };
        let effect = if remark.effect == MemberErrorEffect::RowRejected { "rejected" } else { "left out" };
        let (count, field) = (remark.count, if remark.field.is_empty() { "row" } else { &remark.field });
        _ = writeln!(out, "  {count:>6} × {effect} {}", clip(field, 40));
        wrap(&mut out, 11, &remark.message);
        wrap(&mut out, 11, &format!("{}{more}", remark.places.join(", ")));
    }
    out
}

/// Events accepted, delivered and refused.
pub(crate) fn events(sent: &Sent) -> String {
    let mut out = String::new();
    head(&mut out, "Conversion events");
    let refused: usize = sent.refused.values().map(|(count, _)| count).sum();
    _ = writeln!(out, "  {:>6} accepted", sent.accepted);
    _ = writeln!(out, "  {:>6} delivered to Meta", sent.stats.delivered);
    if sent.deduplicated > 0 {
        _ = writeln!(out, "  {:>6} seen before, and counted once", sent.deduplicated);
    }
    _ = writeln!(out, "  {refused:>6} refused");
    for (reason, (count, example)) in &sent.refused {
        _ = writeln!(out, "         {count:>6} ×");
        wrap(&mut out, 18, &format!("{reason} (such as {example})"));
    }
    _ = writeln!(out, "  {:>6} dead letters", sent.stats.dead);
    for (reason, count) in &sent.dead {
        _ = writeln!(out, "         {count:>6} ×");
        wrap(&mut out, 18, reason);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proto::{
        audiences::v1::{Audience, MemberJob, RunMemberJobResult},
        conversions::v1::DeliveryStats,
    };

    use super::{super::tests::fits, *};
    use crate::demo::audience::Remark;

    #[test]
    fn a_reason_stands_beneath_its_count_with_the_lines_of_the_file() {
        let places = (0..5).map(|at| format!("line {} (customer {at}44400)", 445 + at)).collect();
        let remark = Remark {
            effect: MemberErrorEffect::RowRejected,
            field: String::new(),
            message: "must have an e-mail address, a phone, or more of what is known of a person ".repeat(2),
            places,
            count: 8,
        };
        let audience_of = Audience { name: Some("Customers ".repeat(30)), ..Audience::default() };
        let (job, result) = (MemberJob::default(), RunMemberJobResult::default());
        let text = audience(&Filled { audience: audience_of, job, result, remarks: vec![remark] });
        fits(&text);
        assert!(text.contains("       8 × rejected row\n           must have an e-mail address"), "{text}");
        assert!(text.contains("           line 445 (customer 044400), line 446"), "{text}");
    }

    #[test]
    fn refused_and_dead_events_fit() {
        let reason = "the event is too old, and there is much more to be said of it ".repeat(3);
        let sent = Sent {
            refused: BTreeMap::from([(reason.clone(), (3, "shop-00001".to_owned()))]),
            stats: DeliveryStats { dead: 2, ..DeliveryStats::default() },
            dead: BTreeMap::from([(reason, 2)]),
            ..Sent::default()
        };
        let text = events(&sent);
        fits(&text);
        assert!(text.contains("(such as shop-00001)"), "{text}");
    }
}
