//! `nnlayer vectors --verify`: runs a program over the cases of a folder.

use super::case_json::{self, ReadCase};
use super::unknown_case;
use crate::check::Implementation;
use crate::check::program::{ProcessLifetime, Program};
use crate::check::vectors::compare;
use crate::core::error::{Code, Error};
use crate::core::name::Name;
use crate::layer;
use crate::numeric::FloatType;
use crate::report::vectors::{CaseReport, VectorsReport};
use crate::run::session::Streams;
use crate::run::status::Status;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path};
use std::time::Duration;

/// Arguments of `vectors --verify`.
pub(crate) struct VerifyArguments {
    pub(crate) folder: String,
    /// Names of the cases to run; all of them if there are none.
    pub(crate) names: Vec<String>,
    /// The type that the program computes in; that of the vectors by default.
    pub(crate) float_type: Option<FloatType>,
    pub(crate) program: Vec<OsString>,
    pub(crate) lifetime: ProcessLifetime,
    pub(crate) timeout: Duration,
    pub(crate) json: bool,
    pub(crate) pretty: bool,
}

const VERIFY: Name = Name::fixed("verify");

/// Runs a program over the cases of a folder and writes the report. A case that gets no usable reply fails; if none gets one, the
/// program could not be run, which is an error.
pub(crate) fn verify(arguments: &VerifyArguments, streams: &mut Streams<'_>) -> anyhow::Result<Status> {
    let index = read(&arguments.folder, "index.json", case_json::read_index)?;
    let spec = layer::find(&index.layer).ok_or_else(|| {
        Error::new(Code::Damaged, format!("unknown layer {:?}", index.layer))
            .with_operand(&VERIFY)
            .with_origin(&arguments.folder)
            .tip("use the release of nnlayer that wrote the vectors")
    })?;
    let known: Vec<String> = index.cases.iter().map(|(name, _)| name.clone()).collect();
    if let Some(unknown) = arguments.names.iter().find(|name| !known.contains(name)) {
        return Err(unknown_case(unknown, &known).into());
    }
    let is_selected = |name: &String| arguments.names.is_empty() || arguments.names.contains(name);
    let float_type = arguments.float_type.unwrap_or(index.float_type);
    let new = || {
        let settings = layer::Settings::default();
        Program::new(&arguments.program, spec.name, &settings, arguments.lifetime, arguments.timeout)
            .with_precision(float_type)
    };
    let mut program = new();
    let mut first_error = None;
    let mut report = VectorsReport { layer: spec.name, type_name: float_type.name(), cases: Vec::new() };
    if let Some((_, file)) = index.cases.iter().find(|(_, file)| !is_inside(file)) {
        return Err(Error::new(Code::Damaged, format!("the file {file:?} of a case is not in the folder"))
            .with_operand(&VERIFY)
            .with_origin(&arguments.folder)
            .tip("write the vectors again: nnlayer vectors LAYER --out FOLDER")
            .into());
    }
    for (name, file) in index.cases.iter().filter(|(name, _)| is_selected(name)) {
        let ReadCase { settings, expected } =
            read(&arguments.folder, file, |bytes, path| case_json::read(bytes, path, spec, float_type))?;
        program.set_settings(&settings);
        let mut case = CaseReport { name: name.clone(), arrays: Vec::new(), missing: Vec::new(), error: None };
        match program.evaluate(std::slice::from_ref(&expected.point)) {
            Ok(evaluations) => {
                let evaluation = evaluations.into_iter().next().unwrap_or_default();
                (case.arrays, case.missing) = compare(&expected, &evaluation, float_type);
            }
            Err(error) if [Code::ProgramMissing, Code::ProgramNotExecutable, Code::Usage].contains(&error.code) => {
                return Err(error.into());
            }
            Err(error) => {
                case.error = Some(error.message.clone());
                first_error.get_or_insert(error);
                // What is left of the process belongs to this case.
                program = new();
            }
        }
        report.cases.push(case);
    }
    if let Some(error) = first_error.filter(|_| report.has_no_reply()) {
        return Err(error.fact(format!("none of the {} cases got a reply", report.cases.len())).into());
    }
    if arguments.json || arguments.pretty {
        report.write_json(arguments.pretty, &mut streams.out)?;
    } else {
        report.write_text(&mut streams.out)?;
    }
    Ok(if report.passes() { Status::Done } else { Status::No })
}

/// Returns true if a path leads to a file inside the folder that it starts from.
fn is_inside(path: &str) -> bool {
    Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Reads a file of the folder.
fn read<T>(folder: &str, name: &str, parse: impl FnOnce(&[u8], &str) -> Result<T, Error>) -> Result<T, Error> {
    let path = Path::new(folder).join(name);
    let shown = path.to_string_lossy();
    let bytes = fs::read(&path).map_err(|error| {
        Error::new(Code::FileUnreadable, format!("cannot be read: {error}"))
            .with_origin(shown.as_ref())
            .tip("name a folder that nnlayer vectors LAYER --out FOLDER has written")
    });
    bytes.and_then(|bytes| parse(&bytes, &shown)).map_err(|error| error.with_operand(&VERIFY))
}
