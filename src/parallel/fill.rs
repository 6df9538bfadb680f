//! Fills and updates arrays in parallel.

use super::progress::Progress;
use super::{pages, scope};
use std::ops::Range;

/// Elements per thread that are worth starting it.
const THREAD_ELEMENTS: usize = 1 << 15;

/// Returns into how many parts work on `elements` elements is split.
pub fn part_count(elements: usize) -> usize {
    if elements < 2 * THREAD_ELEMENTS { 1 } else { scope::thread_limit().min(elements / THREAD_ELEMENTS) }
}

/// Returns `len` elements that `fill` computes from zeros, a chunk at a time. `fill` takes the index of the chunk and the chunk,
/// which has `chunk_len` elements; the last one may be shorter.
pub fn fill_chunks<T: Copy + Default + Send>(
    len: usize,
    chunk_len: usize,
    fill: impl Fn(usize, &mut [T]) + Sync,
) -> Vec<T> {
    fill_chunks_by(len, chunk_len, &fill)
}

/// A function that computes a chunk, given its index. As a trait object, so that the code around it is compiled once.
type FillChunk<'a, T> = dyn Fn(usize, &mut [T]) + Sync + 'a;

fn fill_chunks_by<T: Copy + Default + Send>(len: usize, chunk_len: usize, fill: &FillChunk<'_, T>) -> Vec<T> {
    let mut elements = pages::zeros(len);
    if len == 0 || chunk_len == 0 {
        return elements;
    }
    let progress = Progress::new("computing", len);
    let chunks_per_part = len.div_ceil(chunk_len).div_ceil(part_count(len));
    let parts = elements.chunks_mut(chunks_per_part * chunk_len).enumerate().collect();
    scope::map_parts(parts, |(part, elements)| {
        for (n, chunk) in elements.chunks_mut(chunk_len).enumerate() {
            fill(part * chunks_per_part + n, chunk);
            progress.advance(chunk.len());
        }
    });
    elements
}

/// Returns an array of the axes (outer, rows, inner). `fill` gets the number of a row and computes its outer·inner elements, which are
/// then copied to their places.
pub fn fill_across<T: Copy + Default + Send>(dim: [usize; 3], fill: impl Fn(usize, &mut [T]) + Sync) -> Vec<T> {
    fill_across_by(dim, &fill)
}

fn fill_across_by<T: Copy + Default + Send>([outer, rows, inner]: [usize; 3], fill: &FillChunk<'_, T>) -> Vec<T> {
    let mut elements = pages::zeros(outer * rows * inner);
    if elements.is_empty() {
        return elements;
    }
    let progress = Progress::new("computing", elements.len());
    let rows_per_part = rows.div_ceil(part_count(elements.len()));
    let mut runs_of_rows: Vec<Vec<&mut [T]>> = (0..rows).map(|_| Vec::with_capacity(outer)).collect();
    elements.chunks_mut(inner).enumerate().for_each(|(n, run)| runs_of_rows[n % rows].push(run));
    let parts = runs_of_rows.chunks_mut(rows_per_part).enumerate().collect();
    scope::map_parts(parts, |(part, rows): (usize, &mut [Vec<&mut [T]>])| {
        let mut row = vec![T::default(); outer * inner];
        for (n, runs) in rows.iter_mut().enumerate() {
            fill(part * rows_per_part + n, &mut row);
            runs.iter_mut().zip(row.chunks(inner)).for_each(|(run, entries)| run.copy_from_slice(entries));
            progress.advance(row.len());
        }
    });
    elements
}

/// Calls `work` for consecutive chunks of `rows` rows on all threads. The chunks that are worked on at the same time have about
/// `rows_at_once` rows together, and each has a multiple of `row_multiple`.
pub fn for_each_row_chunk(
    rows: usize,
    (rows_at_once, row_multiple): (usize, usize),
    work: impl Fn(Range<usize>) + Sync,
) {
    let rows_per_thread = rows.div_ceil(scope::thread_limit()).max(1);
    let chunk_rows = (rows_at_once / scope::thread_limit()).next_multiple_of(row_multiple).max(row_multiple);
    let parts = (0..rows).step_by(rows_per_thread).map(|from| from..rows.min(from + rows_per_thread)).collect();
    scope::map_parts(parts, |part: Range<usize>| {
        part.clone().step_by(chunk_rows).for_each(|row| work(row..part.end.min(row + chunk_rows)));
    });
}

/// Calls `update` for each element of `targets` and the element of `sources` with the same index.
pub fn update_elementwise<T: Send, U: Sync>(targets: &mut [T], sources: &[U], update: impl Fn(&mut T, &U) + Sync) {
    let part_len = targets.len().div_ceil(part_count(targets.len())).max(1);
    scope::map_parts(targets.chunks_mut(part_len).zip(sources.chunks(part_len)).collect(), |(targets, sources)| {
        targets.iter_mut().zip(sources).for_each(|(target, source)| update(target, source));
    });
}

/// Returns the result of `function` for each row index. A row has `width` elements, which decides how many threads are used.
pub fn map_rows<R: Send>(rows: usize, width: usize, function: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let parts = part_count(rows.saturating_mul(width)).min(rows.max(1));
    let rows_per_part = rows.div_ceil(parts);
    let parts = (0..parts).map(|n| (n * rows_per_part).min(rows)..((n + 1) * rows_per_part).min(rows)).collect();
    scope::map_parts(parts, |rows: Range<usize>| rows.map(&function).collect::<Vec<R>>())
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_updated_from_the_same_index_for_any_number_of_threads() {
        for len in [0, 5, 70_000, 100_001] {
            let sources: Vec<usize> = (0..len).map(|n| 3 * n).collect();
            for threads in [1, 2, 5] {
                let mut targets: Vec<usize> = (0..len).collect();
                scope::with_thread_limit(threads, || {
                    update_elementwise(&mut targets, &sources, |target, source| *target += source);
                });
                assert!(targets.iter().enumerate().all(|(n, &target)| target == 4 * n));
            }
        }
    }

    #[test]
    fn row_chunks_cover_each_row_once_for_any_number_of_threads() {
        for (rows, rows_at_once) in [(0, 5), (1, 1), (700, 100), (700, 10_000), (65, 64)] {
            for threads in [1, 2, 5] {
                let seen = std::sync::Mutex::new(Vec::new());
                let record = |chunk: Range<usize>| seen.lock().unwrap_or_else(|_| unreachable!()).extend(chunk);
                scope::with_thread_limit(threads, || for_each_row_chunk(rows, (rows_at_once, 8), record));
                let mut seen = seen.into_inner().unwrap_or_default();
                seen.sort_unstable();
                assert!(seen.into_iter().eq(0..rows), "{rows} {rows_at_once} {threads}");
            }
        }
    }

    #[test]
    fn chunks_fill_each_element_once_for_any_number_of_threads() {
        let sizes = [(0, 7), (5, 0), (5, 7), (100_000, 1), (100_001, 64), (300_000, 1000), (70_000, 69_999)];
        for (len, chunk_len) in sizes {
            let fill = |n: usize, chunk: &mut [usize]| {
                assert!(chunk.len() == chunk_len || n == (len - 1) / chunk_len, "only the last chunk is shorter");
                chunk.iter_mut().enumerate().for_each(|(k, element)| *element += n * chunk_len + k);
            };
            for threads in [1, 2, 5] {
                let found = scope::with_thread_limit(threads, || fill_chunks(len, chunk_len, fill));
                assert_eq!(found.len(), len);
                assert!(chunk_len == 0 || found.iter().enumerate().all(|(n, &found)| n == found));
            }
        }
    }

    #[test]
    fn rows_across_an_axis_are_filled_for_any_number_of_threads() {
        for dim in [[0, 2, 3], [2, 0, 3], [2, 3, 0], [1, 1, 1], [3, 4, 5], [40, 50, 60]] {
            let [outer, rows, inner] = dim;
            let expected = |at: usize| at / inner % rows * outer * inner + at / (rows * inner) * inner + at % inner;
            let fill = |n: usize, row: &mut [usize]| {
                row.iter_mut().enumerate().for_each(|(k, element)| *element = n * outer * inner + k);
            };
            for threads in [1, 2, 5] {
                let found = scope::with_thread_limit(threads, || fill_across(dim, fill));
                assert!(found.iter().enumerate().all(|(at, &element)| element == expected(at)), "{dim:?}");
                assert_eq!(found.len(), outer * rows * inner);
            }
        }
    }

    #[test]
    fn mapped_rows_are_in_order_for_any_number_of_threads() {
        for (rows, width) in [(0, 5), (5, 0), (3, 1 << 20), (100_000, 1), (1001, 1000)] {
            for threads in [1, 2, 5] {
                let found = scope::with_thread_limit(threads, || map_rows(rows, width, |n| n));
                assert!(found.into_iter().eq(0..rows), "{rows} {width} {threads}");
            }
        }
    }
}
