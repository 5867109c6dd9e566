//! Looking at the records of the file.
//!
//! Records lie in the order of their keys, so those of a kind are found by ranges. Each call looks at a bounded number
//! of them. A place is the key to go on from, in hex; where a part of that is secret, the part before it and how many
//! of its records come before.

use async_trait::async_trait;

use super::keys::{self, NEWEST_SESSION, OWNED, OWNED_LEN};
use super::kinds::{KINDS, Kind};
use super::tables::{Snapshot, View};
use super::values::Reader;
use super::{EmbeddedStore, Fault};
use crate::store::StoreError;
use crate::store::operator::{KeyBrowserStore, KeyInfo, KeyKind, KeyKinds, KeyPage, KeyView};

/// Keys that are given at most.
const PAGE: usize = 100;
/// Records that one call looks at for that.
const LOOKS: usize = 2_000;
/// Records of each tag that are counted for the numbers of kinds.
const SAMPLE: usize = 1_000;
/// The same of those that sessions own.
const SAMPLE_OWNED: usize = 5_000;
/// The most records that a place may have before it: nonces of one session, which a limit bounds far below.
const MOST_BEFORE: usize = 100_000;

/// A key as it may be shown: all of it, or the part before a secret and how many of the records that start so come
/// before it.
fn write_place(view: &Snapshot, kind: &Kind, key: &[u8]) -> Result<String, Fault> {
    let public = &key[..kind.public_len(key)];
    if public.len() == key.len() {
        return Ok(hex::encode(key));
    }
    let before = view.range(public, key)?.count();
    Ok(format!("{}+{before}", hex::encode(public)))
}

/// The key that a place means; `None` if it is none.
fn read_place(view: &Snapshot, place: &str) -> Result<Option<Vec<u8>>, Fault> {
    let (key, before) = match place.split_once('+') {
        Some((key, before)) => (key, Some(before)),
        None => (place, None),
    };
    let Some(key) = hex::decode(key).ok().filter(|key| !key.is_empty()) else { return Ok(None) };
    let Some(before) = before else { return Ok(Some(key)) };
    let Some(before) = before.parse().ok().filter(|before| *before <= MOST_BEFORE) else { return Ok(None) };
    match view.range(&key, &keys::end_of(&key))?.nth(before).transpose()? {
        Some((found, _)) => Ok(Some(found.value().to_vec())),
        // They are gone by now.
        None => Ok(Some(keys::end_of(&key))),
    }
}

fn info(view: &Snapshot, kind: &Kind, key: &[u8], value: &[u8]) -> Result<KeyInfo, Fault> {
    Ok(KeyInfo {
        shown: kind.show(key),
        id: write_place(view, kind, key)?,
        form: "record".to_owned(),
        ttl: kind.expires(value).map(|expires| expires.saturating_sub(view.now())),
        bytes: (key.len() + value.len()) as u64,
    })
}

/// The first place after `key` where a record of this kind can be, none of which has that key.
fn skip(kind: &Kind, key: &[u8]) -> Vec<u8> {
    let after = [key, b"\0"].concat();
    let Some(session) = key.get(1..OWNED_LEN).filter(|_| kind.is_owned()) else { return after };
    let session = u64::from_be_bytes(session.try_into().expect("eight bytes were taken"));
    let start = kind.start(session);
    if key < start.as_slice() {
        start
    } else if key < keys::end_of(&start).as_slice() {
        after
    } else {
        kind.start(session.saturating_add(1))
    }
}

fn page(view: &Snapshot, kind: &'static Kind, from: Option<&str>) -> Result<Option<KeyPage>, Fault> {
    let start = kind.start(0);
    let tag = if kind.is_owned() { vec![OWNED] } else { start.clone() };
    let mut at = match from {
        Some(place) => match read_place(view, place)? {
            Some(at) if at.starts_with(&tag) || at == keys::end_of(&tag) => at,
            _ => return Ok(None),
        },
        None => start,
    };
    let end = keys::end_of(&tag);
    let mut found = Vec::new();
    for _ in 0..LOOKS {
        if at >= end {
            return Ok(Some(KeyPage { keys: found, next: None }));
        }
        let Some((key, value)) = view.range(&at, &end)?.next().transpose()? else {
            return Ok(Some(KeyPage { keys: found, next: None }));
        };
        let key = key.value();
        if Kind::of(key).is_some_and(|known| std::ptr::eq(known, kind)) {
            if found.len() == PAGE {
                at = key.to_vec();
                break;
            }
            found.push(info(view, kind, key, value.value())?);
            at = [key, b"\0"].concat();
        } else {
            at = skip(kind, key);
        }
    }
    let next = write_place(view, kind, &at)?;
    Ok(Some(KeyPage { keys: found, next: Some(next) }))
}

/// What was counted of records that were looked at.
struct Sample {
    counts: Vec<u64>,
    looked_at: u64,
}

impl Sample {
    fn new() -> Self {
        Self { counts: vec![0; KINDS.len()], looked_at: 0 }
    }

    /// Counts at most `most` records of a range; gives the last key if there are more.
    fn count(&mut self, view: &Snapshot, from: &[u8], to: &[u8], most: usize) -> Result<Option<Vec<u8>>, Fault> {
        let mut last = Vec::new();
        for (n, entry) in view.range(from, to)?.enumerate() {
            if n == most {
                return Ok(Some(last));
            }
            let (key, _) = entry?;
            last = key.value().to_vec();
            self.looked_at += 1;
            if let Some(kind) = Kind::of(&last) {
                self.counts[kind.position()] += 1;
            }
        }
        Ok(None)
    }
}

/// The part of the keys from `tag` on that lies before this one, where they are spread evenly: ids in hex, or digests.
fn part_before(tag: &[u8], key: &[u8]) -> f64 {
    let rest = &key[tag.len()..];
    let digits = if tag == b"k" { hex::encode(&rest[..rest.len().min(4)]) } else { text_start(rest) };
    u32::from_str_radix(&digits, 16).map_or(1.0, |at| (f64::from(at) + 1.0) / f64::from(u32::MAX))
}

fn text_start(rest: &[u8]) -> String {
    String::from_utf8_lossy(&rest[..rest.len().min(8)]).into_owned()
}

/// About how many records of each kind there are. Few are counted; of many, the first say how close they lie, and of
/// what sessions own, the sessions after a random one say what they have.
fn kinds(view: &Snapshot, total: u64, bytes: Option<u64>) -> Result<KeyKinds, Fault> {
    let mut sample = Sample::new();
    let mut tags: Vec<Vec<u8>> =
        KINDS.iter().filter(|kind| !kind.is_owned()).map(|kind| kind.start(0)[..1].to_vec()).collect();
    tags.sort();
    tags.dedup();
    let mut about = vec![0; KINDS.len()];
    let mut owners_of_channels_are_many = false;
    for tag in tags {
        let mut of_tag = Sample::new();
        let last = of_tag.count(view, &tag, &keys::end_of(&tag), SAMPLE)?;
        let part = match &last {
            Some(last) if matches!(tag.as_slice(), b"s" | b"k") => part_before(&tag, last),
            _ => 1.0,
        };
        owners_of_channels_are_many |= last.is_some() && tag == b"c";
        for (about, count) in about.iter_mut().zip(&of_tag.counts) {
            *about += (*count as f64 / part) as u64;
        }
        sample.looked_at += of_tag.looked_at;
    }
    let mut of_sessions = Sample::new();
    let newest = match view.get(NEWEST_SESSION)? {
        Some(value) => Reader::new("the newest session", value.value()).number()?,
        None => 0,
    };
    let first =
        [&[OWNED], &(getrandom::u64().unwrap_or(0) % newest.saturating_add(1).max(1)).to_be_bytes()[..]].concat();
    let end = keys::end_of(&[OWNED]);
    let mut is_whole = of_sessions.count(view, &first, &end, SAMPLE_OWNED)?.is_none();
    let left = SAMPLE_OWNED - usize::try_from(of_sessions.looked_at).unwrap_or(SAMPLE_OWNED);
    is_whole = is_whole && of_sessions.count(view, &[OWNED], &first, left)?.is_none();
    // Of each channel there are two records, one of which a session owns.
    let channels = Kind::named("channel").map(Kind::position).zip(Kind::named("channel-owner").map(Kind::position));
    let mut rest = total.saturating_sub(about.iter().sum());
    if let Some((channel, owner)) = channels.filter(|_| owners_of_channels_are_many) {
        rest += about[owner];
        let (looked_at, found) = (of_sessions.looked_at as f64, of_sessions.counts[channel] as f64);
        about[owner] = (rest as f64 * found / (looked_at + found).max(1.0)) as u64;
        rest = rest.saturating_sub(about[owner]);
    }
    let scale = if is_whole { 1.0 } else { rest as f64 / of_sessions.looked_at.max(1) as f64 };
    for (about, count) in about.iter_mut().zip(&of_sessions.counts) {
        *about += (*count as f64 * scale) as u64;
    }
    let kinds = KINDS.iter().zip(about).map(|(kind, about)| KeyKind {
        name: kind.name,
        pattern: kind.pattern,
        what: kind.what,
        life: kind.life,
        about,
    });
    let sampled = sample.looked_at + of_sessions.looked_at;
    Ok(KeyKinds { kinds: kinds.collect(), total, sampled, bytes })
}

#[async_trait]
impl KeyBrowserStore for EmbeddedStore {
    async fn key_kinds(&self) -> Result<KeyKinds, StoreError> {
        let bytes = self.shared.file_bytes();
        self.read(move |view| kinds(view, view.count()?, bytes)).await
    }

    async fn keys(&self, kind: &str, from: Option<&str>) -> Result<Option<KeyPage>, StoreError> {
        let Some(kind) = Kind::named(kind) else { return Ok(None) };
        let from = from.map(str::to_owned);
        self.read(move |view| page(view, kind, from.as_deref())).await
    }

    async fn key(&self, id: &str) -> Result<Option<KeyView>, StoreError> {
        let id = id.to_owned();
        self.read(move |view| {
            let Some(key) = read_place(view, &id)? else { return Ok(None) };
            let (Some(kind), Some(value)) = (Kind::of(&key), view.get(&key)?) else { return Ok(None) };
            let fields = kind.fields(value.value());
            let info = info(view, kind, &key, value.value())?;
            Ok(Some(KeyView { kind: kind.name, info, len: fields.len() as u64, fields }))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::digest::Digest;
    use crate::domain::ids::{ChannelId, MessageId, UserId};
    use crate::store::embedded::keys::Owned;
    use crate::store::embedded::testing::Lab;
    use crate::store::embedded::values::Writing;

    /// About how many records of some kinds there are, and how many were looked at.
    async fn about(lab: &Lab, names: &[&str]) -> (Vec<u64>, u64) {
        let kinds = lab.store.key_kinds().await.unwrap();
        let about = |name: &&str| kinds.kinds.iter().find(|kind| kind.name == *name).unwrap().about;
        (names.iter().map(about).collect(), kinds.sampled)
    }

    #[tokio::test]
    async fn the_numbers_of_few_records_are_exact() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        lab.accepted(&client, "c").await;
        let kinds = lab.store.key_kinds().await.unwrap();
        assert_eq!((kinds.total, kinds.sampled), (lab.rows().await.0, lab.rows().await.0));
        let names = ["session", "apikey", "channel-owner", "channel", "entry", "stream", "counter", "nonce"];
        assert_eq!(about(&lab, &names).await.0, [1, 1, 1, 1, 1, 1, 1, 0]);
    }

    #[tokio::test]
    async fn the_numbers_of_many_records_are_about_right_and_cost_a_bounded_look() {
        let lab = Lab::new();
        let fill = |tx: &mut super::super::tables::Tx<'_>| {
            for number in 0..10_000 {
                let user = UserId::random();
                tx.put(&keys::session(&user), b"")?;
                tx.put(&keys::api_key(&Digest::of(user.to_string().as_bytes())), b"")?;
                let channel = ChannelId::random();
                tx.put(&keys::channel_owner(&channel), b"")?;
                tx.put(&Owned(number).channel(&channel), b"")?;
                tx.put(&Owned(number).reply(&MessageId::random()), b"")?;
                tx.put(&Owned(number).reply(&MessageId::random()), b"")?;
            }
            tx.put(NEWEST_SESSION, &Writing::default().number(10_000).done())
        };
        lab.store.shared.transact(|tx| fill(tx).map_err(|_| redb::StorageError::DatabaseClosed)).unwrap();
        let (numbers, sampled) = about(&lab, &["session", "apikey", "channel-owner", "channel", "reply"]).await;
        for (number, expected) in numbers.iter().zip([10_000, 10_000, 10_000, 10_000, 20_000]) {
            assert!((expected * 3 / 4..expected * 5 / 4).contains(number), "{numbers:?}");
        }
        assert!((5_000..10_000).contains(&sampled), "{sampled}");
    }

    #[test]
    fn what_a_record_says_of_itself_is_shown_by_its_parts() {
        let (owned, channel): (_, ChannelId) = (Owned(7), "c".parse().unwrap());
        for (key, name, shown) in [
            (keys::session(&UserId::of_key(&Digest::of(b""))), "session", "s e3b0c442-98fc-8c14-9afb-f4c8996fb924"),
            (keys::api_key(&Digest::of(b"")), "apikey", "k e3b0c442…"),
            (keys::admin(&Digest::of(b"")), "admin", "oa e3b0c442…"),
            (keys::AUDIT.to_vec(), "audit-head", "ol"),
            (keys::audit_entry(5), "audit", "ol 5"),
            (owned.nonce("abc"), "nonce", "d 7 n …"),
            (owned.messages().head, "stream", "d 7 h"),
            (owned.messages().entry(9), "entry", "d 7 e 9"),
            (owned.responses(&channel).entry(9), "entry", "d 7 e c 9"),
            (owned.once(&channel, &Digest::of(b"")), "once", "d 7 o c e3b0c442…"),
            (owned.due(&channel), "due", "u 7 c"),
            (owned.queue(&channel, "chat\nthread"), "queue", "d 7 y c chat\\nthread"),
        ] {
            let kind = Kind::of(&key).unwrap();
            assert_eq!((kind.name, kind.show(&key).as_str()), (name, shown));
        }
        for stranger in [&b""[..], b"?", b"d", b"d1234567", b"op2"] {
            assert!(Kind::of(stranger).is_none(), "{stranger:?}");
        }
    }
}
