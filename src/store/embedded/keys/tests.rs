use super::*;

#[test]
fn a_prefix_ends_after_all_its_keys_and_before_the_next() {
    assert_eq!(end_of(b"a"), b"b");
    assert_eq!(end_of(&[b'd', 0, 0xff]), [b'd', 1]);
    let (one, next) = (Owned(0xff), Owned(0x100));
    assert!(one.nonce("~").as_slice() < end_of(&one.prefix()).as_slice());
    assert_eq!(end_of(&one.prefix()).as_slice(), &next.prefix()[..8]);
    assert!(end_of(&one.prefix()) <= next.prefix());
}

#[test]
fn entries_sort_by_instant_and_streams_do_not_mix() {
    let owned = Owned(1);
    let (short, long) = (owned.responses(&"a".parse().unwrap()), owned.responses(&"aa".parse().unwrap()));
    assert!(short.entry(255) < short.entry(256));
    assert!(short.entry(u64::MAX) < short.end());
    assert_eq!(short.instant(&short.entry(7)), Some(7));
    assert_eq!(short.instant(&long.entry(7)), None);
    assert!(long.entry(0) > short.end() || long.end() <= short.entry(0));
    assert!(owned.messages().end() <= short.entry(0));
}

#[test]
fn a_key_says_what_expires() {
    let (owned, channel) = (Owned(7), "c".parse().unwrap());
    assert_eq!(Expiring::of(&session(&UserId::random())), Expiring::Session);
    assert_eq!(Expiring::of(&owned.prefix()), Expiring::Remains(owned));
    assert_eq!(Expiring::of(&owned.messages().head), Expiring::Stream);
    for record in [owned.nonce("h"), owned.counter("h"), owned.once(&channel, &Digest::of(b"")), counter("h")] {
        assert_eq!(Expiring::of(&record), Expiring::Record);
    }
    let stream = owned.responses(&channel);
    assert_eq!(Stream::of_head(&stream.head).entry(3), stream.entry(3));
    assert_eq!(owned_channel(&owned.channel(&channel)), Some(channel.clone()));
    assert_eq!(owned_channel(&owned.nonce("c")), None);
    assert_eq!(Expiring::of(&owned.conversation(&channel, "chat\n")), Expiring::Conversation);
    assert_eq!(Expiring::of(&owned.reply(&MessageId::random())), Expiring::Reply);
    assert_eq!(Expiring::of(&identity("telegram:1")), Expiring::Identity);
    assert_eq!(Expiring::of(AUDIT), Expiring::Audit);
    assert_eq!(audit_instant(&audit_entry(7)), Some(7));
    for record in [owned.queue(&channel, "h\n"), owned.question(&channel, 1), owned.due(&channel), dead_letter(1)] {
        assert_eq!(Expiring::of(&record), Expiring::Record);
    }
}

#[test]
fn a_key_leads_to_the_keys_that_go_with_it() {
    let (owned, channel): (_, ChannelId) = (Owned(7), "c".parse().unwrap());
    let text = "chat\0odd\nthread";
    assert_eq!(heard_of(&owned.conversation(&channel, text), 9), Some(owned.heard_at(&channel, 9)));
    assert_eq!(heard_of(&owned.queue(&channel, text), 9), None);
    assert_eq!(heard_of(b"v", 9), None);
    assert_eq!(due_channel(&owned.due(&channel)), Some(channel));
    assert_eq!(identity_of(&identity("email:a@b")), Some("email:a@b"));
    assert_eq!(due_place(&owned.due(&"c".parse().unwrap())), Some((owned, "c".parse().unwrap())));
    assert_eq!(due_place(b"u"), None);
    let id = MessageId::random();
    assert_eq!(owned_reply(&owned.reply(&id)), Some(id));
    assert_eq!((owned_reply(&owned.parcel(&id)), owned_reply(&listing(&id))), (None, None));
    assert!(owned.parcel(&id).ends_with(id.to_string().as_bytes()) && owned.parcel(&id) != owned.reply(&id));
}

#[test]
fn a_channels_records_do_not_mix_with_those_of_one_whose_id_starts_alike() {
    let (owned, short, long): (_, ChannelId, ChannelId) = (Owned(1), "a".parse().unwrap(), "aa".parse().unwrap());
    for (prefix, other) in [
        (owned.conversation(&short, ""), owned.conversation(&long, "")),
        (owned.heard(&short), owned.heard_at(&long, 1)),
        (owned.questions(&short), owned.question(&long, 1)),
        (owned.queues(&short), owned.queue(&long, "")),
    ] {
        assert!(!other.starts_with(&prefix));
        assert!(other >= end_of(&prefix) || other < prefix);
    }
}
