//! Frames, as they travel.

use serde_json::{Map, Value, json};

use crate::domain::message::StoredRecord;
use crate::services::reply::ReplyAck;

/// What a client says.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientFrame {
    /// Asks for a `pong`.
    Ping,
    /// A reply; its members are checked where replies over HTTP are.
    Reply {
        /// The frame's members.
        body: Map<String, Value>,
        /// Sent back with the ack or error.
        request_id: Option<Value>,
    },
}

/// Why a frame is none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFrame {
    /// Not JSON, or no object.
    #[error("the frame is not a JSON object")]
    NotAnObject,
    /// No type, or one that clients do not send.
    #[error("the frame's type must be \"reply\" or \"ping\"")]
    UnknownType,
    /// A `requestId` that is not echoed.
    #[error("requestId must be a string or a number of at most 200 characters")]
    RequestId,
}

impl InvalidFrame {
    /// The `code` of the error frame.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnObject => "invalid_json",
            Self::UnknownType => "unknown_type",
            Self::RequestId => "invalid_field",
        }
    }
}

/// Longest `requestId` that is echoed, in bytes of JSON.
const MAX_REQUEST_ID: usize = 202;

/// Reads a text frame.
pub fn read(text: &str) -> Result<ClientFrame, InvalidFrame> {
    let Ok(Value::Object(mut body)) = serde_json::from_str(text) else {
        return Err(InvalidFrame::NotAnObject);
    };
    match body.get("type").and_then(Value::as_str) {
        Some("ping") => Ok(ClientFrame::Ping),
        Some("reply") => {
            let request_id = body.shift_remove("requestId").filter(|id| !id.is_null());
            let is_sane = |id: &Value| (id.is_string() || id.is_number()) && id.to_string().len() <= MAX_REQUEST_ID;
            if request_id.as_ref().is_some_and(|id| !is_sane(id)) {
                return Err(InvalidFrame::RequestId);
            }
            Ok(ClientFrame::Reply { body, request_id })
        }
        _ => Err(InvalidFrame::UnknownType),
    }
}

/// `{type: "message", message}`
pub fn message(record: &StoredRecord) -> String {
    let mut frame = String::with_capacity(record.size() + 160);
    frame.push_str(r#"{"type":"message","message":"#);
    record.write_json(&mut frame);
    frame.push('}');
    frame
}

/// `{type: "reply_ack", ok, responseId, channel}`
pub fn reply_ack(ack: &ReplyAck, request_id: Option<Value>) -> String {
    let frame = json!({"type": "reply_ack", "ok": true, "responseId": ack.response_id, "channel": ack.channel});
    with_request_id(frame, request_id)
}

/// `{type: "error", error, code}`
pub fn error(code: &str, sentence: &str, request_id: Option<Value>) -> String {
    with_request_id(json!({"type": "error", "error": sentence, "code": code}), request_id)
}

/// `{type: "pong"}`
pub const PONG: &str = r#"{"type":"pong"}"#;

fn with_request_id(mut frame: Value, request_id: Option<Value>) -> String {
    if let Some(request_id) = request_id {
        frame["requestId"] = request_id;
    }
    frame.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_a_ping_a_reply_or_a_mistake() {
        assert_eq!(read(r#"{"type":"ping","x":1}"#), Ok(ClientFrame::Ping));
        for (text, mistake) in [
            ("", InvalidFrame::NotAnObject),
            ("[]", InvalidFrame::NotAnObject),
            ("{}", InvalidFrame::UnknownType),
            (r#"{"type":"shout"}"#, InvalidFrame::UnknownType),
            (r#"{"type":7}"#, InvalidFrame::UnknownType),
            (r#"{"type":"reply","requestId":{}}"#, InvalidFrame::RequestId),
        ] {
            assert_eq!(read(text), Err(mistake), "{text}");
        }
    }

    #[test]
    fn a_request_id_comes_back_as_it_was() {
        let Ok(ClientFrame::Reply { request_id, body }) = read(r#"{"type":"reply","requestId":7,"content":"x"}"#)
        else {
            panic!("a reply")
        };
        assert_eq!(body.get("content"), Some(&json!("x")));
        let frame: Value = serde_json::from_str(&error("c", "s", request_id)).unwrap();
        assert_eq!(frame, json!({"type": "error", "error": "s", "code": "c", "requestId": 7}));
    }
}
