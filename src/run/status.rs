//! The outcome of a run and its exit status.

/// Outcome of a run; decides the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The command succeeded.
    Done,
    /// A check or comparison failed.
    No,
    /// A check could not decide.
    Undecided,
    /// An error was reported; standard output is empty.
    Error,
    /// The reader of standard output closed it.
    ClosedPipe,
}

impl Status {
    /// Returns the exit status of the process.
    pub fn code(self) -> i32 {
        match self {
            Status::Done => 0,
            Status::No => 1,
            Status::Error => 2,
            Status::Undecided => 3,
            Status::ClosedPipe => 141,
        }
    }
}
