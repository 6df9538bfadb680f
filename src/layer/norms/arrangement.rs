//! Arrays arranged as rows of entries that are normalised together.

use super::names::{BETA, GAMMA};
use crate::core::name::Name;
use crate::core::tensors::Tensors;
use crate::layer::arrays::elements;
use crate::ops::ArrayOps;
use crate::ops::normalize::{ComputeRow, ParameterLayout, RowNorm};
use ndarray::{ArrayD, ArrayView3, IxDyn};
use std::borrow::Cow;

/// Fewest positions of a channel that are a row of their own where mean and variance are given.
const MIN_POSITIONS: usize = 8;

/// The arrangement of an array as rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrangement {
    pub(super) layout: ParameterLayout,
    /// Numbers of samples, channels and positions, if the rows are channels, whose entries are not neighbours.
    by_channel: Option<[usize; 3]>,
}

impl Arrangement {
    /// Returns the arrangement whose rows are the axes from `axis` on, each entry with its own parameter.
    pub(super) fn trailing(shape: &[usize], axis: usize) -> Arrangement {
        let (leading, trailing) = shape.split_at(axis.min(shape.len()));
        let (rows, width) = (leading.iter().product(), trailing.iter().product());
        Arrangement { layout: ParameterLayout { rows, width, segment: 1, period: 1 }, by_channel: None }
    }

    /// Returns the arrangement whose rows are the channels of each group of a sample.
    pub(super) fn channels(shape: &[usize], groups: usize) -> Arrangement {
        let [samples, channels, positions] = dim(shape);
        let width = channels.checked_div(groups).unwrap_or(0) * positions;
        let layout = ParameterLayout { rows: samples * groups, width, segment: positions, period: groups };
        Arrangement { layout, by_channel: None }
    }

    /// Returns the arrangement whose rows are the channels of all samples; or each channel of each sample, if these need not be
    /// neighbours as mean and variance are given.
    pub(super) fn batch(shape: &[usize], has_statistics: bool) -> Arrangement {
        let [samples, channels, positions] = dim(shape);
        if has_statistics && positions >= MIN_POSITIONS {
            return Arrangement::channels(shape, channels);
        }
        let width = samples * positions;
        let layout = ParameterLayout { rows: channels, width, segment: width, period: channels };
        Arrangement { layout, by_channel: Some([samples, channels, positions]) }
    }

    /// Returns the number of channels.
    pub(super) fn channel_count(shape: &[usize]) -> usize {
        dim(shape)[1]
    }

    /// Returns the numbers of samples, channels and positions if the rows are gathered one by one from the runs of their entries.
    fn gathered(&self) -> Option<[usize; 3]> {
        self.by_channel.filter(|[samples, _, positions]| *samples != 1 && *positions >= MIN_POSITIONS)
    }

    /// Returns true if all rows are copied at once, as their entries have no runs.
    fn is_exchanged(&self) -> bool {
        self.by_channel.is_some_and(|[samples, ..]| samples != 1) && self.gathered().is_none()
    }

    /// Returns the entries row by row.
    pub(super) fn rows<'a, S: ArrayOps>(&self, values: &'a [S]) -> Rows<'a, S> {
        let values = if self.is_exchanged() { Cow::Owned(self.exchange(values, false)) } else { Cow::Borrowed(values) };
        Rows { values, arrangement: *self }
    }

    /// Returns an array of that shape whose rows `compute` computes, given their numbers.
    fn fill<S: ArrayOps>(&self, shape: &[usize], compute: impl Fn(usize, &mut [S]) + Sync) -> ArrayD<S> {
        let ParameterLayout { rows, width, .. } = self.layout;
        with_shape(
            match self.gathered() {
                Some(dim) => S::fill_across(dim, compute),
                None if self.is_exchanged() => self.exchange(&S::fill_chunks(rows * width, width, compute), true),
                None => S::fill_chunks(rows * width, width, compute),
            },
            shape,
        )
    }

    /// Returns the entries with samples and channels exchanged.
    fn exchange<S: ArrayOps>(&self, values: &[S], is_by_channel: bool) -> Vec<S> {
        let [samples, channels, positions] = self.by_channel.unwrap_or_default();
        let (outer, inner) = if is_by_channel { (channels, samples) } else { (samples, channels) };
        if positions == 1 {
            let view = ArrayView3::from_shape((1, outer, inner), values);
            let view = view.unwrap_or_else(|_| unreachable!("there is an entry for each place"));
            return S::swap_last_axes(view).into_raw_vec_and_offset().0;
        }
        S::fill_chunks(values.len(), outer * positions, |n, block| {
            for (k, chunk) in block.chunks_mut(positions).enumerate() {
                chunk.copy_from_slice(&values[(k * inner + n) * positions..][..positions]);
            }
        })
    }
}

/// The entries of an array, row by row.
pub(super) struct Rows<'a, S: ArrayOps> {
    values: Cow<'a, [S]>,
    arrangement: Arrangement,
}

impl<S: ArrayOps> Rows<'_, S> {
    /// Returns the entries of a row.
    pub(super) fn row(&self, row: usize) -> Cow<'_, [S]> {
        let Some([samples, channels, positions]) = self.arrangement.gathered() else {
            let width = self.arrangement.layout.width;
            return Cow::Borrowed(&self.values[row * width..(row + 1) * width]);
        };
        let mut entries = Vec::with_capacity(samples * positions);
        for sample in 0..samples {
            entries.extend_from_slice(&self.values[(sample * channels + row) * positions..][..positions]);
        }
        Cow::Owned(entries)
    }
}

/// Returns the numbers of samples, channels and positions of an array; a vector is one sample.
fn dim(shape: &[usize]) -> [usize; 3] {
    match shape {
        [] => [1, 1, 1],
        [channels] => [1, *channels, 1],
        [samples, channels, positions @ ..] => [*samples, *channels, positions.iter().product()],
    }
}

fn with_shape<S>(values: Vec<S>, shape: &[usize]) -> ArrayD<S> {
    let array = ArrayD::from_shape_vec(IxDyn(shape), values);
    array.unwrap_or_else(|_| unreachable!("there is an entry for each place"))
}

/// The numbers that the rows of a layer are normalised with.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowRule {
    /// True if the mean is subtracted.
    pub(super) is_centred: bool,
    pub(super) eps: f64,
    /// The number that gamma is stored without.
    pub(super) gamma_offset: f64,
}

/// The operands of a layer, arranged as rows.
pub(super) struct Arranged<'a, S: ArrayOps> {
    pub(super) arrangement: Arrangement,
    rule: RowRule,
    shape: &'a [usize],
    x: Rows<'a, S>,
    gamma: Option<Cow<'a, [S]>>,
    beta: Option<&'a [S]>,
    given: Option<[&'a [S]; 2]>,
}

impl<'a, S: ArrayOps> Arranged<'a, S> {
    /// Arranges operands; `given` is the mean and variance that are used in place of those of a row.
    pub(super) fn new(
        arrangement: Arrangement,
        rule: RowRule,
        at: &'a Tensors<S>,
        given: Option<(&'a ArrayD<S>, &'a ArrayD<S>)>,
    ) -> Arranged<'a, S> {
        let x = at.known(&Name::X);
        let get = |name: &Name| at.get(name).map(elements);
        let given = given.map(|(mean, var)| [elements(mean), elements(var)]);
        let gamma = get(&GAMMA).map(|gamma| match rule.gamma_offset {
            0.0 => Cow::Borrowed(gamma),
            offset => gamma.iter().map(|&gamma| S::from_f64(offset) + gamma).collect(),
        });
        let (shape, x, beta) = (x.shape(), arrangement.rows(elements(x)), get(&BETA));
        Arranged { arrangement, rule, shape, x, gamma, beta, given }
    }

    /// Returns the entries of x of a row.
    pub(super) fn row(&self, row: usize) -> Cow<'_, [S]> {
        self.x.row(row)
    }

    /// Returns the number of entries of a row.
    pub(super) fn width(&self) -> usize {
        self.arrangement.layout.width
    }

    /// Returns how a row is normalised, without gamma and beta.
    pub(super) fn row_norm(&self, row: usize) -> RowNorm<'static, S> {
        let channel = self.arrangement.layout.first(row);
        let given = self.given.map(|given| given.map(|values| values[channel]));
        let RowRule { is_centred, eps, .. } = self.rule;
        RowNorm { is_centred, given, eps: S::from_f64(eps), gamma: None, beta: None }
    }

    /// Returns the parameters of the entries of a row.
    fn spread<'b>(&self, values: &'b [S], row: usize) -> Cow<'b, [S]> {
        let layout = &self.arrangement.layout;
        let values = &values[layout.first(row)..][..layout.row_parameters()];
        if layout.segment == 1 {
            return Cow::Borrowed(values);
        }
        let mut spread = Vec::with_capacity(layout.width);
        values.iter().for_each(|&value| spread.resize(spread.len() + layout.segment, value));
        Cow::Owned(spread)
    }

    /// Returns the array whose rows `compute` computes, given how a row is normalised and its number.
    pub(super) fn map_rows(&self, compute: impl Fn(&RowNorm<'_, S>, usize, &mut [S]) + Sync) -> ArrayD<S> {
        self.arrangement.fill(self.shape, |row, out| {
            let gamma = self.gamma.as_ref().map(|gamma| self.spread(gamma, row));
            let beta = self.beta.map(|beta| self.spread(beta, row));
            compute(&RowNorm { gamma: gamma.as_deref(), beta: beta.as_deref(), ..self.row_norm(row) }, row, out);
        })
    }

    /// Returns the gradient of a parameter: Σ dout∘factor over its entries; `factor` computes a row, and is 1 if there is none.
    pub(super) fn parameter_sums(
        &self,
        dout: &Rows<'_, S>,
        factor: Option<&ComputeRow<'_, S>>,
        parameter: Option<&ArrayD<S>>,
    ) -> ArrayD<S> {
        let shape = parameter.map_or(&[][..], |parameter| parameter.shape());
        if self.shape.contains(&0) {
            return ArrayD::from_elem(IxDyn(shape), S::zero());
        }
        with_shape(S::parameter_sums(&self.arrangement.layout, &|row| dout.row(row), factor), shape)
    }
}
