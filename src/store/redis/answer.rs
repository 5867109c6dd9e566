//! Reading what scripts answer: flat lists that start with a word.

use std::time::Duration;

use redis::{Cmd, Value};

use super::keys::Keys;
use super::script::Script;
use crate::domain::limit::{Limit, LimitStatus};
use crate::domain::message::{Page, StoredRecord};
use crate::domain::signing::NONCE_LIFE_MS;
use crate::domain::timestamp::Timestamp;
use crate::store::{Denied, Gate, Gated, Granted, Since, StoreError, TOUCH_AFTER_MS};

/// The items of a list that a script answered, taken from the front.
pub(super) struct Answer(std::vec::IntoIter<Value>);

impl Answer {
    pub(super) fn new(value: Value) -> Result<Self, StoreError> {
        match value {
            // What a command gives as a set; scripts give lists.
            Value::Array(items) | Value::Set(items) => Ok(Self(items.into_iter())),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) fn next(&mut self) -> Option<Value> {
        self.0.next()
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    /// A text, or nothing where the server has nil.
    pub(super) fn optional_text(&mut self) -> Result<Option<String>, StoreError> {
        match self.next().unwrap_or(Value::Nil) {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => String::from_utf8(bytes)
                .map(Some)
                .map_err(|_| StoreError::Corrupt("a text that is not UTF-8".to_owned())),
            Value::SimpleString(text) => Ok(Some(text)),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        self.optional_text()?.ok_or_else(|| unexpected(&Value::Nil))
    }

    /// A number, which scripts give as an integer or, where it may be large, as text.
    pub(super) fn number(&mut self) -> Result<u64, StoreError> {
        let number = match self.next() {
            Some(Value::Int(number)) => u64::try_from(number).ok(),
            Some(Value::BulkString(bytes)) => std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok()),
            _ => None,
        };
        number.ok_or_else(|| StoreError::Corrupt("a number in a script's answer".to_owned()))
    }

    /// A list within the list.
    pub(super) fn list(&mut self) -> Result<Self, StoreError> {
        Self::new(self.next().unwrap_or(Value::Nil))
    }

    /// Where a limit stands.
    pub(super) fn limit(&mut self, limit: Limit) -> Result<LimitStatus, StoreError> {
        Ok(LimitStatus { limit, used: self.number()?, reset: Duration::from_millis(self.number()?) })
    }

    /// A page, as `read.lua` gives it.
    pub(super) fn page(&mut self, count: usize) -> Result<Page, StoreError> {
        let last = Timestamp::from_millis(self.number()?);
        let mut rows = self.list()?;
        let mut records = Vec::new();
        while let Some(row) = rows.next() {
            records.push(read_entry(row)?);
        }
        let cursor = records.last().map_or(last, |record| record.at);
        let more = records.len() >= count && cursor < last;
        Ok(Page { records, cursor, more })
    }
}

/// An entry of a stream: `[id, [field, value, ...]]`. The first field is the record; of the others, which a relay may
/// not know, `t` is the step of a trace.
fn read_entry(row: Value) -> Result<StoredRecord, StoreError> {
    let mut row = Answer::new(row)?;
    let id = row.text()?;
    let mut fields = row.list()?;
    fields.text()?;
    let record = stored_record(&id, fields.text()?)?;
    let mut trace = None;
    while !fields.is_empty() {
        let (name, value) = (fields.text()?, fields.text()?);
        if name == "t" {
            trace = value.parse().ok();
        }
    }
    Ok(record.in_trace(trace))
}

/// A record with the id of its entry in a stream, which is its instant.
pub(super) fn stored_record(id: &str, record: String) -> Result<StoredRecord, StoreError> {
    let at = id.split('-').next().and_then(|ms| ms.parse().ok()).map(Timestamp::from_millis);
    at.and_then(|at| StoredRecord::new(at, record))
        .ok_or_else(|| StoreError::Corrupt(format!("the entry {id} of a stream")))
}

/// The complaint about an answer of the wrong shape. It names the kind of value, never its content.
pub(super) fn unexpected(value: &Value) -> StoreError {
    let kind = match value {
        Value::Nil => "nil",
        Value::Int(_) => "a number",
        Value::BulkString(_) | Value::SimpleString(_) => "a text",
        Value::Array(_) => "a list",
        _ => "something else",
    };
    StoreError::Corrupt(format!("a script's answer has {kind} in the wrong place"))
}

/// Starts the call of a gated script: its first two keys and six arguments. More keys follow the gate's,
/// and the caller adds more arguments.
pub(super) fn gated_call(keys: &Keys, script: &Script, gate: &Gate, more_keys: &[String]) -> Cmd {
    let session = keys.session(&gate.user);
    let nonce = gate.nonce.as_ref().map(|nonce| keys.nonce(&gate.user, nonce.as_str()));
    let mut all = Vec::with_capacity(2 + more_keys.len());
    // A key that is not used still has to be one of the same slot.
    all.push(session.as_str());
    all.push(nonce.as_deref().unwrap_or(&session));
    all.extend(more_keys.iter().map(String::as_str));
    let mut call = script.call(&all);
    call.arg(gate.api_key.to_hex());
    match nonce {
        Some(_) => call.arg(NONCE_LIFE_MS),
        None => call.arg(""),
    };
    match &gate.limit {
        Some(used) => call.arg(&used.counter).arg(used.limit.count()).arg(millis(used.limit.window())),
        None => call.arg("").arg("").arg(""),
    };
    call.arg(TOUCH_AFTER_MS);
    call
}

/// Reads the answer of a gated script; `read` reads what follows the gate's part.
pub(super) fn gated_answer<T>(
    gate: &Gate,
    value: Value,
    read: impl FnOnce(&mut Answer) -> Result<T, StoreError>,
) -> Result<Gated<T>, StoreError> {
    let mut answer = Answer::new(value)?;
    let limit_used = |answer: &mut Answer| -> Result<Option<LimitStatus>, StoreError> {
        match &gate.limit {
            Some(used) => answer.limit(used.limit).map(Some),
            None => {
                answer.number()?;
                answer.number()?;
                Ok(None)
            }
        }
    };
    match answer.text()?.as_str() {
        "session" => Ok(Err(Denied::UnknownSession)),
        "nonce" => Ok(Err(Denied::NonceUsed)),
        "limit" => match limit_used(&mut answer)? {
            Some(status) => Ok(Err(Denied::OverLimit(status))),
            None => Err(StoreError::Corrupt("a limit that was not asked for".to_owned())),
        },
        "ok" => {
            let limit = limit_used(&mut answer)?;
            let touch_due = answer.number()? == 1;
            Ok(Ok(Granted { value: read(&mut answer)?, limit, touch_due }))
        }
        other => Err(StoreError::Corrupt(format!("a gate's answer {other:?}"))),
    }
}

/// Milliseconds of a duration that is bounded far below the range of the type.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Adds the two arguments that say from where to read.
pub(super) fn add_since(call: &mut Cmd, since: Since) {
    match since {
        Since::After(at) => call.arg(at.millis()).arg(""),
        Since::Last(span) => call.arg(0).arg(span),
    };
}
