//! Names of outputs and gradients in a reply, compared with those that were asked for.

use super::calls::Call;
use super::case::Case;
use crate::core::error::{Code, Error, join_names, sanitize};
use crate::core::name::{Name, edit_distance};

/// Refuses a reply without gradients, with a name that is nearly that of a missing one, or, from version 2 of the protocol on,
/// with a name that was not asked for. Returns notes on names that were not asked for.
pub(super) fn check_names(case: &Case, call: &Call, protocol_version: u32) -> Result<Vec<String>, Error> {
    let gradients = ReplyNames {
        noun: "gradient",
        asked: case.targets.iter().map(|target| &target.name).collect(),
        found: call.evaluation.gradients.names().collect(),
    };
    let outputs = outputs(case, call);
    let all = [&gradients].into_iter().chain(&outputs);
    if let Some(error) = all.clone().find_map(ReplyNames::misnamed) {
        return Err(error);
    }
    if gradients.asked.iter().all(|name| !gradients.found.contains(name)) {
        return Err(no_gradients(&gradients.asked));
    }
    match all.clone().find_map(ReplyNames::unasked_error) {
        Some(error) if protocol_version >= 2 => Err(error),
        _ => Ok(all.filter_map(ReplyNames::unasked_note).collect()),
    }
}

/// Returns the outputs of a layer that nnlayer knows; those of any other may have any names.
fn outputs<'a>(case: &'a Case, call: &'a Call) -> Option<ReplyNames<'a>> {
    let is_gradient = |name: &Name| case.targets.iter().any(|target| target.name == *name);
    let asked = call.reference.as_ref()?.values.names().filter(|name| !is_gradient(name)).collect();
    Some(ReplyNames { noun: "output", asked, found: call.evaluation.outputs.names().collect() })
}

/// The names of one kind.
struct ReplyNames<'a> {
    noun: &'static str,
    asked: Vec<&'a Name>,
    found: Vec<&'a Name>,
}

impl ReplyNames<'_> {
    fn unasked(&self) -> impl Iterator<Item = &Name> {
        self.found.iter().copied().filter(|name| !self.asked.contains(name))
    }

    /// Returns the error for a name that is missing while a similar one is in the reply.
    fn misnamed(&self) -> Option<Error> {
        self.asked.iter().filter(|name| !self.found.contains(name)).find_map(|missing| {
            let found = self.unasked().find(|name| is_similar(name.as_str(), missing.as_str()))?;
            let (noun, found) = (self.noun, sanitize(found.as_str()));
            let message = format!("the reply has the {noun} {found}, but expected {missing}");
            Some(Error::new(Code::ReplyKeyMissing, message).tip(format!("rename {found} to {missing} in the reply")))
        })
    }

    /// Returns the error for a name that was not asked for.
    fn unasked_error(&self) -> Option<Error> {
        let unasked = sanitize(self.unasked().next()?.as_str());
        let asked: Vec<&str> = self.asked.iter().map(|name| name.as_str()).collect();
        let (noun, asked) = (self.noun, join_names(&asked));
        let message = format!("the reply has the {noun} {unasked}, which was not asked for; expected {asked}");
        Some(Error::new(Code::ReplyKeyMissing, message).tip(format!("rename {unasked}, or leave it out of the reply")))
    }

    /// Returns the note on names that were not asked for.
    fn unasked_note(&self) -> Option<String> {
        let names: Vec<&str> = self.unasked().map(Name::as_str).collect();
        let (plural, verb) = if names.len() > 1 { ("s", "were") } else { ("", "was") };
        let (noun, shown) = (self.noun, join_names(&names));
        (!names.is_empty()).then(|| format!("the reply has the {noun}{plural} {shown}, which {verb} not asked for"))
    }
}

/// Returns true if two names differ by little: by case and separators, or by one slip in a long name.
fn is_similar(found: &str, asked: &str) -> bool {
    let plain = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let is_one_slip = || edit_distance(found, asked).is_some_and(|slips| slips <= 1);
    plain(found) == plain(asked) || asked.len() > 3 && is_one_slip()
}

/// Returns the error for a reply without gradients.
fn no_gradients(asked: &[&Name]) -> Error {
    let names: Vec<&str> = asked.iter().map(|name| name.as_str()).collect();
    Error::new(Code::ReplyKeyMissing, format!("the reply contains no gradient; expected {}", names.join(", ")))
        .tip("for each point with a dout, reply with \"gradients\" that has a key for each gradient")
}
