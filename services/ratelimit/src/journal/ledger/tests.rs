use super::*;

const NOW: i64 = 1_780_045_200_000;
const WHEN: When = When { app: 1, epoch: 5, now_ms: NOW };

/// 300 an hour, counted for an hour and two minutes: steps of 12.
fn hour(key: &str) -> Terms<'_> {
    Terms { key, limit: 300, cell_ms: 60_000, cells: 62 }
}

/// Everything that is wanted is written.
fn write(ledger: &mut Ledger, now_ms: i64) -> Vec<(String, u64)> {
    let rows = ledger.unwritten(now_ms);
    ledger.written(&rows);
    let mut told: Vec<_> = rows.into_iter().map(|row| (row.key, row.points)).collect();
    told.sort();
    told
}

#[test]
fn nothing_is_held_before_it_is_written_and_then_all_or_none() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.hold(WHEN, &[(hour("a"), 5)]), Held::Short);
    assert_eq!(write(&mut ledger, NOW), [("a".to_owned(), 17)]);
    assert_eq!(ledger.hold(WHEN, &[(hour("a"), 5)]), Held::Covered);
    assert_eq!(ledger.hold(WHEN, &[(hour("a"), 2), (hour("b"), 1)]), Held::Short);
    assert_eq!(write(&mut ledger, NOW), [("b".to_owned(), 13)], "what a could cover was not held");
    assert_eq!(ledger.hold(WHEN, &[(hour("a"), 12), (hour("b"), 1)]), Held::Low);
}

#[test]
fn what_was_refused_because_its_epoch_is_over_may_not_be_spent() {
    let mut ledger = Ledger::default();
    ledger.hold(WHEN, &[(hour("a"), 1)]);
    write(&mut ledger, NOW);
    assert_eq!(ledger.hold(WHEN, &[(hour("a"), 10)]), Held::Low);
    let raise = ledger.unwritten(NOW);
    assert_eq!(raise.iter().map(|row| row.points).collect::<Vec<_>>(), [22]);
    ledger.refused(&raise);
    assert_eq!(ledger.open(1, 5, NOW).iter().map(|row| row.points).collect::<Vec<_>>(), [3], "of the 13 written");
    assert!(!ledger.hold_open(WHEN, &[(hour("a"), 4)], true));
    assert!(ledger.unwritten(NOW).is_empty(), "nor is it asked for again");
}

#[test]
fn a_line_that_runs_low_is_raised_before_anybody_waits() {
    let mut ledger = Ledger::default();
    ledger.hold(WHEN, &[(hour("a"), 1)]);
    write(&mut ledger, NOW);
    let mut writes = 0;
    for _ in 0..100 {
        match ledger.hold(WHEN, &[(hour("a"), 1)]) {
            Held::Covered => {}
            Held::Low => writes += usize::from(!write(&mut ledger, NOW).is_empty()),
            Held::Short | Held::Stale => panic!("somebody had to wait"),
        }
    }
    assert!((8..20).contains(&writes), "{writes}");
}

#[test]
fn what_redis_refused_can_be_held_again() {
    let mut ledger = Ledger::default();
    ledger.hold(WHEN, &[(hour("a"), 1)]);
    write(&mut ledger, NOW);
    for _ in 0..50 {
        assert_ne!(ledger.hold(WHEN, &[(hour("a"), 3)]), Held::Short);
        ledger.give_back(WHEN, &[(hour("a"), 3)]);
    }
    assert!(write(&mut ledger, NOW).is_empty());
}

#[test]
fn a_stretch_that_is_over_is_lowered_to_what_was_spent() {
    let mut ledger = Ledger::default();
    ledger.hold(WHEN, &[(hour("a"), 5)]);
    let later = ledger.unwritten(NOW)[0].ends_ms;
    write(&mut ledger, NOW);
    ledger.hold(WHEN, &[(hour("a"), 5)]);
    assert_eq!(ledger.hold(When { now_ms: later, ..WHEN }, &[(hour("a"), 1)]), Held::Short);
    let rows = write(&mut ledger, later);
    assert_eq!(rows, [("a".to_owned(), 13)], "an answer may still be under way");
    let rows = write(&mut ledger, later + GRACE_MS);
    assert_eq!(rows, [("a".to_owned(), 5)]);
    assert_eq!(write(&mut ledger, later + 620_000 + GRACE_MS), [("a".to_owned(), 0)], "nobody took the second");
    assert!(write(&mut ledger, later + 620_000 + GRACE_MS).is_empty());
    assert!(ledger.lines.is_empty(), "a bucket that nobody uses has no line");
}

#[test]
fn a_row_counts_until_its_window_has_passed() {
    let mut ledger = Ledger::default();
    ledger.hold(WHEN, &[(hour("a"), 1)]);
    let row = ledger.unwritten(NOW).remove(0);
    assert!(row.ends_ms > NOW && row.ends_ms <= NOW + 620_000);
    assert_eq!(row.until_ms, row.ends_ms + 62 * 60_000 + 60_000);
    let second = Terms { key: "m", limit: 100, cell_ms: 1_000, cells: 66 };
    ledger.hold(WHEN, &[(second, 1)]);
    let row = ledger.unwritten(NOW).into_iter().find(|row| row.key == "m").unwrap();
    assert!(row.ends_ms <= NOW + 11_000, "a short window has short stretches");
}

#[test]
fn another_epoch_begins_with_nothing() {
    let mut ledger = Ledger::default();
    ledger.hold(WHEN, &[(hour("a"), 1)]);
    write(&mut ledger, NOW);
    assert_eq!(ledger.hold(When { epoch: 6, ..WHEN }, &[(hour("a"), 1)]), Held::Short);
}

#[test]
fn without_a_journal_everything_goes_on_and_is_written_later() {
    let mut ledger = Ledger::default();
    for _ in 0..40 {
        ledger.hold_uncovered(WHEN, &[(hour("a"), 1)]);
    }
    assert!(write(&mut ledger, NOW)[0].1 >= 40);
    let mut ledger = Ledger::default();
    ledger.hold_uncovered(WHEN, &[(hour("a"), 40)]);
    let later = NOW + 700_000;
    assert_eq!(ledger.unwritten(later)[0].points, 40);
    assert_eq!(ledger.unwritten(later).len(), 1, "until it is written it is tried again");
    assert_eq!(write(&mut ledger, later), [("a".to_owned(), 40)]);
    assert!(write(&mut ledger, later).is_empty());
}

#[test]
fn without_redis_only_what_is_open_is_spent_and_half_a_step_is_for_safety() {
    let mut ledger = Ledger::default();
    ledger.hold(WHEN, &[(hour("a"), 1)]);
    write(&mut ledger, NOW);
    let mut others = 0;
    while ledger.hold_open(WHEN, &[(hour("a"), 1)], false) {
        others += 1;
    }
    let mut safety = 0;
    while ledger.hold_open(WHEN, &[(hour("a"), 1)], true) {
        safety += 1;
    }
    assert_eq!((others, safety), (7, 6));
    assert!(ledger.unwritten(NOW).is_empty(), "nothing more is asked for");
}

#[test]
fn what_is_over_is_never_begun_again() {
    let mut ledger = Ledger::default();
    let later = When { now_ms: NOW + 620_000, ..WHEN };
    ledger.hold(later, &[(hour("a"), 5)]);
    write(&mut ledger, later.now_ms);
    assert_eq!(ledger.hold(later, &[(hour("a"), 5)]), Held::Covered);
    // A task that slept over the end of a stretch asks with the time at which it fell asleep.
    assert_eq!(ledger.hold(WHEN, &[(hour("a"), 12)]), Held::Low);
    assert_eq!(write(&mut ledger, NOW), [("a".to_owned(), 29)], "the row only grows");

    let newer = When { epoch: 6, ..later };
    ledger.hold(newer, &[(hour("a"), 5)]);
    assert_eq!(ledger.hold(later, &[(hour("a"), 1)]), Held::Stale);
}

#[test]
fn what_was_spent_without_a_journal_is_written_as_soon_as_there_is_one_though_its_stretch_is_over() {
    let mut ledger = Ledger::default();
    ledger.hold_uncovered(WHEN, &[(hour("a"), 7)]);
    let ends_ms = ends_ms(&hour("a"), NOW);
    assert_eq!(write(&mut ledger, ends_ms + 1), [("a".to_owned(), 7)]);
    assert!(write(&mut ledger, ends_ms + GRACE_MS).is_empty());
}

#[test]
fn what_is_open_is_what_was_written_under_that_epoch_and_not_spent() {
    let mut ledger = Ledger::default();
    ledger.hold(WHEN, &[(hour("a"), 5)]);
    write(&mut ledger, NOW);
    ledger.hold(WHEN, &[(hour("a"), 5)]);
    let open = |epoch, now_ms| ledger.open(1, epoch, now_ms).into_iter().map(|row| row.points).collect::<Vec<_>>();
    assert_eq!(open(5, NOW), [12]);
    assert!(open(4, NOW).is_empty());
    assert!(open(5, ends_ms(&hour("a"), NOW)).is_empty());
}

#[test]
fn a_raise_that_was_not_written_is_tried_again_and_one_that_was_is_not() {
    let mut ledger = Ledger::default();
    ledger.hold(WHEN, &[(hour("a"), 1), (hour("b"), 1)]);
    let rows = ledger.unwritten(NOW);
    assert_eq!((rows.len(), &ledger.unwritten(NOW).len()), (2, &2));
    let (a, b) = rows.split_first().unwrap();
    ledger.written(b);
    assert_eq!(ledger.unwritten(NOW), std::slice::from_ref(a));
    ledger.written(std::slice::from_ref(a));
    assert!(ledger.unwritten(NOW).is_empty() && ledger.wanting.is_empty());
}

#[test]
fn rows_of_many_stretches_are_written_when_they_are_due_and_forgotten_when_they_no_longer_count() {
    let mut ledger = Ledger::default();
    let keys: Vec<String> = (0..100).map(|key| format!("k{key:03}")).collect();
    for key in &keys {
        ledger.hold(WHEN, &[(hour(key), 5)]);
    }
    write(&mut ledger, NOW);
    for key in &keys {
        assert_eq!(ledger.hold(WHEN, &[(hour(key), 5)]), Held::Covered);
    }
    let ends_ms = ends_ms(&hour("k"), NOW);
    assert!(ledger.unwritten(ends_ms + GRACE_MS - 1).is_empty(), "late answers may still change them");
    assert_eq!(ledger.unwritten(ends_ms + GRACE_MS).len(), 100);
    let first = ledger.unwritten(ends_ms + GRACE_MS).remove(0);
    assert_eq!((first.key.as_str(), first.points), ("k000", 5));
    ledger.written(std::slice::from_ref(&first));
    assert_eq!(ledger.unwritten(ends_ms + GRACE_MS).len(), 99);
    assert!(ledger.unwritten(first.until_ms).is_empty() && ledger.ended.is_empty());
}
