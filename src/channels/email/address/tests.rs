use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<String, InvalidAddress> {
    EmailAddress::parse(text).map(|address| address.as_str().to_owned())
}

fn bare(text: &str) -> Result<String, InvalidAddress> {
    EmailAddress::parse_bare(text).map(|address| address.as_str().to_owned())
}

#[test]
fn one_address_is_read_from_a_header_whatever_its_name() {
    for text in [
        "ana@example.com",
        "Ana@Example.COM",
        "<ana@example.com>",
        " Ana Example <ana@example.com> ",
        "\"Example, Ana\" <ana@example.com>",
        "\"Ana \\\"the <boss>\\\"\" <ana@example.com>",
        "Ana (the boss) <ana@example.com> (at home)",
        "ana@example.com (Ana)",
        "\"eve@evil.example\" <ana@example.com>",
        "eve@evil.example <ana@example.com>",
        "=?utf-8?q?Ana?= <ana@example.com>",
        "Ana\r\n <ana@example.com>",
        "Example, Ana <ana@example.com>",
        "Ana \"x, y\" Example <ana@example.com>",
        "日本 <ana@example.com>",
        "<ana@example.com>,",
    ] {
        assert_eq!(parse(text).as_deref(), Ok("ana@example.com"), "{text:?}");
    }
}

#[test]
fn several_addresses_and_groups_are_refused() {
    for text in [
        "ana@example.com, eve@evil.example",
        "Ana <ana@example.com>, Eve <eve@evil.example>",
        "<ana@example.com>; <eve@evil.example>",
        "ana@example.com, ana@example.com",
        "Eve@home, Ana <ana@example.com>",
    ] {
        assert_eq!(parse(text), Err(InvalidAddress::Several), "{text:?}");
    }
    for text in ["friends: ana@example.com;", "undisclosed-recipients:;", "a: <ana@example.com>;, eve@evil.example"] {
        assert_eq!(parse(text), Err(InvalidAddress::Group), "{text:?}");
    }
}

#[test]
fn what_is_no_address_is_refused() {
    for text in ["", "  ", ","] {
        assert!(matches!(parse(text), Err(InvalidAddress::Missing | InvalidAddress::Malformed)), "{text:?}");
    }
    for text in [
        "ana",
        "<>",
        "ana@",
        "@example.com",
        "ana@example",
        "ana@[192.0.2.1]",
        "\"ana lopez\"@example.com",
        "<\"ana lopez\"@example.com>",
        "ana..l@example.com",
        ".ana@example.com",
        "ana lopez@example.com",
        "ana@exa mple.com",
        "ana@-example.com",
        "ana@exam_ple.com",
        "ana@example..com",
        "ana@example.com.",
        "ana@example.com\r\nBcc: eve@evil.example",
        "<ana@example.com\r\n>",
        "<ana@example.com> eve",
        "x <ana@example.com> <eve@evil.example>",
        "Group: x, <ana@example.com>",
        "änä@example.com",
        "ana@xn--a.example",
        "(ana@example.com",
        "<ana@example.com",
    ] {
        assert!(parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn the_form_of_registration_takes_a_bare_address_only() {
    assert_eq!(bare(" Ana.Lopez+x@Example.com ").as_deref(), Ok("ana.lopez+x@example.com"));
    for text in [
        "Ana <ana@example.com>",
        "<ana@example.com>",
        "ana@example.com (Ana)",
        "ana@example.com,",
        "ana@example.com, eve@evil.example",
        "ana@example.com\n",
        "ana@example.com\r\nBcc: eve@evil.example",
        "\"ana\"@example.com",
        "ana@eve@example.com",
    ] {
        assert!(bare(text).is_err(), "{text:?}");
    }
    assert_eq!(bare(""), Err(InvalidAddress::Missing));
}

#[test]
fn domains_are_compared_as_a_labels() {
    assert_eq!(bare("ana@bücher.example").as_deref(), Ok("ana@xn--bcher-kva.example"));
    assert_eq!(bare("ana@BÜCHER.example").as_deref(), Ok("ana@xn--bcher-kva.example"));
    assert_eq!(bare("ana@XN--bcher-KVA.example").as_deref(), Ok("ana@xn--bcher-kva.example"));
}

#[test]
fn a_domain_that_only_looks_like_another_is_refused() {
    for text in [
        "ana@ｅxample.com",
        "ana@example。com",
        "ana@exa\u{AD}mple.com",
        "ana@ｂücher.example",
        "ana@ex\u{200B}ample.com",
    ] {
        assert_eq!(bare(text), Err(InvalidAddress::Malformed), "{text:?}");
    }
    assert_ne!(bare("ana@ехample.com"), bare("ana@example.com"), "with Cyrillic letters");
}

#[test]
fn the_limits_of_mail_hold_at_their_boundaries() {
    let domain = |octets: usize| {
        let labels = format!("{}.", "d".repeat(49)).repeat(octets / 50);
        format!("{labels}{}", "e".repeat(octets - labels.len()))
    };
    let address = |local: usize, whole: usize| format!("{}@{}", "l".repeat(local), domain(whole - local - 1));
    assert!(bare(&address(64, 254)).is_ok());
    assert_eq!(bare(&address(64, 255)), Err(InvalidAddress::TooLong));
    assert_eq!(bare(&address(65, 200)), Err(InvalidAddress::TooLong));
    assert_eq!(bare(&format!("{}@example.com", "l".repeat(10_000))), Err(InvalidAddress::TooLong));
    assert_eq!(parse(&format!("{} <ana@example.com>", "n".repeat(5_000))), Err(InvalidAddress::TooLong));
}

#[test]
fn only_a_recipient_loses_its_tag() {
    let address = EmailAddress::parse("Support-Ab12+News+x@in.Example.net").unwrap();
    assert_eq!(address.for_routing(), "support-ab12@in.example.net");
    assert_eq!(address.as_str(), "support-ab12+news+x@in.example.net");
    assert_eq!(address.as_written(), "Support-Ab12+News+x@in.example.net");
    assert_eq!((address.local(), address.domain()), ("support-ab12+news+x", "in.example.net"));
    assert_eq!(EmailAddress::parse("+x@in.example.net").unwrap().for_routing(), "+x@in.example.net");
}

#[test]
fn addresses_are_equal_whatever_their_case() {
    let read = |text| EmailAddress::parse_bare(text).unwrap();
    assert_eq!(read("Ana@Example.com"), read("ana@EXAMPLE.com"));
    assert_ne!(read("ana+x@example.com"), read("ana@example.com"));
}

#[test]
fn a_list_gives_what_is_an_address_in_it() {
    let list = |text| EmailAddress::parse_list(text).iter().map(EmailAddress::as_str).collect::<Vec<_>>().join(" ");
    assert_eq!(
        list("Ana <ana@example.com>, friends: bob@example.com, x@y;, c@example.com"),
        "ana@example.com bob@example.com c@example.com"
    );
    assert_eq!(list("Example, Ana <ana@example.com>"), "ana@example.com");
    assert_eq!(list("nobody"), "");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        let _ = EmailAddress::parse(&text);
        let _ = EmailAddress::parse_list(&text);
        let _ = EmailAddress::parse_bare(&text);
    }

    #[test]
    fn what_is_read_is_safe_in_a_header(text in "[a-z@<>(),;:\"\\\\. \r\né+]{0,30}") {
        let read = EmailAddress::parse(&text).into_iter().chain(EmailAddress::parse_list(&text));
        for address in read {
            for form in [address.as_str().to_owned(), address.as_written(), address.for_routing()] {
                prop_assert!(form.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>(),;:\"\\".contains(&byte)));
                prop_assert_eq!(form.matches('@').count(), 1);
                prop_assert_eq!(EmailAddress::parse(&form).map(|again| again.as_written()), Ok(form));
            }
        }
    }
}
