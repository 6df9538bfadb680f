//! Numbers whose kind is chosen at run time, so that a layer is compiled for two scalars only: f64, and this one for all others.
//!
//! Constants of a formula have the kind of the computation on this thread, which [`with_kind`] sets.

use super::bounded::Bounded;
use super::double_double::DoubleDouble;
use super::exact::{self, Exact};
use super::scalar::Scalar;
use super::traced::{self, Traced};
use std::cell::Cell;
use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A number of one of the kinds. All numbers of a computation have the same.
#[derive(Clone, Copy, Debug)]
pub enum Dynamic {
    /// Takes numerical derivatives.
    DoubleDouble(DoubleDouble),
    /// Rounds correctly.
    Exact(Exact),
    /// Bounds rounding errors.
    Bounded(Bounded),
    /// Records operations.
    Traced(Traced),
}

/// The kind of a [`Dynamic`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`DoubleDouble`].
    DoubleDouble,
    /// [`Exact`].
    Exact,
    /// [`Bounded`].
    Bounded,
    /// [`Traced`].
    Traced,
}

/// A scalar that is a kind of [`Dynamic`].
pub trait DynamicKind: Scalar + Into<Dynamic> {
    /// The kind.
    const KIND: Kind;

    /// Returns a number of this kind.
    fn from_dynamic(number: Dynamic) -> Self;
}

macro_rules! kinds {
    ($($kind:ident),*) => {$(
        impl From<$kind> for Dynamic {
            fn from(number: $kind) -> Dynamic {
                Dynamic::$kind(number)
            }
        }

        impl DynamicKind for $kind {
            const KIND: Kind = Kind::$kind;

            fn from_dynamic(number: Dynamic) -> $kind {
                match number {
                    Dynamic::$kind(number) => number,
                    other => $kind::from_f64(other.to_f64()),
                }
            }
        }
    )*};
}

kinds!(DoubleDouble, Exact, Bounded, Traced);

/// Evaluates an expression of the number that a [`Dynamic`] is.
macro_rules! for_each_kind {
    ($number:expr, $value:ident => $result:expr) => {
        match $number {
            Dynamic::DoubleDouble($value) => $result,
            Dynamic::Exact($value) => $result,
            Dynamic::Bounded($value) => $result,
            Dynamic::Traced($value) => $result,
        }
    };
}

thread_local! {
    static KIND: Cell<Kind> = const { Cell::new(Kind::DoubleDouble) };
}

/// Returns the kind of the computation on this thread.
pub(crate) fn kind() -> Kind {
    KIND.get()
}

/// Runs a computation in numbers of a kind.
pub fn with_kind<R>(kind: Kind, work: impl FnOnce() -> R) -> R {
    /// Restores the previous kind, even after a panic.
    struct Restore(Kind);
    impl Drop for Restore {
        fn drop(&mut self) {
            KIND.set(self.0);
        }
    }
    let _restore = Restore(KIND.replace(kind));
    work()
}

/// Runs a computation in exact numbers, which are valid in it only.
pub fn with_exact<R>(work: impl FnOnce() -> R) -> R {
    with_kind(Kind::Exact, || exact::with_expressions(work))
}

/// Returns the other operand of an operation on a number of a kind.
fn operand<K: DynamicKind>(_: K, other: Dynamic) -> K {
    K::from_dynamic(other)
}

macro_rules! binary_operators {
    ($($operator:ident $method:ident),*) => {$(
        impl $operator for Dynamic {
            type Output = Dynamic;
            fn $method(self, other: Dynamic) -> Dynamic {
                for_each_kind!(self, a => a.$method(operand(a, other)).into())
            }
        }
    )*};
}

binary_operators!(Add add, Sub sub, Mul mul, Div div);

impl Neg for Dynamic {
    type Output = Dynamic;
    fn neg(self) -> Dynamic {
        for_each_kind!(self, a => (-a).into())
    }
}

impl PartialEq for Dynamic {
    fn eq(&self, other: &Dynamic) -> bool {
        for_each_kind!(*self, a => a == operand(a, *other))
    }
}

impl PartialOrd for Dynamic {
    fn partial_cmp(&self, other: &Dynamic) -> Option<Ordering> {
        for_each_kind!(*self, a => a.partial_cmp(&operand(a, *other)))
    }
}

macro_rules! functions {
    ($($function:ident),*) => {$(
        fn $function(self) -> Dynamic {
            for_each_kind!(self, a => a.$function().into())
        }
    )*};
}

macro_rules! functions_of_two {
    ($($function:ident),*) => {$(
        fn $function(a: Dynamic, b: Dynamic) -> Dynamic {
            for_each_kind!(a, a => Scalar::$function(a, operand(a, b)).into())
        }
    )*};
}

impl Scalar for Dynamic {
    fn from_f64(value: f64) -> Dynamic {
        match kind() {
            Kind::DoubleDouble => DoubleDouble::from_f64(value).into(),
            Kind::Exact => Exact::from_f64(value).into(),
            Kind::Bounded => Bounded::from_f64(value).into(),
            Kind::Traced => Traced::from_f64(value).into(),
        }
    }

    fn to_f64(self) -> f64 {
        for_each_kind!(self, a => a.to_f64())
    }

    functions!(exp, ln, ln_1p, sqrt, exp_m1, sin, cos, tanh, normal_cdf, normal_density, over_one_plus, abs);
    functions_of_two!(exp_shifted, squared_difference, ln_sum);

    fn is_nan(self) -> bool {
        for_each_kind!(self, a => a.is_nan())
    }

    fn log_shifted(x: Dynamic, shift: Dynamic, log: Dynamic) -> Dynamic {
        for_each_kind!(x, x => Scalar::log_shifted(x, operand(x, shift), operand(x, log)).into())
    }

    fn if_positive(self, value: Dynamic) -> Dynamic {
        for_each_kind!(self, x => x.if_positive(operand(x, value)).into())
    }

    fn clip(self, least: Dynamic, most: Dynamic) -> Dynamic {
        for_each_kind!(self, x => x.clip(operand(x, least), operand(x, most)).into())
    }

    fn sum(mut terms: impl Iterator<Item = Dynamic>) -> Dynamic {
        sum(&mut terms)
    }

    fn named(self, name: &'static str, meaning: &'static str) -> Dynamic {
        match self {
            Dynamic::Traced(number) => number.named(name, meaning).into(),
            number => number,
        }
    }

    fn stable_or_textbook(stable: impl FnOnce() -> Dynamic, textbook: impl FnOnce() -> Dynamic) -> Dynamic {
        match kind() {
            Kind::DoubleDouble | Kind::Exact => return stable(),
            Kind::Traced => traced::pause(1),
            Kind::Bounded => {}
        }
        let stable = stable();
        if kind() == Kind::Traced {
            traced::pause(-1);
        }
        match stable {
            Dynamic::Traced(stable) => stable.recorded_as(Traced::from_dynamic(textbook())).into(),
            Dynamic::Bounded(stable) => stable.with_error_of(Bounded::from_dynamic(textbook())).into(),
            stable => stable,
        }
    }

    /// The nearest double if numbers are exact: every layer is computed exactly from the doubles that are shown.
    fn round_between_layers() -> Option<fn(Dynamic) -> Dynamic> {
        (kind() == Kind::Exact).then_some(|value| Dynamic::from_f64(value.to_f64()))
    }
}

/// Returns Σ terms. The iterator is a trait object, so that this is compiled once.
fn sum(terms: &mut dyn Iterator<Item = Dynamic>) -> Dynamic {
    match kind() {
        Kind::DoubleDouble => DoubleDouble::sum(terms.map(DoubleDouble::from_dynamic)).into(),
        Kind::Exact => Exact::sum(terms.map(Exact::from_dynamic)).into(),
        Kind::Bounded => Bounded::sum(terms.map(Bounded::from_dynamic)).into(),
        Kind::Traced => Traced::sum(terms.map(Traced::from_dynamic)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (1/3 + x)·e^x in any scalar.
    fn formula<S: Scalar>(x: S) -> S {
        S::sum([S::one() / S::from_f64(3.0), x].into_iter())
            * S::stable_or_textbook(|| x.exp(), || S::one() / (-x).exp())
    }

    #[test]
    fn a_dynamic_number_computes_as_its_kind() {
        let x = DoubleDouble::from_f64(0.7);
        let dynamic = with_kind(Kind::DoubleDouble, || formula(Dynamic::from(x)));
        assert_eq!(DoubleDouble::from_dynamic(dynamic), formula(x));
        let x = Bounded::from_f64(0.7);
        let dynamic = with_kind(Kind::Bounded, || formula(Dynamic::from(x)));
        assert_eq!(Bounded::from_dynamic(dynamic).components(), formula(x).components());
        let record = |formula: &dyn Fn(Traced) -> Traced| traced::record(10, || formula(Traced::leaf(0.7))).0;
        let dynamic = record(&|x| with_kind(Kind::Traced, || Traced::from_dynamic(formula(Dynamic::from(x)))))
            .unwrap_or_default();
        let own = record(&formula).unwrap_or_default();
        assert!(own.len() > 2 && own.iter().map(|entry| entry.op).eq(dynamic.iter().map(|entry| entry.op)));
        with_exact(|| assert_eq!(formula(Dynamic::from_f64(0.7)).to_f64(), formula(Exact::from_f64(0.7)).to_f64()));
    }
}
