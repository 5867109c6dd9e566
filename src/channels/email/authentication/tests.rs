use super::*;
use proptest::prelude::*;
use serde_json::json;

fn read(value: Value) -> Authentication {
    let headers = Headers::read(&json!({"authentication-results": value}));
    Authentication::read(&headers, &EmailAddress::parse("ana@example.com").unwrap())
}

fn verdicts(value: Value) -> Value {
    read(value).to_json().unwrap_or(Value::Null)
}

/// What Amazon SES writes, with its own additions to the grammar.
const SES: &str = "amazonses.com; spf=pass (spfCheck: domain of _spf.example.com designates 209.85.167.45 as permitted \
                   sender) client-ip=209.85.167.45; envelope-from=ana@example.com; helo=mail-lf1-f45.example.com; \
                   dkim=pass header.i=@example.com; dmarc=pass header.from=example.com;";

#[test]
fn the_receiving_hosts_verdicts_are_read() {
    assert_eq!(verdicts(json!(SES)), json!({"spf": "pass", "dkim": "pass", "dmarc": "pass"}));
    assert!(!read(json!(SES)).is_forged());
    assert_eq!(verdicts(json!([SES])), json!({"spf": "pass", "dkim": "pass", "dmarc": "pass"}));
    assert_eq!(
        verdicts(json!("AmazonSES.com 1; SPF=SoftFail; dmarc = none")),
        json!({"spf": "softfail", "dmarc": "none"})
    );
    assert_eq!(verdicts(json!("amazonses.com; none")), Value::Null);
    assert_eq!(verdicts(json!("amazonses.com")), Value::Null);
}

#[test]
fn comments_and_quoted_strings_say_nothing() {
    for (text, expected) in [
        ("(a (nested) comment) amazonses.com (x; y) ; (dmarc=fail) dmarc (=) = (z) pass", json!({"dmarc": "pass"})),
        ("amazonses.com; spf=pass smtp.mailfrom=\"a; dmarc=fail\"@example.com", json!({"spf": "pass"})),
        ("amazonses.com; spf=pass reason=\"\\\"; dmarc=fail\"; dmarc=none", json!({"spf": "pass", "dmarc": "none"})),
        ("amazonses.com; spf=none (\\); dmarc=fail)", json!({"spf": "none"})),
        ("\"amazonses.com\"; spf=pass", json!({"spf": "pass"})),
        ("amazonses.com; dkim/1=pass header.b=\"a=\" header . d = example.com", json!({"dkim": "pass"})),
        ("amazonses.com; dkim=fail header.b=ab==; dkim=pass; dkim=neutral", json!({"dkim": "pass"})),
        ("amazonses.com; dkim=fail; dkim=neutral", json!({"dkim": "fail"})),
        ("amazonses.com; spf=pass; spf=fail", Value::Null),
        ("amazonses.com; dmarc=<script>; spf=; =pass; ;; dkim", Value::Null),
        ("amazonses.com;\r\n\tdmarc=pass\r\n\theader.from=example.com", json!({"dmarc": "pass"})),
    ] {
        assert_eq!(verdicts(json!(text)), expected, "{text}");
        assert!(!read(json!(text)).is_forged(), "{text}");
    }
}

#[test]
fn what_another_host_says_does_not_count() {
    for text in [
        "mx.example.com; dmarc=pass; spf=pass",
        "mx.example.com; dmarc=fail",
        "amazonses.com.evil.example; dmarc=pass",
        "evil.amazonses.com; dmarc=pass",
        "x amazonses.com; dmarc=pass",
        "; dmarc=pass",
        "",
        "amazonses.com dmarc=pass",
    ] {
        assert_eq!(verdicts(json!(text)), Value::Null, "{text}");
        assert!(!read(json!(text)).is_forged(), "{text}");
    }
    assert_eq!(verdicts(Value::Null), Value::Null);
}

#[test]
fn of_several_instances_only_the_topmost_is_believed() {
    let (own, other) = ("amazonses.com; dmarc=pass header.from=example.com", "mx.example.org; dmarc=none");
    assert_eq!(verdicts(json!([own, other])), json!({"dmarc": "pass"}));
    assert_eq!(verdicts(json!(json!([own, other]).to_string())), json!({"dmarc": "pass"}));
    assert_eq!(verdicts(json!([other, own])), Value::Null);
    let headers = Headers::read(&json!({"Authentication-Results": own, "authentication-results": other}));
    let read = Authentication::read(&headers, &EmailAddress::parse("ana@example.com").unwrap());
    assert_eq!(read, Authentication::default());
}

#[test]
fn a_failure_cannot_be_hidden_behind_an_instance_of_the_forgers_own() {
    let (forged, real) = ("amazonses.com; dmarc=pass header.from=example.com", "amazonses.com; dmarc=fail");
    for value in [json!([forged, real]), json!([real, forged]), json!(["mx.example.org; none", real])] {
        assert!(read(value.clone()).is_forged(), "{value}");
    }
    let many: Vec<&str> = std::iter::repeat_n(forged, 1_000).chain([real]).collect();
    assert!(read(json!(many)).is_forged());
    let headers = Headers::read(&json!({"Authentication-Results": forged, "authentication-results": real}));
    assert!(Authentication::read(&headers, &EmailAddress::parse("ana@example.com").unwrap()).is_forged());
}

#[test]
fn a_pass_for_another_domain_is_a_forgery() {
    let is_forged = |from: &str| read(json!(format!("amazonses.com; dmarc=pass header.from={from}"))).is_forged();
    for own in ["example.com", "EXAMPLE.com", "example.com.", "\"example.com\"", "ana@example.com", "(x) example.com"] {
        assert!(!is_forged(own), "{own}");
    }
    for other in ["evil.example", "xexample.com", "mail.example.com", "ample.com", "\"\"", "ｅxample.com", "com", "."]
    {
        assert!(is_forged(other), "{other}");
    }
    let headers = json!({"authentication-results": "amazonses.com; dmarc=pass header.from=example.com"});
    let below = EmailAddress::parse("ana@mail.example.com").unwrap();
    assert!(!Authentication::read(&Headers::read(&headers), &below).is_forged());
    assert!(!read(json!("amazonses.com; dmarc=pass")).is_forged());
}

#[test]
fn dmarc_fails_and_nothing_else_makes_a_forgery() {
    assert!(read(json!("amazonses.com; spf=pass; dkim=pass; dmarc=fail header.from=example.com")).is_forged());
    assert!(read(json!("amazonses.com; dmarc=FAIL")).is_forged());
    assert!(read(json!("amazonses.com; dmarc=none; dmarc=fail")).is_forged());
    for text in ["amazonses.com; spf=fail; dkim=fail; dmarc=none", "amazonses.com; dmarc=temperror"] {
        assert!(!read(json!(text)).is_forged(), "{text}");
    }
}

#[test]
fn a_header_that_cannot_be_read_is_not_believed_but_its_failure_is() {
    for text in ["amazonses.com; (dmarc=pass", "amazonses.com; \"dmarc=pass", "amazonses.com; x=\"\\"] {
        assert_eq!(verdicts(json!(text)), Value::Null, "{text}");
        assert!(!read(json!(text)).is_forged(), "{text}");
    }
    assert!(read(json!("amazonses.com; spf=fail (helo (evil); dmarc=fail header.from=example.com")).is_forged());
    let long = format!("amazonses.com; {}dmarc=pass", "spf=none; ".repeat(10_000));
    assert_eq!(verdicts(json!(long)), Value::Null);
}

#[test]
fn hostile_headers_cost_little() {
    let started = std::time::Instant::now();
    for text in ["(", "\"", "\\", ";", "=", "a=b;", "(x)", "a.=", ". "] {
        let _ = read(json!(vec![format!("amazonses.com;{}", text.repeat(16_000 / text.len())); 100]));
    }
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

proptest! {
    #[test]
    fn any_header_is_read(text in "[a-z;=().\"\\\\ /@1-]{0,80}") {
        let authentication = read(json!(format!("amazonses.com; {text}")));
        let verdicts = authentication.to_json().unwrap_or_default();
        for verdict in verdicts.as_object().into_iter().flat_map(Map::values) {
            let plain = verdict.as_str().unwrap().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            prop_assert!(plain);
        }
    }
}
