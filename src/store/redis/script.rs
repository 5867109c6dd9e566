//! The Lua scripts: each is one atomic step.

use std::sync::LazyLock;

use redis::{Arg, Cmd, ToRedisArgs};

/// A script with the digest under which servers know it.
pub(super) struct Script {
    source: String,
    digest: String,
}

impl Script {
    fn new(body: &str) -> Self {
        let source = format!("{}\n{body}", include_str!("scripts/prelude.lua"));
        let digest = redis::Script::new(&source).get_hash().to_owned();
        Self { source, digest }
    }

    /// A call of this script on these keys; arguments follow by [`Cmd::arg`].
    pub(super) fn call<K: ToRedisArgs>(&self, keys: &[K]) -> Cmd {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.digest).arg(keys.len()).arg(keys);
        call
    }

    /// The same call with the source in place of the digest, which also makes the server know it. It
    /// goes where the call itself goes, to the right node of a Cluster.
    pub(super) fn with_source(&self, call: &Cmd) -> Cmd {
        let mut eval = redis::cmd("EVAL");
        eval.arg(&self.source);
        for arg in call.args_iter().skip(2) {
            if let Arg::Simple(bytes) = arg {
                eval.arg(bytes);
            }
        }
        eval
    }
}

macro_rules! scripts {
    ($($name:ident = $file:literal),+ $(,)?) => {$(
        pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!(concat!("scripts/", $file, ".lua"))));
    )+};
}

scripts! {
    AUTHORIZE = "authorize",
    COUNT_USE = "count_use",
    CREATE_SESSION = "create_session",
    CLAIM_CHANNEL = "claim_channel",
    SETTLE_CHANNEL = "settle_channel",
    RELEASE_CHANNEL = "release_channel",
    PUT_CHANNEL = "put_channel",
    DELETE_CHANNEL = "delete_channel",
    CHANNELS = "channels",
    APPEND_MESSAGE = "append_message",
    POLL_MESSAGES = "poll_messages",
    READ_MESSAGES = "read_messages",
    APPEND_REPLY = "append_reply",
    REPLY_STATUS = "reply_status",
    READ_RESPONSES = "read_responses",
    HOLD_SOCKET = "hold_socket",
}
