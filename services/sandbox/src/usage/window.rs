//! A sliding window of counts, a cell a second.

use std::collections::VecDeque;

/// Calls that come at once may be counted in another order than that of their moments. What lies further ahead than this
/// was counted before the clock was turned back, and has not happened.
const RACE_SECONDS: i64 = 5;

/// What was counted within the last so many seconds.
#[derive(Debug)]
pub(super) struct Window {
    seconds: i64,
    cells: VecDeque<(i64, u64)>,
    sum: u64,
}

impl Window {
    pub(super) fn new(seconds: i64) -> Self {
        Self { seconds, cells: VecDeque::new(), sum: 0 }
    }

    pub(super) fn add(&mut self, second: i64, count: u64) {
        match self.cells.back_mut() {
            Some((last, counted)) if *last >= second => *counted += count,
            _ => self.cells.push_back((second, count)),
        }
        self.sum += count;
    }

    /// As if so many had been counted, all of them now.
    pub(super) fn set(&mut self, second: i64, count: u64) {
        self.cells.clear();
        self.sum = 0;
        self.add(second, count);
    }

    pub(super) fn total(&mut self, second: i64) -> u64 {
        while let Some(&(last, count)) = self.cells.back() {
            if last <= second.saturating_add(RACE_SECONDS) {
                break;
            }
            self.cells.pop_back();
            self.sum -= count;
        }
        while let Some(&(first, count)) = self.cells.front() {
            if first > second - self.seconds {
                break;
            }
            self.cells.pop_front();
            self.sum -= count;
        }
        self.sum
    }

    /// Seconds until less than `limit` is counted; 0 where that is so already.
    pub(super) fn seconds_until_below(&mut self, second: i64, limit: u64) -> i64 {
        let mut sum = self.total(second);
        if sum < limit {
            return 0;
        }
        for &(at, count) in &self.cells {
            sum -= count;
            if sum < limit {
                return 0.max(at + self.seconds - second);
            }
        }
        0
    }

    /// Seconds until nothing is counted.
    pub(super) fn seconds_until_empty(&mut self, second: i64) -> i64 {
        self.total(second);
        self.cells.back().map_or(0, |&(at, _)| 0.max(at + self.seconds - second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_no_longer_counts() {
        let mut window = Window::new(10);
        window.add(0, 2);
        window.add(5, 3);
        assert_eq!(window.total(9), 5);
        assert_eq!(window.total(10), 3);
        assert_eq!(window.seconds_until_empty(10), 5);
    }

    #[test]
    fn the_wait_ends_when_enough_has_left() {
        let mut window = Window::new(10);
        window.add(0, 2);
        window.add(5, 3);
        assert_eq!(window.seconds_until_below(6, 6), 0);
        assert_eq!(window.seconds_until_below(6, 5), 4);
        assert_eq!(window.seconds_until_below(6, 2), 9);
    }

    #[test]
    fn what_was_counted_before_the_clock_was_turned_back_never_happened() {
        let mut window = Window::new(10);
        window.add(1_000, 7);
        assert_eq!(window.total(20), 0);
        assert_eq!((window.seconds_until_below(20, 5), window.seconds_until_empty(20)), (0, 0));
        window.add(20, 2);
        assert_eq!(window.total(20), 2);
        assert_eq!(window.seconds_until_empty(20), 10);
    }

    #[test]
    fn a_call_that_overtook_another_counts() {
        let mut window = Window::new(10);
        window.add(21, 1);
        window.add(20, 1);
        assert_eq!(window.total(20), 2);
    }
}
