//! Attention in blocks of query rows, whose scores and weights are all that is kept of them.

use super::arrays::{count, elements, sum_to_shape};
use super::heads::{K, Mask, MaskKind, Options, Q, Sizes, V, visible};
use super::masked_rows::MaskedRows;
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::ops::{ArrayOps, Kernel};
use ndarray::{Array2, ArrayD, ArrayView2, s};
use std::borrow::Cow;
use std::ops::Range;

/// Scores that are computed at a time; they fit the second-level cache.
const BLOCK_SCORES: usize = 1 << 15;

/// Attention at some operands.
pub(super) struct Attention<'a, S> {
    options: &'a Options,
    pub(super) sizes: Sizes,
    scale: S,
    q: &'a [S],
    k: &'a [S],
    v: &'a [S],
    mask: Option<Mask<'a, S>>,
}

/// A block of query rows of a head.
struct Block<S> {
    /// The scores, masked by −∞.
    logits: Array2<S>,
    /// Their softmax.
    weights: Array2<S>,
    /// tanh of the scores over the softcap.
    capped: Option<Array2<S>>,
}

/// A head of q, and the head of k and v that serves it.
#[derive(Clone, Copy)]
struct Head {
    batch: usize,
    head: usize,
    kv_head: usize,
}

/// A task: query rows of the heads that a head of k and v serves.
struct Task {
    batch: usize,
    kv_head: usize,
    rows: Range<usize>,
}

impl<'a, S: ArrayOps> Attention<'a, S> {
    /// Returns attention at admitted operands of these sizes.
    pub(super) fn new(options: &'a Options, sizes: Sizes, at: &'a Tensors<S>) -> Self {
        let default = || S::one() / S::from_f64(count(sizes.depth)).sqrt();
        let scale = options.scale.map_or_else(default, S::from_f64);
        let mask = at.get(&Name::MASK).and_then(|mask| Mask::new(mask, &sizes, options.mask));
        let [q, k, v] = [Q, K, V].map(|name| elements(at.known(&name)));
        Attention { options, sizes, scale, q, k, v, mask }
    }

    fn queries(&self, head: Head, rows: Range<usize>) -> ArrayView2<'a, S> {
        let sizes = &self.sizes;
        sizes.part(head.batch, head.head, sizes.heads, sizes.queries, sizes.depth).rows(self.q, rows)
    }

    fn keys(&self, head: Head, count: usize) -> ArrayView2<'a, S> {
        let sizes = &self.sizes;
        sizes.part(head.batch, head.kv_head, sizes.kv_heads, sizes.keys, sizes.depth).rows(self.k, 0..count)
    }

    fn values(&self, head: Head, count: usize) -> ArrayView2<'a, S> {
        let sizes = &self.sizes;
        sizes.part(head.batch, head.kv_head, sizes.kv_heads, sizes.keys, sizes.value_depth).rows(self.v, 0..count)
    }

    /// Returns scores and weights of some query rows and of the keys that any of them may attend to.
    fn block(&self, head: Head, rows: Range<usize>) -> Block<S> {
        let keys = visible(self.options.causal, &self.sizes, rows.end - 1).max(1);
        let mut logits = S::matmul(self.queries(head, rows.clone()), self.keys(head, keys).t());
        logits.mapv_inplace(|score| score * self.scale);
        let capped = self.options.softcap.map(|cap| {
            let cap = S::from_f64(cap);
            logits.mapv_inplace(|score| score / cap);
            let tanh = tanh(&logits).mapv_into(|t| t.named("t", "tanh(q·kᵀ·scale / softcap)"));
            logits.zip_mut_with(&tanh, |logit, &tanh| *logit = cap * tanh);
            tanh
        });
        let mut is_masked = vec![false; rows.len()];
        for (n, mut logits) in logits.rows_mut().into_iter().enumerate() {
            is_masked[n] = self.mask_row(head, rows.start + n, logits.as_slice_mut().unwrap_or_default());
        }
        let meaning = match (capped.is_some(), self.mask.as_ref().is_some_and(|mask| mask.kind == MaskKind::Additive)) {
            (false, false) => "q·kᵀ·scale",
            (true, false) => "softcap·t",
            (false, true) => "q·kᵀ·scale + mask",
            (true, true) => "softcap·t + mask",
        };
        logits.mapv_inplace(|score| score.named("s", meaning));
        let mut weights = S::softmax_rows(logits.view()).0;
        weights.mapv_inplace(|weight| weight.named("p", "e / sum"));
        if self.options.masked == MaskedRows::Zero {
            let masked = weights.rows_mut().into_iter().zip(is_masked).filter(|(_, is_masked)| *is_masked);
            masked.for_each(|(mut row, _)| row.fill(S::zero()));
        }
        Block { logits, weights, capped }
    }

    /// Applies the mask to the logits of a row; returns true if no key takes part.
    fn mask_row(&self, head: Head, row: usize, logits: &mut [S]) -> bool {
        let none = S::from_f64(f64::NEG_INFINITY);
        let keys = visible(self.options.causal, &self.sizes, row).min(logits.len());
        logits[keys..].fill(none);
        let Some(mask) = &self.mask else { return keys == 0 };
        let (begin, mut is_masked) = (mask.begin(head.batch * self.sizes.heads + head.head, row), true);
        for (key, logit) in logits[..keys].iter_mut().enumerate() {
            let value = mask.values[begin + key * mask.column];
            let takes_part = mask.has(value);
            is_masked &= !takes_part;
            *logit = match mask.kind {
                _ if !takes_part => none,
                MaskKind::Boolean(_) => *logit,
                MaskKind::Additive => *logit + value,
            };
        }
        is_masked
    }

    /// Returns the heads of a task, and its blocks of rows.
    fn heads_and_blocks(&self, task: &Task) -> (impl Iterator<Item = Head> + use<S>, Vec<Range<usize>>) {
        let (group, (batch, kv_head)) = (self.sizes.heads / self.sizes.kv_heads, (task.batch, task.kv_head));
        let heads = (kv_head * group..(kv_head + 1) * group).map(move |head| Head { batch, head, kv_head });
        let step = (BLOCK_SCORES / self.sizes.keys).clamp(8, 256);
        let end = task.rows.end;
        let blocks = task.rows.clone().step_by(step).map(|row| row..end.min(row + step)).collect();
        (heads, blocks)
    }

    /// Computes all tasks, each into `len` elements; returns them in order, with the elements of all.
    fn for_each_task(&self, len: usize, work: impl Fn(&Task, &mut [S]) + Sync) -> (Vec<Task>, Vec<S>) {
        let (rows, count) = self.sizes.tasks();
        let task = |n: usize| {
            let (head, begin) = (n / count, n % count * rows);
            let rows = begin..self.sizes.queries.min(begin + rows);
            Task { batch: head / self.sizes.kv_heads, kv_head: head % self.sizes.kv_heads, rows }
        };
        let tasks = self.sizes.batch() * self.sizes.kv_heads * count;
        let all = S::fill_chunks(tasks * len, len, |n, out| work(&task(n), out));
        ((0..tasks).map(task).collect(), all)
    }

    /// Returns the number of heads of q that a head of k and v serves.
    fn group(&self) -> usize {
        self.sizes.heads / self.sizes.kv_heads
    }

    /// Returns an array of q's heads from rows of `width` elements, which each task has at `begin` of its `len` elements.
    fn assemble(&self, (tasks, all): &(Vec<Task>, Vec<S>), len: usize, begin: usize, width: usize) -> ArrayD<S> {
        let (sizes, (task_rows, _)) = (&self.sizes, self.sizes.tasks());
        let shape = sizes.shape(sizes.heads, sizes.queries, width);
        let mut assembled = vec![S::zero(); shape.iter().product()];
        for (n, task) in tasks.iter().enumerate() {
            for (member, head) in (task.kv_head * self.group()..(task.kv_head + 1) * self.group()).enumerate() {
                let part = sizes.part(task.batch, head, sizes.heads, sizes.queries, width);
                let from = &all[n * len + begin + member * task_rows * width..];
                for (row, from) in task.rows.clone().zip(from.chunks_exact(width.max(1))) {
                    assembled[part.begin + row * part.stride..][..width].copy_from_slice(&from[..width]);
                }
            }
        }
        ArrayD::from_shape_vec(shape, assembled).unwrap_or_else(|_| unreachable!("there is an entry for each place"))
    }

    /// Returns an array of the heads of k and v: the sums of what the tasks of a head have at `begin` of their `len` elements.
    fn sum_tasks(&self, (tasks, all): &(Vec<Task>, Vec<S>), len: usize, begin: usize, width: usize) -> ArrayD<S> {
        let sizes = &self.sizes;
        let shape = sizes.shape(sizes.kv_heads, sizes.keys, width);
        let mut sums = vec![S::zero(); shape.iter().product()];
        for (n, task) in tasks.iter().enumerate() {
            let part = sizes.part(task.batch, task.kv_head, sizes.kv_heads, sizes.keys, width);
            let from = all[n * len + begin..].chunks_exact(width.max(1)).take(sizes.keys);
            for (row, from) in from.enumerate().filter(|_| width > 0) {
                let to = &mut sums[part.begin + row * part.stride..][..width];
                add(to, from, task.rows.start == 0);
            }
        }
        ArrayD::from_shape_vec(shape, sums).unwrap_or_else(|_| unreachable!("there is an entry for each place"))
    }

    /// Returns y.
    pub(super) fn forward(&self) -> ArrayD<S> {
        let width = self.sizes.value_depth;
        let (task_rows, _) = self.sizes.tasks();
        let len = self.group() * task_rows * width;
        let computed = self.for_each_task(len, |task, out| {
            let (heads, blocks) = self.heads_and_blocks(task);
            for (member, head) in heads.enumerate() {
                for rows in &blocks {
                    let weights = self.block(head, rows.clone()).weights;
                    let y = S::matmul(weights.view(), self.values(head, weights.ncols()));
                    let at = (member * task_rows + rows.start - task.rows.start) * width;
                    copy(&y, &mut out[at..]);
                }
            }
        });
        self.assemble(&computed, len, 0, width)
    }

    /// Returns the scores, the masked scores and the weights of all heads, each with its gradient; without a softcap.
    pub(super) fn score_matrices(&self, dout: &ArrayD<S>) -> [(ArrayD<S>, ArrayD<S>); 3] {
        let (sizes, dout) = (&self.sizes, elements(dout));
        let shape = sizes.scores();
        let none = S::from_f64(f64::NEG_INFINITY);
        let mut arrays =
            [S::zero(), none, S::zero(), S::zero(), S::zero()].map(|value| ArrayD::from_elem(shape.as_slice(), value));
        let heads = (0..sizes.batch() * sizes.heads).map(|n| (n, n / sizes.heads, n % sizes.heads));
        for (n, batch, head) in heads {
            let head = Head { batch, head, kv_head: head / self.group() };
            let rows = 0..sizes.queries;
            let Block { logits, weights, .. } = self.block(head, rows.clone());
            let keys = weights.ncols();
            let mut scores = S::matmul(self.queries(head, rows.clone()), self.keys(head, sizes.keys).t());
            scores.mapv_inplace(|score| score * self.scale);
            let upstream = sizes.part(batch, head.head, sizes.heads, sizes.queries, sizes.value_depth).rows(dout, rows);
            let dweights = S::matmul(upstream, self.values(head, sizes.keys).t());
            let dlogits = S::softmax_gradient(logits.view(), weights.view(), dweights.slice(s![.., ..keys]));
            for (all, part) in arrays.iter_mut().zip([scores, logits, weights, dlogits, dweights]) {
                let rows = all.as_slice_mut().unwrap_or_default()[n * sizes.queries * sizes.keys..]
                    .chunks_exact_mut(sizes.keys);
                rows.zip(part.rows()).for_each(|(to, from)| to.iter_mut().zip(from).for_each(|(to, from)| *to = *from));
            }
        }
        let [scores, logits, weights, dlogits, dweights] = arrays;
        [(scores, dlogits.clone()), (logits, dlogits), (weights, dweights)]
    }

    /// Returns the wanted gradients.
    pub(super) fn backward(&self, dout: &ArrayD<S>, mask: Option<&ArrayD<S>>, wanted: &[Name]) -> Tensors<S> {
        let (sizes, (task_rows, _), dout) = (&self.sizes, self.sizes.tasks(), elements(dout));
        let size = |name: &Name, size: usize| if wanted.contains(&name.gradient()) { size } else { 0 };
        let rows = self.group() * task_rows;
        // The elements of a task: dq, dk, dv and the gradient of the logits, which becomes that of the mask.
        let mut ends = [
            size(&Q, rows * sizes.depth),
            size(&K, sizes.keys * sizes.depth),
            size(&V, sizes.keys * sizes.value_depth),
            size(&Name::MASK, rows * sizes.keys),
        ];
        (1..4).for_each(|n| ends[n] += ends[n - 1]);
        let len = ends[3];
        let needs_logits = [Q, K, Name::MASK].iter().any(|name| wanted.contains(&name.gradient()));
        let computed = self.for_each_task(len, |task, out| {
            let (dq, rest) = out.split_at_mut(ends[0]);
            let (dk, rest) = rest.split_at_mut(ends[1] - ends[0]);
            let (dv, dmask) = rest.split_at_mut(ends[2] - ends[1]);
            let (heads, blocks) = self.heads_and_blocks(task);
            let mut is_first = true;
            for (member, head) in heads.enumerate() {
                for rows in &blocks {
                    let Block { logits, weights, capped } = self.block(head, rows.clone());
                    let keys = weights.ncols();
                    let upstream = sizes.part(head.batch, head.head, sizes.heads, sizes.queries, sizes.value_depth);
                    let upstream = upstream.rows(dout, rows.clone());
                    if !dv.is_empty() {
                        add_rows(dv, S::matmul(weights.t(), upstream), is_first);
                    }
                    if needs_logits {
                        let mut dweights = S::matmul(upstream, self.values(head, keys).t());
                        dweights.mapv_inplace(|d| d.named("dp", "dout·vᵀ"));
                        let mut dlogits = S::softmax_gradient(logits.view(), weights.view(), dweights.view());
                        dlogits.mapv_inplace(|d| d.named("ds", "p∘(dp − dot)"));
                        let at = member * task_rows + rows.start - task.rows.start;
                        if !dmask.is_empty() {
                            let rows = dmask[at * sizes.keys..].chunks_exact_mut(sizes.keys);
                            rows.zip(dlogits.rows()).for_each(|(to, from)| to[..keys].copy_from_slice(&from.to_vec()));
                        }
                        if let Some(tanh) = capped {
                            dlogits.zip_mut_with(&tanh, |d, &tanh| *d = *d * (S::one() - tanh * tanh));
                        }
                        dlogits.mapv_inplace(|d| d * self.scale);
                        if !dq.is_empty() {
                            let dq_rows = S::matmul(dlogits.view(), self.keys(head, keys));
                            copy(&dq_rows, &mut dq[at * sizes.depth..]);
                        }
                        if !dk.is_empty() {
                            add_rows(dk, S::matmul(dlogits.t(), self.queries(head, rows.clone())), is_first);
                        }
                    }
                    is_first = false;
                }
            }
        });
        let mut gradients = Tensors::new();
        for name in wanted {
            let gradient = match name.operand() {
                Some(operand) if operand == Q => self.assemble(&computed, len, 0, sizes.depth),
                Some(operand) if operand == K => self.sum_tasks(&computed, len, ends[0], sizes.depth),
                Some(operand) if operand == V => self.sum_tasks(&computed, len, ends[1], sizes.value_depth),
                _ => {
                    let all = self.scores_of_tasks(&computed, len, ends[2]);
                    sum_to_shape(Cow::Owned(all), mask.map_or(&[][..], ArrayD::shape))
                }
            };
            gradients.insert(name.clone(), gradient);
        }
        gradients
    }

    /// Returns the gradient of the logits in the shape of all scores.
    fn scores_of_tasks(&self, computed: &(Vec<Task>, Vec<S>), len: usize, begin: usize) -> ArrayD<S> {
        let apart = Attention { sizes: Sizes { is_joined: false, ..self.sizes.clone() }, mask: None, ..*self };
        let all = apart.assemble(computed, len, begin, self.sizes.keys);
        all.into_shape_with_order(self.sizes.scores())
            .unwrap_or_else(|_| unreachable!("it has a number for each score"))
    }
}

/// Returns the hyperbolic tangent of each element.
fn tanh<S: ArrayOps>(x: &Array2<S>) -> Array2<S> {
    let mut y = Array2::from_elem(x.raw_dim(), S::zero());
    let (from, to) = (x.as_slice().unwrap_or_default(), y.as_slice_mut().unwrap_or_default());
    S::map_elements(Some(Kernel::Tanh), [from], to, |[x]| x.tanh());
    y
}

fn copy<S: ArrayOps>(from: &Array2<S>, to: &mut [S]) {
    to[..from.len()].copy_from_slice(from.as_slice().unwrap_or_default());
}

/// Adds, or writes the first time.
fn add<S: ArrayOps>(to: &mut [S], from: &[S], is_first: bool) {
    if is_first {
        to.copy_from_slice(from);
    } else {
        to.iter_mut().zip(from).for_each(|(to, &from)| *to = *to + from);
    }
}

/// Adds a matrix to the first rows of another.
fn add_rows<S: ArrayOps>(to: &mut [S], from: Array2<S>, is_first: bool) {
    add(&mut to[..from.len()], from.as_slice().unwrap_or_default(), is_first);
}
