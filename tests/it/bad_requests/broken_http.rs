//! Bytes that are not HTTP, or not quite.

/// Each with a name. None of them may be taken for a request that is right.
pub fn attempts() -> Vec<(&'static str, Vec<u8>)> {
    let many = format!("GET /health HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-A: 1\r\n".repeat(5_000));
    let long_name = format!("GET /health HTTP/1.1\r\nHost: a\r\n{}: 1\r\n\r\n", "X".repeat(300_000));
    let long_value = format!("GET /health HTTP/1.1\r\nHost: a\r\nX-A: {}\r\n\r\n", "x".repeat(1_000_000));
    let long_path = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(1_000_000));
    let long_chunk =
        format!("POST /auth/register HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{}\r\n", "f".repeat(30));
    let post = |headers: &str, body: &str| {
        format!("POST /auth/register HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}").into_bytes()
    };
    vec![
        ("words", b"hello there, relay\r\n\r\n".to_vec()),
        ("zeros", vec![0; 4096]),
        ("bytes that are no text", (128..=255).cycle().take(8192).collect()),
        (
            "the hello of TLS",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n".to_vec(),
        ),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("another version", b"GET /health HTTP/9.9\r\nHost: a\r\n\r\n".to_vec()),
        ("no version", b"GET /health\r\n\r\n".to_vec()),
        ("a blank in the path", b"GET /he alth HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("markup in the path", b"GET /\"<script> HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("a NUL in the path", b"GET /he\0alth HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("a path that is no URL", b"GET http://[ HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("a method that is none", b"G@T /health HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("a header without a colon", b"GET /health HTTP/1.1\r\nHost a\r\n\r\n".to_vec()),
        ("a blank in a header's name", b"GET /health HTTP/1.1\r\nX A: 1\r\n\r\n".to_vec()),
        ("a NUL in a header", b"GET /health HTTP/1.1\r\nX-A: a\0b\r\n\r\n".to_vec()),
        ("five thousand headers", many.into_bytes()),
        ("a header's name of 300 kB", long_name.into_bytes()),
        ("a header of 1 MB", long_value.into_bytes()),
        ("a path of 1 MB", long_path.into_bytes()),
        ("a length that is no number", post("Content-Length: ten\r\n", "{}")),
        ("a negative length", post("Content-Length: -1\r\n", "{}")),
        ("a length with a sign", post("Content-Length: +2\r\n", "{}")),
        ("a length beyond all numbers", post("Content-Length: 99999999999999999999999\r\n", "{}")),
        ("two lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "{} ")),
        ("a length and chunks", post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        ("an unknown transfer encoding", post("Transfer-Encoding: shouted\r\n", "{}")),
        ("a chunk of no size", post("Transfer-Encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n")),
        ("a chunk beyond all numbers", long_chunk.into_bytes()),
        ("a chunk without its end", post("Transfer-Encoding: chunked\r\n", "2\r\n{}XX0\r\n\r\n")),
    ]
}
