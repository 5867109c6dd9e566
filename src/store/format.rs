//! The format of the records, so that a relay that cannot read them leaves them alone.
//!
//! While the number stays, records only gain: nobody removes a field or gives it another meaning, and everybody
//! passes over a field, a kind of record or a wake it does not know. So versions of one number work side by side,
//! whichever is the newer.
//!
//! The number is raised only when older relays must not run any more. A relay reads the format before its own, too,
//! and the first with a higher number raises it, though not while a replica of an older one is alive.

/// The format of the records that this relay writes.
pub const FORMAT: u64 = 1;
/// The format of records that were written before stores named theirs.
pub(super) const FIRST_FORMAT: u64 = 1;

/// Why a relay leaves a store alone. The text is meant for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A newer relay wrote to it.
    #[error("the store has format {found}, from a newer relay; this one knows formats up to {known}")]
    Newer {
        /// The store's format.
        found: u64,
        /// The relay's own.
        known: u64,
    },
    /// Its records are of a time that this relay knows nothing of.
    #[error(
        "the store has format {found}, which this relay does not read any more; first run one whose format is {}",
        found + 1
    )]
    TooOld {
        /// The store's format.
        found: u64,
    },
    /// Replicas that could not read what this relay would write are at work.
    #[error(
        "the store has format {found}, and replicas of an older relay use it ({replicas} of them); \
         this relay raises it to {known} when they are gone"
    )]
    InUse {
        /// The store's format.
        found: u64,
        /// The relay's own.
        known: u64,
        /// How many are alive.
        replicas: u64,
    },
}

impl FormatError {
    /// Whether the relay has no business with this store, however long it waits.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::InUse { .. })
    }
}

/// Whether a relay of format `known` can work with records of format `found`; it may have to raise the number.
pub(super) fn judge(found: u64, known: u64) -> Result<(), FormatError> {
    if found > known {
        Err(FormatError::Newer { found, known })
    } else if found + 1 < known {
        Err(FormatError::TooOld { found })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_reads_its_own_format_and_the_one_before() {
        assert_eq!(judge(2, 2), Ok(()));
        assert_eq!(judge(2, 3), Ok(()));
        let [newer, old] = [judge(3, 2), judge(2, 4)].map(|refusal| refusal.unwrap_err().to_string());
        assert_eq!(newer, "the store has format 3, from a newer relay; this one knows formats up to 2");
        assert!(old.ends_with("first run one whose format is 3"), "{old}");
    }
}
