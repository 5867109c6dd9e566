//! What makes sure that nothing is done to a server's records before their format is known.

use std::sync::atomic::{AtomicBool, Ordering};

use redis::{Cmd, Value};

use super::answer::Answer;
use super::keys::Keys;
use super::script;
use crate::store::StoreError;
use crate::store::format::{FIRST_FORMAT, FormatError, judge};
use crate::store::operator::REPLICA_LIFE_MS;

/// The format of this relay, and whether the server was asked for that of its records since it was last away: another
/// server, or other records, may be there when it is back.
pub(super) struct Agreement {
    keys: [String; 3],
    known: u64,
    is_reached: AtomicBool,
}

impl Agreement {
    pub(super) fn new(keys: &Keys, known: u64) -> Self {
        Self { keys: [keys.format(), keys.replicas(), keys.replica_info()], known, is_reached: AtomicBool::new(false) }
    }

    /// The format of this relay.
    pub(super) fn known(&self) -> u64 {
        self.known
    }

    pub(super) fn is_reached(&self) -> bool {
        self.is_reached.load(Ordering::Relaxed)
    }

    /// From now on the server has to be asked again.
    pub(super) fn forget(&self) {
        self.is_reached.store(false, Ordering::Relaxed);
    }

    /// The call that asks.
    pub(super) fn call(&self) -> Cmd {
        let mut call = script::AGREE_ON_FORMAT.call(&self.keys);
        call.arg(self.known).arg(FIRST_FORMAT).arg(REPLICA_LIFE_MS);
        call
    }

    /// Notes what was answered.
    pub(super) fn read(&self, answer: Value) -> Result<(), StoreError> {
        let verdict = self.judge(answer);
        self.is_reached.store(verdict.is_ok(), Ordering::Relaxed);
        verdict
    }

    fn judge(&self, answer: Value) -> Result<(), StoreError> {
        let mut answer = Answer::new(answer)?;
        let found = answer.number().map_err(|_| StoreError::Corrupt("the number of its format".to_owned()))?;
        let (known, replicas) = (self.known, answer.number()?);
        judge(found, known)?;
        if replicas > 0 {
            return Err(FormatError::InUse { found, known, replicas }.into());
        }
        Ok(())
    }
}
