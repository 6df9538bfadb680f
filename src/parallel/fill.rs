//! Numbers that are made without each other, over threads.

use super::progress::Progress;
use super::{pages, scope};
use std::ops::Range;

/// Numbers that are worth a thread.
const SHARE: usize = 1 << 15;

/// So many numbers, `step` at a time: `fill` gets the place of a step among them, and room for its numbers, the last time
/// perhaps for fewer.
pub fn filled<T: Copy + Default + Send>(len: usize, step: usize, fill: impl Fn(usize, &mut [T]) + Sync) -> Vec<T> {
    let mut all = pages::zeros(len);
    if len == 0 || step == 0 {
        return all;
    }
    let parts = if len < 2 * SHARE { 1 } else { scope::count().min(len / SHARE) };
    let progress = Progress::new("computing", len);
    let each = len.div_ceil(step).div_ceil(parts);
    let parts = all.chunks_mut(each * step).enumerate().collect();
    scope::each(parts, |(part, numbers)| {
        for (n, numbers) in numbers.chunks_mut(step).enumerate() {
            fill(part * each + n, numbers);
            progress.done(numbers.len());
        }
    });
    all
}

/// Does `work` on parts of so many rows, over all threads: at a time on about `together` rows, of each part a multiple of `unit`.
pub fn in_parts(rows: usize, (together, unit): (usize, usize), work: impl Fn(Range<usize>) + Sync) {
    let share = rows.div_ceil(scope::count()).max(1);
    let step = (together / scope::count()).next_multiple_of(unit).max(unit);
    let shares = (0..rows).step_by(share).map(|from| from..rows.min(from + share)).collect();
    scope::each(shares, |share: Range<usize>| {
        share.clone().step_by(step).for_each(|row| work(row..share.end.min(row + step)));
    });
}

/// Changes every number by the one that lies at its place in `others`.
pub fn changed<T: Send, U: Sync>(all: &mut [T], others: &[U], change: impl Fn(&mut T, &U) + Sync) {
    let parts = if all.len() < 2 * SHARE { 1 } else { scope::count().min(all.len() / SHARE) };
    let part = all.len().div_ceil(parts).max(1);
    scope::each(all.chunks_mut(part).zip(others.chunks(part)).collect(), |(all, others)| {
        all.iter_mut().zip(others).for_each(|(number, other)| change(number, other));
    });
}

/// What is made of each of so many rows, of so many numbers each.
pub fn each<R: Send>(rows: usize, width: usize, make: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let numbers = rows.saturating_mul(width);
    let parts = if numbers < 2 * SHARE { 1 } else { scope::count().min(numbers / SHARE).min(rows).max(1) };
    let each = rows.div_ceil(parts);
    let parts = (0..parts).map(|part| (part * each).min(rows)..((part + 1) * each).min(rows)).collect();
    scope::each(parts, |rows: Range<usize>| rows.map(&make).collect::<Vec<R>>()).into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_changed_by_the_one_at_its_place_whatever_the_threads() {
        for len in [0, 5, 70_000, 100_001] {
            let others: Vec<usize> = (0..len).map(|n| 3 * n).collect();
            for count in [1, 2, 5] {
                let mut all: Vec<usize> = (0..len).collect();
                scope::with(count, || changed(&mut all, &others, |number, other| *number += other));
                assert!(all.iter().enumerate().all(|(n, &number)| number == 4 * n));
            }
        }
    }

    #[test]
    fn parts_are_all_rows_once_whatever_the_threads() {
        for (rows, together) in [(0, 5), (1, 1), (700, 100), (700, 10_000), (65, 64)] {
            for count in [1, 2, 5] {
                let parts = std::sync::Mutex::new(Vec::new());
                let take = |part: Range<usize>| parts.lock().unwrap_or_else(|_| unreachable!()).extend(part);
                scope::with(count, || in_parts(rows, (together, 8), take));
                let mut found = parts.into_inner().unwrap_or_default();
                found.sort_unstable();
                assert!(found.into_iter().eq(0..rows), "{rows} {together} {count}");
            }
        }
    }

    #[test]
    fn every_number_is_made_once_at_its_place_whatever_the_threads() {
        for (len, step) in [(0, 7), (5, 0), (5, 7), (100_000, 1), (100_001, 64), (300_000, 1000), (70_000, 69_999)] {
            let fill = |n: usize, numbers: &mut [usize]| {
                assert!(numbers.len() == step || n == (len - 1) / step, "only the last step is shorter");
                numbers.iter_mut().enumerate().for_each(|(k, number)| *number += n * step + k);
            };
            for count in [1, 2, 5] {
                let found = scope::with(count, || filled(len, step, fill));
                assert!(found.len() == len && (step == 0 || found.iter().enumerate().all(|(n, &found)| n == found)));
            }
        }
    }

    #[test]
    fn each_row_gives_its_own_in_their_order() {
        for (rows, width) in [(0, 5), (5, 0), (3, 1 << 20), (100_000, 1), (1001, 1000)] {
            for count in [1, 2, 5] {
                let found = scope::with(count, || each(rows, width, |n| n));
                assert!(found.into_iter().eq(0..rows), "{rows} {width} {count}");
            }
        }
    }
}
